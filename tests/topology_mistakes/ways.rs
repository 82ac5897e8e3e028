//! Where networks and routers lead.

use super::{BASE, Code, one_mistake_each};

#[test]
fn uplinks() {
    one_mistake_each(
        "",
        &[
            (
                "vlan without device",
                "‸[[network]]\nname = \"x\"\ntype = \"vlan\"\ntag = 5\n",
                Code::MissingKey,
                &["device = "],
            ),
            (
                "vlan without tag",
                "‸[[network]]\nname = \"x\"\ntype = \"vlan\"\ndevice = \"eth1\"\n",
                Code::MissingKey,
                &["tag = "],
            ),
            (
                "flat without device",
                "‸[[network]]\nname = \"x\"\ntype = \"flat\"\n",
                Code::MissingKey,
                &["device = "],
            ),
            (
                "vxlan without VNI",
                "‸[[network]]\nname = \"x\"\ntype = \"vxlan\"\nremotes = [\"192.0.2.1\"]\n",
                Code::MissingKey,
                &["vni = "],
            ),
            (
                "a VNI without vxlan",
                "[[network]]\nname = \"x\"\nvni = ‸5\n",
                Code::Misplaced,
                &["type \"local\"", "type = \"vxlan\""],
            ),
            (
                "a device of a local network",
                "[[network]]\nname = \"x\"\ndevice = ‸\"eth1\"\n",
                Code::Misplaced,
                &["type = \"flat\""],
            ),
            (
                "vxlan to nobody",
                "‸[[network]]\nname = \"x\"\ntype = \"vxlan\"\nvni = 5\n",
                Code::Underlay,
                &["remotes"],
            ),
            (
                "vxlan both ways",
                "[[network]]\nname = \"x\"\ntype = \"vxlan\"\nvni = 5\nremotes = [\"192.0.2.1\"]\ngroup = ‸\"239.1.1.1\"\ndevice = \"eth0\"\n",
                Code::Underlay,
                &["both"],
            ),
            (
                "a group of one",
                "[[network]]\nname = \"x\"\ntype = \"vxlan\"\nvni = 5\ngroup = ‸\"192.0.2.1\"\ndevice = \"eth0\"\n",
                Code::Underlay,
                &["no multicast"],
            ),
            (
                "a group by no device",
                "[[network]]\nname = \"x\"\ntype = \"vxlan\"\nvni = 5\ngroup = ‸\"239.1.1.1\"\n",
                Code::Underlay,
                &["device = "],
            ),
            (
                "a remote that is us",
                "[[network]]\nname = \"x\"\ntype = \"vxlan\"\nvni = 5\nlocal = \"192.0.2.1\"\nremotes = [‸\"192.0.2.1\"]\n",
                Code::Underlay,
                &["this host"],
            ),
            (
                "a remote that is many",
                "[[network]]\nname = \"x\"\ntype = \"vxlan\"\nvni = 5\nremotes = [‸\"239.1.1.1\"]\n",
                Code::Underlay,
                &["no host's"],
            ),
            (
                "an underlay of two kinds",
                "‸[[network]]\nname = \"x\"\ntype = \"vxlan\"\nvni = 5\nlocal = \"192.0.2.1\"\nremotes = [\"2001:db8::1\"]\n",
                Code::Underlay,
                &["mixes"],
            ),
            (
                "a VNI twice",
                "[[network]]\nname = \"x\"\ntype = \"vxlan\"\nvni = 5\nremotes = [\"192.0.2.1\"]\n‸[[network]]\nname = \"y\"\ntype = \"vxlan\"\nvni = 5\nremotes = [\"192.0.2.1\"]\n",
                Code::SharedUplink,
                &["network \"x\" (line 1) has VNI 5"],
            ),
            (
                "a VLAN twice",
                "[[network]]\nname = \"x\"\ntype = \"vlan\"\ntag = 5\ndevice = \"eth1\"\n‸[[network]]\nname = \"y\"\ntype = \"vlan\"\ntag = 5\ndevice = \"eth1\"\n",
                Code::SharedUplink,
                &["VLAN 5 on eth1"],
            ),
            (
                "a device twice",
                "[[network]]\nname = \"x\"\ntype = \"flat\"\ndevice = \"eth1\"\n‸[[network]]\nname = \"y\"\ntype = \"flat\"\ndevice = \"eth1\"\n",
                Code::SharedUplink,
                &["device eth1"],
            ),
            (
                "a bridge twice",
                "[[network]]\nname = \"x\"\nbridge = \"br0\"\n‸[[network]]\nname = \"y\"\nbridge = \"br0\"\n",
                Code::SharedUplink,
                &["bridge br0"],
            ),
            (
                "a bridge that is a device",
                "[[network]]\nname = \"x\"\ntype = \"flat\"\ndevice = \"eth1\"\n‸[[network]]\nname = \"y\"\nbridge = \"eth1\"\n",
                Code::SharedUplink,
                &["also a network's device"],
            ),
        ],
    );
}

#[test]
fn routers() {
    one_mistake_each(
        BASE,
        &[
            (
                "a gateway inside",
                "[[router]]\nname = \"r2\"\ngateway = ‸\"green\"\n",
                Code::Gateway,
                &["not external", "external = true"],
            ),
            (
                "a gateway without subnet",
                "[[network]]\nname = \"x\"\nexternal = true\n[[router]]\nname = \"r2\"\ngateway = ‸\"x\"\n",
                Code::Gateway,
                &["no subnet"],
            ),
            (
                "a gateway address elsewhere",
                "[[router]]\nname = \"r2\"\ngateway = { network = \"outside\", address = ‸\"198.51.100.1\" }\n",
                Code::OutsideSubnet,
                &["203.0.113.0/24"],
            ),
            (
                "a gateway address of another",
                "[[router]]\nname = \"r2\"\ngateway = { network = \"outside\", address = ‸\"203.0.113.10\" }\n",
                Code::AddressTaken,
                &["router \"r1\", gateway"],
            ),
            (
                "the world's gateway",
                "[[router]]\nname = \"r2\"\ngateway = { network = \"outside\", address = ‸\"203.0.113.1\" }\n",
                Code::AddressTaken,
                &["gateway of 203.0.113.0/24"],
            ),
            (
                "in and out by one network",
                "[[router]]\nname = \"r2\"\ninterfaces = [{ network = \"outside\", address = \"203.0.113.77\" }]\ngateway = ‸\"outside\"\n",
                Code::Gateway,
                &["interface already"],
            ),
            (
                "an interface twice",
                "[[router]]\nname = \"r2\"\ninterfaces = [{ network = \"green\", address = \"10.10.2.9\" }, ‸{ network = \"green\", address = \"10.10.2.8\" }]\n",
                Code::AddressTaken,
                &["two interfaces"],
            ),
            (
                "an interface's address elsewhere",
                "[[router]]\nname = \"r2\"\ninterfaces = [{ network = \"green\", address = ‸\"10.10.3.9\" }]\n",
                Code::OutsideSubnet,
                &["not in 10.10.2.0/24"],
            ),
            (
                "a next hop nowhere",
                "[[router]]\nname = \"r2\"\ninterfaces = [{ network = \"green\", address = \"10.10.2.9\" }]\nroutes = [{ to = \"default\", via = ‸\"192.0.2.1\" }]\n",
                Code::NextHop,
                &["10.10.2.0/24"],
            ),
            (
                "a floating IP elsewhere",
                "[[router.floating_ip]]\naddress = ‸\"198.51.100.1\"\ninstance = \"web\"\n",
                Code::OutsideSubnet,
                &["203.0.113.0/24"],
            ),
            (
                "a floating IP at the gateway",
                "[[router.floating_ip]]\naddress = ‸\"203.0.113.10\"\ninstance = \"web\"\n",
                Code::AddressTaken,
                &["router \"r1\", gateway (line 27)"],
            ),
            (
                "a floating IP at the world's gateway",
                "[[router.floating_ip]]\naddress = ‸\"203.0.113.1\"\ninstance = \"web\"\n",
                Code::AddressTaken,
                &["gateway of 203.0.113.0/24"],
            ),
            (
                "a floating IP twice",
                "[[router.floating_ip]]\naddress = \"203.0.113.20\"\n[[router.floating_ip]]\naddress = ‸\"203.0.113.20\"\nid = \"0d60a1cc-5d0e-4f5e-8f3c-3f3a6c1a7d11\"\n",
                Code::AddressTaken,
                &["(line 29) has 203.0.113.20"],
            ),
            (
                "two floating IPs of one instance",
                "[[router.floating_ip]]\naddress = \"203.0.113.20\"\ninstance = \"web\"\n[[router.floating_ip]]\naddress = ‸\"203.0.113.21\"\nfixed = \"10.10.1.11\"\n",
                Code::ForwardingConflict,
                &["line 29"],
            ),
            (
                "a floating IP without gateway",
                "[[router]]\nname = \"r2\"\ninterfaces = [{ network = \"blue\", address = \"10.10.1.9\" }]\n‸[[router.floating_ip]]\ninstance = \"web\"\n",
                Code::Gateway,
                &["no gateway"],
            ),
            (
                "a floating IP of an instance out of reach",
                "[[router]]\nname = \"r2\"\ngateway = \"outside\"\ninterfaces = [{ network = \"green\", address = \"10.10.2.9\" }]\n[[router.floating_ip]]\ninstance = ‸\"web\"\n",
                Code::Unreachable,
                &["10.10.2.0/24"],
            ),
            (
                "a floating IP of a strange address",
                "[[router.floating_ip]]\nfixed = ‸\"10.10.9.9\"\n",
                Code::Unreachable,
                &["10.10.1.0/24, 10.10.2.0/24"],
            ),
            (
                "a floating IP of no such port",
                "[[router.floating_ip]]\ninstance = \"web\"\nport = ‸\"green\"\n",
                Code::Unreachable,
                &["no port \"green\""],
            ),
            (
                "a port of nobody",
                "[[router.floating_ip]]\nport = ‸\"green\"\n",
                Code::Misplaced,
                &["instance"],
            ),
            (
                "two targets",
                "[[router.floating_ip]]\ninstance = \"web\"\nfixed = ‸\"10.10.1.11\"\n",
                Code::Misplaced,
                &["both"],
            ),
            (
                "which of two ports",
                "[[router.floating_ip]]\ninstance = ‸\"two\"\n[[instance]]\nname = \"two\"\n[[instance.port]]\nnetwork = \"blue\"\n[[instance.port]]\nnetwork = \"green\"\n",
                Code::Ambiguous,
                &["add `port`"],
            ),
            (
                "a forwarding to nobody",
                "‸[[router.port_forwarding]]\nexternal_port = 80\n",
                Code::MissingKey,
                &["whom"],
            ),
            (
                "a forwarded port twice",
                "[[router.port_forwarding]]\nexternal_port = \"80-90\"\ninternal_port = 80\ninstance = \"web\"\n[[router.port_forwarding]]\nexternal_port = ‸85\ninstance = \"web\"\n",
                Code::ForwardingConflict,
                &["line 28"],
            ),
            (
                "a wider inside",
                "[[router.port_forwarding]]\nexternal_port = 80\ninternal_port = ‸\"80-81\"\ninstance = \"web\"\n",
                Code::ForwardingConflict,
                &["nobody could reach"],
            ),
            (
                "a forwarding of a floating IP in use",
                "[[router.floating_ip]]\naddress = \"203.0.113.20\"\ninstance = \"web\"\n[[router.port_forwarding]]\naddress = ‸\"203.0.113.20\"\nexternal_port = 80\ninstance = \"web\"\n",
                Code::ForwardingConflict,
                &["leads to an instance already"],
            ),
        ],
    );
}
