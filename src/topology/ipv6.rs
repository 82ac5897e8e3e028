//! How IPv6 addresses of a subnet are come by, as the file says it or leaves it out.

use ipnet::IpNet;

use super::check::Check;
use super::file;
use super::mistake::Code;
use super::read::At;
use super::values::Choice;
use crate::model::Ipv6Mode;

/// What a host makes an address of with its MAC (RFC 4862 section 5.5.3, RFC 2464).
const SLAAC_PREFIX: u8 = 64;
/// Bytes; the kernel knows no IPv6 on a device with less (RFC 8200 section 5).
pub(super) const LEAST_MTU: u32 = 1280;

impl Check<'_, '_> {
    /// `ipv6_ra_mode` and `ipv6_address_mode`, by Neutron's rules (`_validate_ipv6_attributes`). Where neither is said,
    /// machines make their addresses themselves: that needs nothing of them.
    pub(super) fn ipv6_modes(
        &mut self,
        file: &file::Subnet,
        cidr: IpNet,
        dhcp: bool,
    ) -> (Option<Ipv6Mode>, Option<Ipv6Mode>) {
        let keys = [&file.ipv6_ra_mode, &file.ipv6_address_mode];
        let object = &file.object;
        if let Some(key) = keys.into_iter().flatten().next()
            && (cidr.addr().is_ipv4() || !dhcp)
        {
            let (why, fix) = match cidr {
                IpNet::V4(_) => ("a mode of IPv6 on an IPv4 subnet", "remove it"),
                IpNet::V6(_) => (
                    "a mode of IPv6 on a subnet that is not served",
                    "remove it, or say `dhcp = true`",
                ),
            };
            self.mistake(Code::Misplaced, key.at, object, why, fix);
            return (None, None);
        }
        let IpNet::V6(cidr) = cidr else {
            return (None, None);
        };
        let auto = match cidr.prefix_len() {
            _ if !dhcp => None,
            SLAAC_PREFIX => Some(Ipv6Mode::Slaac),
            length if length > SLAAC_PREFIX => Some(Ipv6Mode::Stateful),
            _ => None,
        };
        let none_said = keys.iter().all(|key| key.is_none());
        let mode = |key: &Option<At<Choice<Ipv6Mode>>>| match key.as_ref().map(|key| &key.value) {
            None if !none_said => None,
            None | Some(Choice::Auto) => auto,
            Some(Choice::None) => None,
            Some(Choice::Given(mode)) => Some(*mode),
        };
        let [ra_mode, address_mode] = keys.map(mode);
        let Some(key) = keys.into_iter().flatten().last() else {
            return (ra_mode, address_mode);
        };
        if ra_mode.is_some() && address_mode.is_some() && ra_mode != address_mode {
            let why = "`ipv6_ra_mode` and `ipv6_address_mode` say two ways to one address";
            let fix = "say the same for both, or leave one out";
            self.mistake(Code::Misplaced, key.at, object, why, fix);
        }
        let makes_its_own = |mode| matches!(mode, Some(Ipv6Mode::Slaac | Ipv6Mode::Stateless));
        let by_mac = makes_its_own(ra_mode) || makes_its_own(address_mode);
        if by_mac && cidr.prefix_len() != SLAAC_PREFIX {
            let why = format!(
                "of {cidr} no machine makes an address: that takes a prefix of {SLAAC_PREFIX} bits"
            );
            let fix = "use a /64, or \"dhcpv6-stateful\"";
            self.mistake(Code::Misplaced, key.at, object, why, fix);
        }
        (ra_mode, address_mode)
    }
}
