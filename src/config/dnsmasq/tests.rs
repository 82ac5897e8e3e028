//! What lines come to, and what is said about the rest.
#![allow(clippy::unwrap_used)] // a test may panic

use super::names::text_record;
use super::*;

#[test]
fn lines_of_dnsmasq_are_understood_or_not() {
    for (line, options, remark) in [
        ("", "", ""),
        ("  # log-queries", "", ""),
        ("log-queries", "", "Ignored"),
        ("log-facility=/var/log/dnsmasq.log", "", "Ignored"),
        ("no-resolv", "", "Ignored"),
        ("dhcp-option-force=26,1454", "26! 05ae", "Warning"),
        ("dhcp-option=option:mtu,1454", "26 05ae", "Warning"),
        ("dhcp-option=42,192.0.2.1", "42 c0000201", ""),
        (
            "dhcp-option = option:ntp-server,192.0.2.1,192.0.2.2 # ours",
            "42 c0000201c0000202",
            "",
        ),
        (
            "dhcp-option=tag:ipxe,67,http://a/b",
            "67[tag:ipxe] 687474703a2f2f612f62",
            "",
        ),
        ("dhcp-option=42,0.0.0.0", "", "Refused"),
        ("dhcp-option=option:router,10.0.0.1", "", "Warning"),
        ("dhcp-option=option:no-such,1", "", "Refused"),
        (
            "dhcp-option=vendor:PXEClient,1,0.0.0.0",
            "43/1 00000000",
            "",
        ),
        (
            "dhcp-option=tag:efi,encap:175,190,2b",
            "175/190[tag:efi] 02",
            "",
        ),
        ("dhcp-option=vendor:,6,2b", "", "Refused"),
        ("dhcp-option=vi-encap:343,1,x", "", "Refused"),
        ("dhcp-option=option6:dns-server,[::]", "", "Refused"),
        (
            "dhcp-option=option6:dns-server,[2001:db8::53]",
            "",
            "Warning",
        ),
        (
            "dhcp-option-force=option6:sntp-server,[2001:db8::1]",
            "31!v6 20010db8000000000000000000000001",
            "",
        ),
        (
            "dhcp-option=tag:ipxe6,option6:59,http://a/b",
            "59v6[tag:ipxe6] 687474703a2f2f612f62",
            "",
        ),
        ("dhcp-option=option6:no-such,1", "", "Refused"),
        (
            "dhcp-boot=tag:!ipxe,undionly.kpxe,boot,192.0.2.9",
            "67[tag:!ipxe] 756e64696f6e6c792e6b707865, 66[tag:!ipxe] 626f6f74, 255[tag:!ipxe] c0000209",
            "",
        ),
        (
            "dhcp-boot=pxelinux.0",
            "67 7078656c696e75782e30, 66 , 255 ",
            "",
        ),
        ("dhcp-match=set:ipxe,175", "", "Ignored"),
        ("pxe-service=x86PC,\"Install\",pxelinux", "", "Refused"),
        ("tftp-root=/srv/tftp", "", "Refused"),
        ("dhcp-ignore=tag:!known", "", "Ignored"),
        ("dhcp-ignore=tag:efi", "", "Refused"),
        ("dhcp-match=set:efi,option:client-arch,7", "efi", ""),
        ("dhcp-match=set:efi,option:client-arch,x86", "", "Refused"),
        ("dhcp-match=set:efi6,option6:61,7", "efi6", ""),
        ("dhcp-match=set:efi6,option6:no-such", "", "Refused"),
        ("dhcp-vendorclass=set:http,HTTPClient", "http", ""),
        (
            "dhcp-vendorclass=set:http,enterprise:343,HTTPClient",
            "http",
            "",
        ),
        ("dhcp-userclass=set:ipxe6,iPXE", "", "Ignored"),
        ("dhcp-userclass=set:lab,lab", "lab, lab", ""),
        ("dhcp-mac=set:qemu,52:54:00:*:*:*", "qemu", ""),
        ("tag-if=set:both,set:all,tag:a,tag:!b", "both, all", ""),
        ("tag-if=tag:a", "", "Refused"),
        ("address=/intranet/192.0.2.5", "", "Warning"),
        ("domain=example.org", "", "Refused"),
        ("conf-dir=/etc/dnsmasq.d", "", "Refused"),
        ("server=192.0.2.1@eth0", "", "Refused"),
        ("nonsense", "", "Refused"),
    ] {
        let mut told = Told::default();
        let said = told
            .line(line)
            .map(|remark| format!("{:?}", remark.severity));
        assert_eq!(said.unwrap_or_default(), remark, "{line}");
        let shown = told
            .dhcp_options
            .iter()
            .map(|CommonOption { option, forced }| {
                let tags: String = option.tags.iter().map(|tag| format!("[{tag}]")).collect();
                let forced = if *forced { "!" } else { "" };
                let version = if option.ip_version == 6 { "v6" } else { "" };
                let outer = option.within.as_ref().map(|_| option.outer_code());
                let outer = outer.map_or(String::new(), |outer| format!("{outer}/"));
                format!(
                    "{outer}{}{forced}{version}{tags} {}",
                    option.code,
                    hex::encode(&option.value)
                )
            });
        let shown = shown.chain(told.dhcp_tags.iter().map(|tag| tag.name.clone()));
        assert_eq!(shown.collect::<Vec<_>>().join(", "), options, "{line}");
    }
}

#[test]
fn lines_about_dns_itself() {
    for (lines, cache, rebind) in [
        (&["no-hosts"][..], 150, None),
        (&["cache-size=0"], 0, None),
        (&["cache-size=20000"], 10_000, None),
        (&["rebind-localhost-ok"], 150, None),
        (&["stop-dns-rebind"], 150, Some((false, &[][..]))),
        (
            &[
                "stop-dns-rebind",
                "rebind-localhost-ok",
                "rebind-domain-ok=/Corp.example/b.test./",
                "rebind-domain-ok=c.test",
            ],
            150,
            Some((true, &["corp.example", "b.test", "c.test"])),
        ),
    ] {
        let mut told = Told::default();
        for line in lines {
            let remark = told.line(line);
            let ignored = remark.is_none_or(|remark| remark.severity == Severity::Ignored);
            assert!(ignored, "{line}");
        }
        assert_eq!(told.cache, cache, "{lines:?}");
        let got = told.no_rebind();
        let got = got
            .as_ref()
            .map(|rule| (rule.loopback_ok, rule.except.clone()));
        let want =
            rebind.map(|(ok, except)| (ok, except.iter().map(ToString::to_string).collect()));
        assert_eq!(got, want, "{lines:?}");
    }
    for line in ["cache-size=many", "stop-dns-rebind=yes"] {
        let remark = Told::default().line(line).unwrap();
        assert_eq!(remark.severity, Severity::Refused, "{line}");
    }
}

#[test]
fn a_text_record_has_a_name_and_texts() {
    for (text, want) in [
        ("alive.test", Some(("alive.test", &b"\0"[..]))),
        ("Alive.Test.,yes", Some(("alive.test", b"\x03yes"))),
        ("a.b,x, \"y,z\"", Some(("a.b", b"\x01x\x03y,z"))),
        (",x", None),
        ("a..b,x", None),
    ] {
        let got = text_record(text);
        let got = got.as_ref().map(|text| (&*text.name, &*text.data));
        assert_eq!(got, want, "{text}");
    }
    assert_eq!(text_record(&format!("a,{}", "x".repeat(256))), None);
}

#[test]
fn resolvers_are_for_all_names_or_for_a_domains() {
    for (text, want) in [
        ("192.0.2.1", "192.0.2.1:53"),
        ("192.0.2.1#5353", "192.0.2.1:5353"),
        ("2001:db8::1", "[2001:db8::1]:53"),
        ("/Example.org/192.0.2.1", "example.org 192.0.2.1:53"),
        (
            "/a.org/b.org./192.0.2.1#54",
            "a.org 192.0.2.1:54, b.org 192.0.2.1:54",
        ),
        ("192.0.2.1#0", "no"),
        ("192.0.2.1@eth0", "no"),
        ("//192.0.2.1", "no"),
        ("/example.org/", "no"),
        ("/example.org", "no"),
        ("example.org", "no"),
    ] {
        let mut told = Told::default();
        let is_one = told.server(text);
        let all = told.forwarders.iter().map(SocketAddr::to_string);
        let own = told.domain_forwarders.iter();
        let own = own.map(|(domain, to)| format!("{domain} {to}"));
        let shown = all.chain(own).collect::<Vec<_>>().join(", ");
        let shown = if is_one { shown } else { format!("{shown}no") };
        assert_eq!(shown, want, "{text}");
    }
}
