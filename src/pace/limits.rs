//! The budgets of all servers, and what they are where an operator says nothing.

use serde::{Deserialize, Serialize};

use super::{Budgets, Rate};

/// What one network may ask of each kind of server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// DHCP and DHCPv6, each.
    pub dhcp: Budgets,
    pub dns: Budgets,
    /// Router solicitations. What is read at all, their server says itself.
    pub ra: Budgets,
    /// Metadata: connections, and as many requests.
    pub metadata: Budgets,
}

impl Limits {
    /// A machine that boots sends five messages, one with a boot ROM twice as many, within some seconds. All of a network may do
    /// so at once; and what a flood of 100,000 packets per second brings is read whole, so that who is among them is served.
    pub const DHCP: Budgets = Budgets {
        client: rate(100, 500),
        others: rate(200, 1000),
        network: rate(120_000, 20_000),
    };

    /// A busy resolver of a tenant's may ask five times what a large cloud's own resolver allows an instance (Amazon's: 1,024 per
    /// second, by the whitepaper "Hybrid Cloud DNS Options for Amazon VPC"); and what a flood of 100,000 packets per second brings is read whole, so that who is among them is served.
    /// Addresses that are no port's may be an instance's (a privacy address, a virtual one), or made up: each that is answered is
    /// some seconds in the neighbour table, of which the host has one (1,024 entries, if nobody raised that), so few of them are
    /// met for the first time.
    pub const DNS: Budgets = Budgets {
        client: rate(5000, 2500),
        others: rate(20, 200),
        network: rate(120_000, 20_000),
    };

    /// A machine asks three times when its interface comes up.
    pub const RA: Budgets = Budgets {
        client: rate(2, 20),
        others: rate(100, 1000),
        ..Budgets::UNLIMITED
    };

    /// cloud-init makes some dozens within some seconds.
    pub const METADATA: Budgets = Budgets {
        client: rate(500, 2000),
        others: rate(100, 1000),
        network: rate(5000, 10_000),
    };
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            dhcp: Self::DHCP,
            dns: Self::DNS,
            ra: Self::RA,
            metadata: Self::METADATA,
        }
    }
}

const fn rate(per_second: u32, at_once: u32) -> Rate {
    Rate {
        per_second,
        at_once,
    }
}

impl Rate {
    /// The same burst, measured in seconds, of another rate.
    #[must_use]
    pub fn scaled_to(self, per_second: u32) -> Self {
        let at_once = u64::from(self.at_once) * u64::from(per_second);
        let at_once = at_once / u64::from(self.per_second.max(1));
        Self {
            per_second,
            // One token at least: else nobody is ever served.
            at_once: u32::try_from(at_once).unwrap_or(u32::MAX).max(1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_goes_along_with_its_rate() {
        for (name, of, per_second, want) in [
            ("the same", rate(100, 500), 100, 500),
            ("more", rate(100, 500), 1000, 5000),
            ("less", rate(20, 200), 1, 10),
            ("never nothing", rate(120_000, 20_000), 1, 1),
            ("never more than there is", rate(1, u32::MAX), 2, u32::MAX),
        ] {
            let got = of.scaled_to(per_second);
            assert_eq!(got, rate(per_second, want), "{name}");
        }
    }
}
