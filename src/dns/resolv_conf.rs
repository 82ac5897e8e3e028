//! The host's resolvers, from its `resolv.conf`.

use std::net::{IpAddr, SocketAddr};
use std::{fs, io};

use super::server::PORT;

/// Where they are named.
pub const RESOLV_CONF: &str = "/etc/resolv.conf";

/// The host's resolvers as they are now.
///
/// # Errors
/// [`RESOLV_CONF`] can't be read.
pub fn host_resolvers() -> io::Result<Vec<SocketAddr>> {
    let text = fs::read_to_string(RESOLV_CONF)?;
    let addresses = name_servers(&text).into_iter();
    Ok(addresses.map(|address| (address, PORT).into()).collect())
}

/// The addresses of the `nameserver` lines of a resolv.conf(5), in order and once each.
///
/// As glibc reads it: the keyword starts its line, what follows the address is ignored, and so is what is no address.
/// Link-local resolvers (`fe80::1%eth0`) are left out: which device they belong to is lost in an address.
fn name_servers(resolv_conf: &str) -> Vec<IpAddr> {
    let mut found = Vec::new();
    for line in resolv_conf.lines() {
        let Some(rest) = line.strip_prefix("nameserver") else {
            continue;
        };
        if !rest.starts_with([' ', '\t']) {
            continue;
        }
        let address = rest.split_ascii_whitespace().next();
        if let Some(address) = address.and_then(|text| text.parse().ok())
            && !found.contains(&address)
        {
            found.push(address);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)] // a test may panic

    use super::*;

    #[test]
    fn resolvers_of_the_host() {
        for (name, text, want) in [
            ("empty", "", &[] as &[&str]),
            ("one", "nameserver 192.0.2.1\n", &["192.0.2.1"]),
            (
                "order is kept",
                "nameserver 192.0.2.2\nnameserver 192.0.2.1",
                &["192.0.2.2", "192.0.2.1"],
            ),
            (
                "v6 and a stub on loopback",
                "nameserver ::1\nnameserver 127.0.0.53\n",
                &["::1", "127.0.0.53"],
            ),
            (
                "tab, trailing text, CRLF",
                "nameserver\t192.0.2.1 # home\r\n",
                &["192.0.2.1"],
            ),
            (
                "other keywords",
                "search a b\noptions edns0\ndomain x\n",
                &[],
            ),
            (
                "comments",
                "#nameserver 192.0.2.1\n; nameserver 192.0.2.2\n",
                &[],
            ),
            (
                "the keyword starts its line",
                " nameserver 192.0.2.1\n",
                &[],
            ),
            (
                "not that keyword",
                "nameservers 192.0.2.1\nnameserver\n",
                &[],
            ),
            (
                "no address",
                "nameserver resolver.example\nnameserver 192.0.2\n",
                &[],
            ),
            ("link-local", "nameserver fe80::1%eth0\n", &[]),
            ("once each", "nameserver ::1\nnameserver 0::1\n", &["::1"]),
        ] {
            let want: Vec<IpAddr> = want.iter().map(|text| text.parse().unwrap()).collect();
            assert_eq!(name_servers(text), want, "{name}");
        }
    }
}
