//! What DHCP is to tell, and to whom.

use super::{BASE, Code, one_mistake_each};

#[test]
fn dhcp_options() {
    one_mistake_each(
        BASE,
        &[
            (
                "an option that is none",
                "[[instance]]\nname = \"x\"\n[[instance.port]]\nnetwork = \"blue\"\ndhcp_options = { colour = ‸\"blue\" }\n",
                Code::BadValue,
                &["colour"],
            ),
            (
                "an option's bad value",
                "[[instance]]\nname = \"x\"\n[[instance.port]]\nnetwork = \"blue\"\ndhcp_options = [{ name = \"ntp-server\", value = ‸\"now\" }]\n",
                Code::BadValue,
                &["ntp-server", "IPv4"],
            ),
            (
                "a client id of everybody",
                "[[network]]\nname = \"x\"\ndhcp_options = ‸{ client-id = \"me\" }\n",
                Code::Misplaced,
                &["client-id", "single machine"],
            ),
            (
                "name servers of DHCPv6 for everybody",
                "[[network]]\nname = \"a\"\ndhcp_options = ‸{ \"option6:dns-server\" = \"2001:db8::53\" }\n",
                Code::Misplaced,
                &["option 23 is told for each subnet"],
            ),
            (
                "a router for everybody",
                "[[network]]\nname = \"x\"\ndhcp_options = ‸{ router = \"10.0.0.1\" }\n",
                Code::Misplaced,
                &["option 3", "`gateway`"],
            ),
            (
                "an option inside of none",
                "[[network]]\nname = \"x\"\ndhcp_options = { \"vendor:PXEClient,menu\" = ‸\"x\" }\n",
                Code::BadValue,
                &["vendor:PXEClient,menu", "has a number"],
            ),
            (
                "an option of DHCPv6 that is written into another word",
                "[[network]]\nname = \"x\"\ndhcp_options = { \"1option6:59\" = ‸\"x\" }\n",
                Code::BadValue,
                &["1option6:59", "no option of this name"],
            ),
            (
                "a tag that nobody has",
                "[[network]]\nname = \"x\"\ndhcp_options = { \"tag:efi,67\" = ‸\"x\" }\n",
                Code::Unusual,
                &["\"efi\"", "dhcp_tag"],
            ),
            (
                "an option of no DHCP",
                "[[instance]]\nname = \"x\"\n[[instance.port]]\nnetwork = \"blue\"\ndhcp_options = [{ name = \"59\", value = \"x\", ip_version = ‸5 }]\n",
                Code::BadValue,
                &["5 is no version"],
            ),
            (
                "an option of both versions",
                "[[instance]]\nname = \"x\"\n[[instance.port]]\nnetwork = \"blue\"\ndhcp_options = [{ name = \"option6:59\", value = ‸\"x\", ip_version = 4 }]\n",
                Code::BadValue,
                &["its name says DHCPv6, and `ip_version` 4"],
            ),
        ],
    );
}

#[test]
fn dhcp_tags() {
    one_mistake_each(
        BASE,
        &[
            (
                "a tag of nobody",
                "‸[[dhcp_tag]]\nname = \"efi\"\n",
                Code::MissingKey,
                &["who has this tag", "vendor_class"],
            ),
            (
                "a tag in two ways",
                "[[dhcp_tag]]\nname = \"efi\"\noption = 93\nmac = ‸\"52:54:00\"\n",
                Code::Misplaced,
                &["keep one of them"],
            ),
            (
                "a value of no option",
                "[[dhcp_tag]]\nname = \"efi\"\nvalue = ‸7\nmac = \"52:54:00\"\n",
                Code::Misplaced,
                &["`value`", "which option"],
            ),
            (
                "a tag by no option",
                "[[dhcp_tag]]\nname = \"efi\"\noption = ‸\"client-arc\"\nvalue = 7\n",
                Code::BadValue,
                &["client-arch"],
            ),
            (
                "a tag by no option of DHCPv6",
                "[[dhcp_tag]]\nname = \"efi\"\noption = ‸\"option6:client-arc\"\nvalue = 7\n",
                Code::BadValue,
                &["no option of this name", "client-arch"],
            ),
            (
                "a tag by no architecture",
                "[[dhcp_tag]]\nname = \"efi\"\noption = ‸93\nvalue = \"x86\"\n",
                Code::BadValue,
                &["takes a number"],
            ),
            (
                "a tag that is none",
                "[[dhcp_tag]]\nname = \"e f i\"\nmac = ‸\"52:54:00\"\n",
                Code::BadValue,
                &["is no tag"],
            ),
        ],
    );
}
