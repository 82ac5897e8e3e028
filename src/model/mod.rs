//! What a cloud's networking is made of, in Neutron's nouns. Values only: no clock, no file, no socket, no kernel.
//!
//! A source (`topology/`, `neutron/`) emits [`Event`]s; [`State`] is what they add up to; a [`Target`] is one thing to
//! converge; a [`Report`] says what became of it. Text from outside became a type before it came here.

mod dhcp_option;
mod dhcp_tag;
mod event;
mod ids;
mod instance;
mod network;
mod port;
mod report;
mod router;
mod state;

pub(crate) use dhcp_option::is_of_subnets;
pub use dhcp_option::{DhcpOption, OptionError, Tag, Within, parse_client_id};
pub(crate) use dhcp_tag::begins;
pub use dhcp_tag::{Class6, DhcpTag, Sought, When};
pub use event::{Event, Target};
pub use ids::{
    AddressScopeId, FloatingIpId, InstanceId, NetworkId, PortForwardingId, PortId, ProjectId,
    RouterId, SegmentId, SubnetId,
};
pub use instance::{Instance, PublicKey};
pub use network::{Attachment, HostRoute, Ipv6Mode, Network, Segment, Subnet, Vxlan};
pub use port::{DeviceOwner, DnsAssignment, FixedIp, Port};
pub use report::Report;
pub use router::{
    AddressScopes, ConntrackHelper, FloatingIp, FloatingIpStatus, Forwarding, Gateway,
    PortForwarding, Protocol, Router, RouterKind, RouterPort, RouterSubnet,
};
pub use state::State;

pub use ipnet::{IpNet, Ipv4Net, Ipv6Net};
pub use netns::{DevName, MacAddr, NsName};
