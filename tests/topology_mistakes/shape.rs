//! No TOML, no such key, another type.

use super::{Code, mistakes_of, one_mistake_each};

#[test]
fn syntax() {
    one_mistake_each(
        "",
        &[
            (
                "text without quotes",
                "[[network]]\nname = ‸blue\n",
                Code::Syntax,
                &["quotes"],
            ),
            (
                "an address without quotes",
                "[[network]]\nname = \"b\"\ngateway = 10.0‸.0.1\n",
                Code::Syntax,
                &["quotes"],
            ),
            (
                "an open text",
                "[[network]]\nname = \"blue‸\n",
                Code::Syntax,
                &["expected `\"`"],
            ),
            (
                "a list that never ends",
                "[[router]]\nname = \"r\"\ninterfaces = ‸[\"a\",\n\"b\"\n[[network]]\nname = \"b\"\n",
                Code::Syntax,
                &["never closed"],
            ),
            (
                "a table that never ends",
                "[[router]]\nname = \"r\"\ngateway = ‸{ network = \"a\"\n",
                Code::Syntax,
                &["never closed"],
            ),
            (
                "a header that never ends",
                "[[router‸\nname = \"r\"\n",
                Code::Syntax,
                &["unclosed"],
            ),
            (
                "a key twice",
                "[[router]]\nname = \"r\"\n‸name = \"s\"\n",
                Code::Syntax,
                &["duplicate key"],
            ),
            (
                "a key alone",
                "[[router]]\nname‸\n",
                Code::Syntax,
                &["expected `=`"],
            ),
        ],
    );
}

/// What is whole in a broken file is judged too, and nothing is invented about the rest.
#[test]
fn syntax_and_more() {
    let (_, mistakes) = mistakes_of(
        "[[network]]\nname = blue\nmtu = 15\ncolour = 1\n[[router]]\nname = \"r\"\ninterfaces = [\"blue\"\n",
    );
    let found: Vec<_> = mistakes
        .iter()
        .map(|mistake| (mistake.line, mistake.code))
        .collect();
    assert_eq!(
        found,
        [
            (2, Code::Syntax),
            (3, Code::BadValue),
            (4, Code::UnknownKey),
            (7, Code::Syntax)
        ]
    );
}

#[test]
fn shape() {
    one_mistake_each(
        "",
        &[
            (
                "a misspelled key",
                "‸dns_domian = \"x\"\n",
                Code::UnknownKey,
                &["did you mean `dns_domain`"],
            ),
            (
                "Neutron's word",
                "[[network]]\nname = \"b\"\n[[network.subnet]]\ncidr = \"10.0.0.0/24\"\n‸enable_dhcp = true\n",
                Code::UnknownKey,
                &["did you mean `dhcp`"],
            ),
            (
                "a key below the wrong header",
                "[[network]]\nname = \"b\"\n[[network.subnet]]\ncidr = \"10.0.0.0/24\"\n‸mtu = 1500\n",
                Code::UnknownKey,
                &["key of network: move it above network.subnet"],
            ),
            (
                "a key above its header",
                "‸mtu = 1500\n",
                Code::UnknownKey,
                &["key of `network`"],
            ),
            (
                "a key too high",
                "[[network]]\nname = \"b\"\n‸cidr = \"10.0.0.0/24\"\n",
                Code::UnknownKey,
                &["key of `subnet`"],
            ),
            (
                "a key of nothing",
                "[[network]]\nname = \"b\"\n‸colour = \"blue\"\n",
                Code::UnknownKey,
                &["use one of: name, id"],
            ),
            (
                "another plural",
                "[[‸networks]]\nname = \"b\"\n",
                Code::UnknownKey,
                &["did you mean `network`"],
            ),
            (
                "single brackets",
                "‸[network]\nname = \"b\"\n",
                Code::WrongType,
                &["[[network]] with double brackets"],
            ),
            (
                "single brackets below",
                "[[network]]\nname = \"b\"\n‸[network.subnet]\ncidr = \"10.0.0.0/24\"\n",
                Code::WrongType,
                &["[[network.subnet]] with double brackets"],
            ),
            (
                "names for tables",
                "network = ‸[\"blue\"]\n",
                Code::WrongType,
                &["[[network]] with double brackets"],
            ),
            (
                "text for a number",
                "[[network]]\nname = \"b\"\nmtu = ‸\"1500\"\n",
                Code::WrongType,
                &["network \"b\": `mtu` is text", "number 576 to 65535"],
            ),
            (
                "a number for text",
                "[[network]]\nname = ‸5\n",
                Code::WrongType,
                &["`name` is a number"],
            ),
            (
                "one for a list",
                "dns_resolvers = ‸\"192.0.2.1\"\n",
                Code::WrongType,
                &["`dns_resolvers` is text", "[\"192.0.2.53\"]"],
            ),
            (
                "a name is missing",
                "‸[[network]]\nmtu = 1500\n",
                Code::MissingKey,
                &["network 1: `name` is missing"],
            ),
            (
                "a cidr is missing",
                "[[network]]\nname = \"b\"\n‸[[network.subnet]]\ndhcp = true\n",
                Code::MissingKey,
                &["network \"b\", subnet 1", "cidr = "],
            ),
        ],
    );
}
