//! How mistakes are told.

use super::{Code, Severity, mistakes_of};

#[test]
fn what_is_unusual_is_only_a_warning() {
    let (place, warnings) = mistakes_of(
        "[[network]]\nname = \"x\"\nexternal = true\n[[network.subnet]]\ncidr = \"203.0.113.8/29\"\ngateway = ‸\"198.51.100.1\"\n",
    );
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert_eq!(
        (warnings[0].severity, warnings[0].code),
        (Severity::Warning, Code::Unusual)
    );
    assert_eq!(Some((warnings[0].line, warnings[0].column)), place);
}

/// A private key given by mistake is not printed for all to see.
#[test]
fn a_private_key_is_not_repeated() {
    let (_, mistakes) = mistakes_of(
        "[[instance]]\nname = \"x\"\nkeys = [\"-----BEGIN OPENSSH PRIVATE KEY----- b3BlbnNzaC1rZXktdjE\"]\n",
    );
    assert!(
        mistakes
            .iter()
            .all(|mistake| !mistake.to_string().contains("b3BlbnNz")),
        "{mistakes:?}"
    );
    assert!(
        mistakes
            .iter()
            .any(|mistake| mistake.why.contains("private key")),
        "{mistakes:?}"
    );
}

#[test]
fn all_at_once_in_the_order_of_the_file() {
    let (_, mistakes) = mistakes_of(
        "lease = 0\n[[network]]\nname = \"a\"\nmtu = 1\n[[network]]\nname = \"a\"\n[[router]]\nname = \"r\"\ninterfaces = [\"c\"]\n",
    );
    let found: Vec<_> = mistakes
        .iter()
        .map(|mistake| (mistake.line, mistake.code))
        .collect();
    assert_eq!(
        found,
        [
            (1, Code::BadValue),
            (4, Code::BadValue),
            (6, Code::DuplicateName),
            (9, Code::UnknownName)
        ]
    );
}

#[test]
fn one_line_for_people_and_json_for_programs() {
    let (_, mistakes) = mistakes_of("[[network]]\nname = \"b\"\nmtu = 1\n");
    assert_eq!(
        mistakes[0].to_string(),
        "dir/net.toml:3:7: error[W0203]: network \"b\": `mtu`: 1 is out of range; expected number 576 to 65535, such as 1500"
    );
    let json = serde_json::to_value(&mistakes[0]).unwrap();
    assert_eq!(json["code"], "W0203");
    assert_eq!(json["severity"], "error");
    assert_eq!(
        (json["line"].as_u64(), json["column"].as_u64()),
        (Some(3), Some(7))
    );
}
