//! Who is meant by which name, and who has which address.

use super::{BASE, Code, one_mistake_each};

#[test]
fn names_and_ids() {
    one_mistake_each(
        BASE,
        &[
            (
                "a network's name twice",
                "[[network]]\nname = ‸\"blue\"\n",
                Code::DuplicateName,
                &["line 3", "network \"blue\" already"],
            ),
            (
                "an instance's name twice",
                "[[instance]]\nname = ‸\"web\"\nhostname = \"web\"\n[[instance.port]]\nnetwork = \"green\"\n",
                Code::DuplicateName,
                &["instance \"web\" already"],
            ),
            (
                "a router's name twice",
                "[[router]]\nname = ‸\"r1\"\n",
                Code::DuplicateName,
                &["router \"r1\" already"],
            ),
            (
                "a host name twice",
                "[[instance]]\nname = \"other\"\nhostname = \"web\"\n‸[[instance.port]]\nnetwork = \"blue\"\n",
                Code::DuplicateName,
                &["line 20", "host name \"web\""],
            ),
            (
                "an id twice",
                "[[router]]\nname = \"r2\"\nid = \"0d60a1cc-5d0e-4f5e-8f3c-3f3a6c1a7d11\"\n[[router]]\nname = \"r3\"\nid = ‸\"0d60a1cc-5d0e-4f5e-8f3c-3f3a6c1a7d11\"\n",
                Code::DuplicateId,
                &["router \"r2\" (line 30)"],
            ),
            (
                "an unknown network, nearly known",
                "[[instance]]\nname = \"x\"\n[[instance.port]]\nnetwork = ‸\"bleu\"\n",
                Code::UnknownName,
                &["did you mean \"blue\""],
            ),
            (
                "an unknown network",
                "[[instance]]\nname = \"x\"\n[[instance.port]]\nnetwork = ‸\"somewhere\"\n",
                Code::UnknownName,
                &["there is no network \"somewhere\""],
            ),
            (
                "an unknown interface",
                "[[router]]\nname = \"r2\"\ninterfaces = [‸\"geen\"]\n",
                Code::UnknownName,
                &["did you mean \"green\""],
            ),
            (
                "an unknown gateway",
                "[[router]]\nname = \"r2\"\ngateway = ‸\"outsid\"\n",
                Code::UnknownName,
                &["did you mean \"outside\""],
            ),
            (
                "an unknown instance",
                "[[router.floating_ip]]\ninstance = ‸\"wob\"\n",
                Code::UnknownName,
                &["did you mean \"web\""],
            ),
            (
                "an unknown subnet",
                "[[router]]\nname = \"r2\"\ninterfaces = [{ subnet = ‸\"10.10.9.0/24\" }]\n",
                Code::UnknownName,
                &["no subnet"],
            ),
            (
                "a subnet's name twice",
                "[[network]]\nname = \"x\"\n[[network.subnet]]\nname = \"s\"\ncidr = \"10.1.0.0/24\"\n[[network.subnet]]\nname = ‸\"s\"\ncidr = \"10.2.0.0/24\"\n",
                Code::DuplicateName,
                &["subnet \"s\" already"],
            ),
            (
                "which of two subnets",
                "[[network]]\nname = \"x\"\n[[network.subnet]]\ncidr = \"10.1.0.0/24\"\n[[network.subnet]]\ncidr = \"10.2.0.0/24\"\n[[router]]\nname = \"r2\"\ninterfaces = [‸\"x\"]\n",
                Code::Ambiguous,
                &["10.1.0.0/24, 10.2.0.0/24"],
            ),
            (
                "which of two networks' subnets",
                "[[network]]\nname = \"x\"\n[[network.subnet]]\ncidr = \"10.10.1.0/24\"\n[[router]]\nname = \"r2\"\ninterfaces = [‸\"10.10.1.0/24\"]\n",
                Code::Ambiguous,
                &["more than one subnet"],
            ),
            (
                "network or subnet",
                "[[network]]\nname = \"x\"\n[[network.subnet]]\nname = \"y\"\ncidr = \"10.1.0.0/24\"\n[[network]]\nname = \"y\"\n[[router]]\nname = \"r2\"\ninterfaces = [‸\"y\"]\n",
                Code::Ambiguous,
                &["both a network and a subnet"],
            ),
            (
                "an interface that says nothing",
                "[[router]]\nname = \"r2\"\ninterfaces = [‸{ }]\n",
                Code::MissingKey,
                &["neither network nor subnet"],
            ),
            (
                "an instance without port",
                "‸[[instance]]\nname = \"x\"\n",
                Code::MissingKey,
                &["[[instance.port]]"],
            ),
            (
                "two keys of one name",
                "[[instance]]\nname = \"x\"\nkeys = [\"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAA a\", { name = \"a\", key = ‸\"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAA\" }]\n[[instance.port]]\nnetwork = \"blue\"\n",
                Code::DuplicateName,
                &["two keys named \"a\""],
            ),
        ],
    );
}

#[test]
fn addresses() {
    one_mistake_each(
        BASE,
        &[
            (
                "subnets that overlap on one network",
                "‸[[network]]\nname = \"x\"\n[[network.subnet]]\ncidr = \"10.1.0.0/16\"\n[[network.subnet]]\ncidr = \"10.1.2.0/24\"\n",
                Code::Overlap,
                &["10.1.0.0/16 and 10.1.2.0/24"],
            ),
            (
                "subnets that overlap on one router",
                "[[network]]\nname = \"x\"\n[[network.subnet]]\ncidr = \"10.10.0.0/16\"\ngateway = \"10.10.9.9\"\n[[router]]\nname = \"r2\"\ninterfaces = [‸{ network = \"blue\", address = \"10.10.1.254\" }, \"x\"]\n",
                Code::Overlap,
                &[
                    "10.10.1.0/24 of network \"blue\"",
                    "10.10.0.0/16 of network \"x\"",
                ],
            ),
            (
                "a network of nobody",
                "[[network]]\nname = \"x\"\n[[network.subnet]]\ncidr = ‸\"127.0.0.0/24\"\n",
                Code::Unusable,
                &["no network that hosts"],
            ),
            (
                "a network of groups",
                "[[network]]\nname = \"x\"\n[[network.subnet]]\ncidr = ‸\"224.0.0.0/24\"\n",
                Code::Unusable,
                &["no network that hosts"],
            ),
            (
                "everything",
                "[[network]]\nname = \"x\"\n[[network.subnet]]\ncidr = ‸\"0.0.0.0/0\"\n",
                Code::Unusable,
                &["no network that hosts"],
            ),
            (
                "metadata's network",
                "[[network]]\nname = \"x\"\n[[network.subnet]]\ncidr = ‸\"169.254.0.0/16\"\n",
                Code::Unusable,
                &["169.254.169.254"],
            ),
            (
                "a gateway elsewhere",
                "[[network]]\nname = \"x\"\n[[network.subnet]]\ncidr = \"10.1.0.0/24\"\ngateway = ‸\"10.2.0.1\"\n",
                Code::OutsideSubnet,
                &["not in 10.1.0.0/24"],
            ),
            (
                "a gateway that is broadcast",
                "[[network]]\nname = \"x\"\n[[network.subnet]]\ncidr = \"10.1.0.0/24\"\ngateway = ‸\"10.1.0.255\"\n",
                Code::Unusable,
                &["broadcast"],
            ),
            (
                "a DHCP address elsewhere",
                "[[network]]\nname = \"x\"\n[[network.subnet]]\ncidr = \"10.1.0.0/24\"\ndhcp_address = ‸\"10.2.0.1\"\n",
                Code::OutsideSubnet,
                &["not in 10.1.0.0/24"],
            ),
            (
                "a DHCP address without DHCP",
                "[[network]]\nname = \"x\"\n[[network.subnet]]\ncidr = \"10.1.0.0/24\"\ndhcp = false\ndhcp_address = ‸\"10.1.0.2\"\n",
                Code::Misplaced,
                &["dhcp = true"],
            ),
            (
                "a DHCP address at the gateway",
                "[[network]]\nname = \"x\"\n[[network.subnet]]\ncidr = \"10.1.0.0/24\"\ndhcp_address = ‸\"10.1.0.1\"\n",
                Code::AddressTaken,
                &["gateway of 10.1.0.0/24"],
            ),
            (
                "an allocation elsewhere",
                "[[network]]\nname = \"x\"\n[[network.subnet]]\ncidr = \"10.1.0.0/24\"\nallocation = [‸\"10.1.0.200-10.1.1.20\"]\n",
                Code::OutsideSubnet,
                &["not within"],
            ),
            (
                "an address elsewhere",
                "[[instance]]\nname = \"x\"\n[[instance.port]]\nnetwork = \"blue\"\naddresses = [‸\"10.10.2.5\"]\n",
                Code::OutsideSubnet,
                &["in no subnet of network \"blue\"", "10.10.1.0/24"],
            ),
            (
                "a word for an address",
                "[[instance]]\nname = \"x\"\n[[instance.port]]\nnetwork = \"blue\"\naddresses = [‸\"green\"]\n",
                Code::BadValue,
                &["neither an address nor a subnet"],
            ),
            (
                "an address of the network",
                "[[instance]]\nname = \"x\"\n[[instance.port]]\nnetwork = \"blue\"\naddresses = [‸\"10.10.1.0\"]\n",
                Code::Unusable,
                &["network or broadcast"],
            ),
            (
                "an address twice",
                "[[instance]]\nname = \"x\"\n[[instance.port]]\nnetwork = \"blue\"\naddresses = [‸\"10.10.1.11\"]\n",
                Code::AddressTaken,
                &["instance \"web\", port \"blue\" (line 22) has 10.10.1.11"],
            ),
            (
                "the router's address",
                "[[instance]]\nname = \"x\"\n[[instance.port]]\nnetwork = \"blue\"\naddresses = [‸\"10.10.1.1\"]\n",
                Code::AddressTaken,
                &["router \"r1\""],
            ),
            (
                "the gateway of another router",
                "[[router]]\nname = \"r2\"\ninterfaces = [‸\"blue\"]\n",
                Code::AddressTaken,
                &["router \"r1\"", "with an `address` of its own"],
            ),
            (
                "a MAC twice",
                "[[instance]]\nname = \"x\"\n[[instance.port]]\nnetwork = \"blue\"\nmac = \"fa:16:3e:00:00:01\"\n[[instance]]\nname = \"y\"\n[[instance.port]]\nnetwork = \"blue\"\nmac = ‸\"FA-16-3E-00-00-01\"\n",
                Code::DuplicateMac,
                &["instance \"x\", port \"blue\" (line 32)"],
            ),
            (
                "more than there are",
                "[[network]]\nname = \"x\"\n[[network.subnet]]\ncidr = \"10.1.0.0/30\"\n[[instance]]\nname = \"y\"\n‸[[instance.port]]\nnetwork = \"x\"\n",
                Code::SubnetFull,
                &["1 free addresses for 2"],
            ),
            (
                "a network without subnet",
                "[[network]]\nname = \"x\"\n[[instance]]\nname = \"y\"\n‸[[instance.port]]\nnetwork = \"x\"\n",
                Code::SubnetFull,
                &["addresses = []"],
            ),
        ],
    );
}
