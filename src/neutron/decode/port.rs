//! Port dicts: of networks, of notices, of answers about our own port.

use std::net::IpAddr;

use serde_json::Value;

use super::network::project;
use super::read::{Dict, Fault, NAME, Read, Remarks, flag, ip, label, number, parsed, text, uuid};
use super::{DecodeError, Decoded, Naming};
use crate::model::{
    DeviceOwner, DhcpOption, DnsAssignment, FixedIp, InstanceId, NetworkId, OptionError, Port,
    PortId, SubnetId, parse_client_id,
};

const FIXED_IPS: usize = 1_000;
const OPTIONS: usize = 500;
/// Bytes of an option's name or value that are looked at; the option itself takes less.
const OPTION_TEXT: usize = 16_384;
/// What an option 61 holds.
const CLIENT_ID: usize = 255;
/// RFC 1035 section 2.3.4, as text.
const DNS_NAME: usize = 253;
const DNS_LABEL: usize = 63;

/// # Errors
/// Its id, network, MAC or addresses make no sense.
pub fn port(value: &Value, naming: &Naming) -> Result<Decoded<Port>, DecodeError> {
    let dict = Dict::of(value).map_err(|fault| fault.of("a port".into()))?;
    let called = dict.called("port", "id");
    let mut remarks = Remarks::of(called.clone());
    match read(dict, naming, &mut remarks) {
        Ok(port) => Ok(remarks.with(port)),
        Err(fault) => Err(fault.of(called)),
    }
}

/// One of many: what is remarked is told as the port's. `None`: it makes no sense, which is remarked too.
pub(super) fn within(value: &Value, naming: &Naming, remarks: &mut Remarks) -> Read<Option<Port>> {
    let dict = Dict::of(value)?;
    let mut own = Remarks::of(dict.called("port", "id"));
    let port = read(dict, naming, &mut own);
    let port = own.good(port);
    remarks.adopt(own);
    Ok(port)
}

fn read(dict: Dict<'_>, naming: &Naming, remarks: &mut Remarks) -> Read<Port> {
    let owner = owner(
        dict.optional("device_owner", text(NAME))?
            .unwrap_or_default(),
    );
    let device = dict.optional("device_id", text(NAME))?.unwrap_or_default();
    let of_machine = owner == DeviceOwner::Machine;
    let fixed_ips: Box<[_]> = dict.list("fixed_ips", FIXED_IPS, fixed_ip)?.into();
    let options = options(dict, &fixed_ips, remarks)?;
    Ok(Port {
        id: PortId(dict.required("id", uuid)?),
        name: dict.optional("name", label)?.unwrap_or_default(),
        network: NetworkId(dict.required("network_id", uuid)?),
        project: project(dict)?,
        mac: dict.required("mac_address", parsed("a MAC address, as fa:16:3e:00:00:01"))?,
        admin_state_up: dict.optional("admin_state_up", flag)?.unwrap_or(true),
        owner,
        instance: (of_machine && !device.is_empty()).then(|| InstanceId::from(device)),
        extra_dhcp_opts: options.sent.into(),
        client_id: options.client_id,
        dns: names(dict, owner, &fixed_ips, naming, remarks)?,
        fixed_ips,
        device: if of_machine { "" } else { device }.to_owned(),
        host: dict
            .optional("binding:host_id", text(NAME))?
            .unwrap_or_default()
            .to_owned(),
        revision: dict
            .optional("revision_number", number(0..=u64::MAX))?
            .unwrap_or(0),
    })
}

fn owner(text: &str) -> DeviceOwner {
    match text {
        "network:dhcp" => DeviceOwner::Dhcp,
        "network:router_interface"
        | "network:ha_router_replicated_interface"
        | "network:router_interface_distributed" => DeviceOwner::RouterInterface,
        "network:router_gateway" => DeviceOwner::RouterGateway,
        "network:floatingip" => DeviceOwner::FloatingIp,
        "network:router_ha_interface" | "network:distributed" => DeviceOwner::Service,
        other if other.starts_with("network:") => DeviceOwner::Other,
        _ => DeviceOwner::Machine,
    }
}

fn fixed_ip(value: &Value) -> Read<FixedIp> {
    let dict = Dict::of(value)?;
    Ok(FixedIp {
        subnet: SubnetId(dict.required("subnet_id", uuid)?),
        ip: dict.required("ip_address", ip)?,
    })
}

/// A name for each address; none for those whom DNS does not know (`dhcp.py: _iter_hosts`).
fn names(
    dict: Dict<'_>,
    owner: DeviceOwner,
    fixed_ips: &[FixedIp],
    naming: &Naming,
    remarks: &mut Remarks,
) -> Read<Box<[DnsAssignment]>> {
    match owner {
        DeviceOwner::Dhcp | DeviceOwner::FloatingIp | DeviceOwner::Service => {
            return Ok(Box::default());
        }
        DeviceOwner::Machine
        | DeviceOwner::RouterInterface
        | DeviceOwner::RouterGateway
        | DeviceOwner::Other => {}
    }
    let given = dict.good_of("dns_assignment", FIXED_IPS, remarks, |value, _| {
        let dict = Dict::of(value)?;
        Ok(DnsAssignment {
            ip: dict.required("ip_address", ip)?,
            hostname: dict.required("hostname", dns_name)?.into(),
            fqdn: dict.required("fqdn", dns_name)?.into(),
        })
    })?;
    let mut by_address: std::collections::BTreeMap<IpAddr, DnsAssignment> =
        given.into_iter().map(|name| (name.ip, name)).collect();
    let name = |fixed: &FixedIp| {
        let given = by_address.remove(&fixed.ip);
        given.unwrap_or_else(|| naming.unnamed(fixed.ip))
    };
    Ok(fixed_ips.iter().map(name).collect())
}

/// Lower case, no dot at the end.
fn dns_name(value: &Value) -> Read<String> {
    let wanted = "a DNS name of letters, digits, '-' and '_'";
    let text = value.as_str().unwrap_or_default();
    let name = text.strip_suffix('.').unwrap_or(text);
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    let label = |label: &str| (1..=DNS_LABEL).contains(&label.len()) && label.bytes().all(allowed);
    if name.len() <= DNS_NAME && name.split('.').all(label) {
        Ok(name.to_ascii_lowercase())
    } else {
        Err(Fault::new(value, wanted))
    }
}

#[derive(Default)]
struct Options {
    sent: Vec<DhcpOption>,
    client_id: Option<Vec<u8>>,
}

/// Options of an IP version that the port has no address of are not for it (`dhcp.py: _generate_opts_per_port`).
fn options(dict: Dict<'_>, fixed_ips: &[FixedIp], remarks: &mut Remarks) -> Read<Options> {
    let given = dict.good_of("extra_dhcp_opts", OPTIONS, remarks, |value, remarks| {
        let dict = Dict::of(value)?;
        let name = dict.required("opt_name", text(OPTION_TEXT))?;
        let value = dict.optional("opt_value", text(OPTION_TEXT))?;
        let version = dict.optional("ip_version", number::<u8>(4..=6))?;
        let mut first_line = |key, text: &str| {
            let line = text.lines().next().unwrap_or_default();
            if line.len() < text.trim_end_matches(['\r', '\n']).len() {
                remarks.add(format_args!(
                    "extra_dhcp_opts: {key} {line:.60?} has more than one line; only the first counts"
                ));
            }
            line.to_owned()
        };
        let name = first_line("opt_name", name);
        let value = first_line("opt_value", value.unwrap_or_default());
        Ok((name, value, version.unwrap_or(4)))
    })?;
    let mut options = Options::default();
    for (name, value, version) in given {
        if name == "client-id" || name == "61" {
            match client_id(&value) {
                Ok(id) => _ = options.client_id.get_or_insert(id),
                Err(problem) => remarks.add(problem),
            }
            continue;
        }
        if !fixed_ips
            .iter()
            .any(|fixed| fixed.ip.is_ipv4() == (version == 4))
        {
            continue;
        }
        match option(version, &name, &value) {
            Ok(option) => options.sent.push(option),
            Err(error) => remarks.add(format_args!("{error}; it is left out")),
        }
    }
    Ok(options)
}

fn option(version: u8, name: &str, value: &str) -> Result<DhcpOption, OptionError> {
    if version == 4 {
        DhcpOption::parse_v4(name, value)
    } else {
        DhcpOption::parse_v6(name, value)
    }
}

fn client_id(value: &str) -> Result<Vec<u8>, String> {
    let id = parse_client_id(value);
    if id.len() <= CLIENT_ID {
        Ok(id)
    } else {
        Err(format!(
            "client-id of {} bytes is left out; {CLIENT_ID} fit into a request",
            id.len()
        ))
    }
}
