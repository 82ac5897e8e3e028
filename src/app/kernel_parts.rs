//! Missing kernel parts are named at start; what does not need them runs.

use netns::Part;
use tracing::{error, warn};

use crate::chain;

/// Tells what is missing and who will miss it.
pub(super) async fn report() {
    match netns::missing_parts().await {
        Ok(missing) => {
            for part in missing {
                warn!(%part, "missing in the kernel or on the host: {}", without(part));
            }
        }
        Err(error) => {
            error!(error = %chain(&error), "no namespace can be made here; which parts of the kernel are missing is unknown");
        }
    }
}

fn without(part: Part) -> &'static str {
    match part {
        Part::Veth | Part::Bridge => "no network can be served",
        Part::Vlan => "networks of type vlan cannot leave this host; others run",
        Part::Vxlan => "networks of type vxlan cannot leave this host; others run",
        Part::Nftables | Part::NftProgram => "no router can work; networks without one run",
    }
}
