//! What is known of a DHCP client by what it says: tags, by which options are chosen. Written as dnsmasq writes it, since
//! that is what operators have in `dnsmasq_config_file`.

use serde::{Deserialize, Serialize};

use super::Tag;
use super::dhcp_option::{any_v4, any_v6, is_tag, prefix_of, sought, unquoted};

/// A client has the tag `name` if `when` holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DhcpTag {
    pub name: String,
    pub when: When,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum When {
    /// It sends this option (RFC 2132 code), with this in it.
    Says { code: u8, sought: Sought },
    /// With DHCPv6, it sends this option (RFC 8415 code), with this in it.
    Says6 { code: u16, sought: Sought },
    /// With DHCPv6, one of the texts of its class has this in it.
    Class6 { of: Class6, part: Vec<u8> },
    /// Its MAC begins so; `None` is any byte.
    Mac(Vec<Option<u8>>),
    /// It has and has not these other tags, of those that stand before.
    Tagged(Vec<Tag>),
}

/// Where DHCPv6 has classes, as lists of texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Class6 {
    /// Option 15.
    User,
    /// Option 16 of this enterprise; `None`: of any.
    Vendor(Option<u32>),
}

/// What is looked for in an option's bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Sought {
    Anything,
    /// They begin so; `None` is any byte.
    Start(Vec<Option<u8>>),
    /// One of the values that they are a list of.
    Element(Vec<u8>),
    /// These, wherever.
    Part(Vec<u8>),
}

/// Options of a client in which what it is stands as text.
const VENDOR_CLASS: u8 = 60;
const USER_CLASS: u8 = 77;

impl DhcpTag {
    /// `set:TAG,OPTION[,VALUE]` (dnsmasq's `dhcp-match`), OPTION being a number, `option:NAME`, or of DHCPv6 `option6:NUMBER` or
    /// `option6:NAME`. `Err` says what would be right, here and below.
    pub fn parse_match(text: &str) -> Result<Self, String> {
        let (name, rest) = set(text)?;
        let (option, value) = rest.split_once(',').unwrap_or((rest, ""));
        Self::of_option(name, option, value)
    }

    /// The same in parts.
    pub fn of_option(name: &str, option: &str, value: &str) -> Result<Self, String> {
        let option = option.trim();
        if let Some(option) = option.strip_prefix("option6:") {
            let (code, kind) = any_v6(option)?;
            let sought = sought(kind, value.trim())?;
            return Self::new(name, When::Says6 { code, sought });
        }
        let (code, kind) = any_v4(option.strip_prefix("option:").unwrap_or(option))?;
        let sought = sought(kind, value.trim())?;
        Self::new(name, When::Says { code, sought })
    }

    /// `set:TAG,TEXT` (`dhcp-vendorclass`), which is of DHCPv4; `set:TAG,enterprise:NUMBER,TEXT` of DHCPv6.
    pub fn parse_vendor_class(text: &str) -> Result<Self, String> {
        let (name, class) = set(text)?;
        let Some(rest) = class.strip_prefix("enterprise:") else {
            return Self::of_class(name, VENDOR_CLASS, unquoted(class));
        };
        let (number, class) = rest.split_once(',').unwrap_or((rest, ""));
        let number = number.trim().parse();
        let number =
            number.map_err(|_| "an enterprise is a number: set:TAG,enterprise:343,TEXT")?;
        Self::of_class6(name, Class6::Vendor(Some(number)), unquoted(class.trim()))
    }

    /// `set:TAG,TEXT` (`dhcp-userclass`), of either version.
    pub fn parse_user_class(text: &str) -> Result<[Self; 2], String> {
        let (name, class) = set(text)?;
        Self::of_user_class(name, unquoted(class))
    }

    /// By a part of option 60; with DHCPv6 of option 16, whichever the enterprise.
    pub fn of_vendor_class(name: &str, class: &str) -> Result<[Self; 2], String> {
        let v6 = Self::of_class6(name, Class6::Vendor(None), class)?;
        Ok([Self::of_class(name, VENDOR_CLASS, class)?, v6])
    }

    /// By a part of option 77; with DHCPv6 of option 15.
    pub fn of_user_class(name: &str, class: &str) -> Result<[Self; 2], String> {
        let v6 = Self::of_class6(name, Class6::User, class)?;
        Ok([Self::of_class(name, USER_CLASS, class)?, v6])
    }

    /// `set:TAG,MAC`, with `*` for any byte (`dhcp-mac`).
    pub fn parse_mac(text: &str) -> Result<Self, String> {
        let (name, mac) = set(text)?;
        Self::of_mac(name, mac)
    }

    /// The same in parts; the MAC may be its beginning alone.
    pub fn of_mac(name: &str, mac: &str) -> Result<Self, String> {
        let mac = prefix_of(mac.trim()).filter(|bytes| bytes.len() <= 6);
        let mac =
            mac.ok_or("a MAC is bytes with colons between, and `*` for any: fa:16:3e:*:*:*")?;
        Self::new(name, When::Mac(mac))
    }

    /// `set:TAG,tag:A,tag:!B` (`tag-if`), with as many to be set and to be had as wanted.
    pub fn parse_if(text: &str) -> Result<Vec<Self>, String> {
        let (mut names, mut tags) = (Vec::new(), Vec::new());
        for part in text.split(',').map(str::trim) {
            if let Some(name) = part.strip_prefix("set:") {
                names.push(name);
            } else if let Some(tag) = part.strip_prefix("tag:") {
                tags.push(Tag::parse(tag)?);
            } else {
                return Err(format!("{part:?} is neither set:TAG nor tag:TAG"));
            }
        }
        if names.is_empty() {
            return Err("it sets no tag: set:both,tag:one,tag:other".into());
        }
        let of = |name: &str| Self::new(name, When::Tagged(tags.clone()));
        names.into_iter().map(of).collect()
    }

    /// With other tags, `TAG` or `!TAG`.
    pub fn of_tags<'a>(
        name: &str,
        tags: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, String> {
        let tags: Result<Vec<Tag>, String> = tags.into_iter().map(Tag::parse).collect();
        Self::new(name, When::Tagged(tags?))
    }

    /// Those that depend on others come last, whatever the order in which they were said (dnsmasq: `run_tag_if`).
    pub fn order(tags: &mut [Self]) {
        tags.sort_by_key(|tag| matches!(tag.when, When::Tagged(_)));
    }

    fn of_class(name: &str, code: u8, class: &str) -> Result<Self, String> {
        let sought = Sought::Part(part(class)?);
        Self::new(name, When::Says { code, sought })
    }

    fn of_class6(name: &str, of: Class6, class: &str) -> Result<Self, String> {
        let part = part(class)?;
        Self::new(name, When::Class6 { of, part })
    }

    fn new(name: &str, when: When) -> Result<Self, String> {
        is_tag(name)?;
        let name = name.to_owned();
        Ok(Self { name, when })
    }
}

impl Sought {
    /// As dnsmasq looks: bytes from the beginning, numbers and addresses one by one, texts anywhere.
    pub fn is_in(&self, value: &[u8]) -> bool {
        match self {
            Self::Anything => true,
            Self::Start(start) => begins(value, start),
            Self::Element(element) => value
                .chunks_exact(element.len().max(1))
                .any(|one| one == element),
            Self::Part(part) => {
                part.is_empty() || value.windows(part.len()).any(|window| window == part)
            }
        }
    }
}

/// Whether `bytes` begin so.
pub(crate) fn begins(bytes: &[u8], start: &[Option<u8>]) -> bool {
    let fits = |(want, byte): (&Option<u8>, &u8)| want.is_none_or(|want| want == *byte);
    bytes.len() >= start.len() && start.iter().zip(bytes).all(fits)
}

fn part(class: &str) -> Result<Vec<u8>, String> {
    if class.is_empty() {
        return Err("a class is a text that is a part of what the client says".into());
    }
    Ok(class.as_bytes().to_vec())
}

/// `set:TAG,REST`
fn set(text: &str) -> Result<(&str, &str), String> {
    let (name, rest) = text.split_once(',').unwrap_or((text, ""));
    let name = name.trim();
    let name = name
        .strip_prefix("set:")
        .ok_or("it begins with set:TAG and a comma")?;
    Ok((name, rest.trim()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)] // a failed unwrap is a failed test

    use super::*;

    #[test]
    fn lines_are_read_as_dnsmasq_reads_them() {
        let bios = "505845436c69656e743a417263683a3030303030"; // PXEClient:Arch:00000
        for (text, says, says_not) in [
            ("set:x,175", &["00", "b10101"][..], &[][..]),
            (
                "set:x,option:client-arch,7",
                &["0007", "00060007"],
                &["0006", "07", "000007"],
            ),
            ("set:x,93,7", &["0007"], &["0070"]),
            ("set:x,60,PXEClient:Arch:00000", &[bios], &[&bios[..20]]),
            (
                "set:x,97,00:11:*:33",
                &["0011ff33", "0011003344"],
                &["0011ff34", "0011ff"],
            ),
            ("set:x,option:vendor-encap,01:02", &["010203"], &["0201"]),
            (
                "set:x,option:ntp-server,192.0.2.2",
                &["c0000201c0000202"],
                &["c0000201"],
            ),
            ("set:x,224,258", &["0102", "00010102"], &["010102"]),
        ] {
            let tag = DhcpTag::parse_match(text).unwrap();
            let When::Says { sought, .. } = &tag.when else {
                panic!("{tag:?}");
            };
            let found = |hex: &&str| sought.is_in(&hex::decode(hex).unwrap());
            assert!(says.iter().all(found), "{text}: {sought:?}");
            assert!(!says_not.iter().any(found), "{text}: {sought:?}");
        }
    }

    #[test]
    fn a_class_may_stand_in_quotes() {
        for (class, want) in [("HTTPClient", &b"HTTPClient"[..]), ("\"a, b\"", b"a, b")] {
            let vendor = DhcpTag::parse_vendor_class(&format!("set:x,{class}")).unwrap();
            let [user, user6] = DhcpTag::parse_user_class(&format!("set:x,{class}")).unwrap();
            for tag in [vendor, user] {
                let When::Says { sought, .. } = tag.when else {
                    panic!("{class}");
                };
                assert_eq!(sought, Sought::Part(want.to_vec()), "{class}");
            }
            let enterprise = format!("set:x,enterprise:343,{class}");
            let vendor6 = DhcpTag::parse_vendor_class(&enterprise).unwrap();
            for (tag, of) in [(user6, Class6::User), (vendor6, Class6::Vendor(Some(343)))] {
                let part = want.to_vec();
                assert_eq!(tag.when, When::Class6 { of, part }, "{class}");
            }
        }
    }

    #[test]
    fn who_writes_it_otherwise_is_told_how() {
        for (said, want) in [
            (
                DhcpTag::parse_match("efi,93,7").map(drop),
                "begins with set:TAG",
            ),
            (DhcpTag::parse_match("set:,93,7").map(drop), "is no tag"),
            (DhcpTag::parse_match("set:a b,93,7").map(drop), "is no tag"),
            (
                DhcpTag::parse_match("set:efi,option:no-such").map(drop),
                "no option of this name",
            ),
            (
                DhcpTag::parse_match("set:efi,256").map(drop),
                "from 1 to 254",
            ),
            (
                DhcpTag::parse_match("set:efi,client-arch,x86").map(drop),
                "takes a number",
            ),
            (
                DhcpTag::parse_user_class("set:efi").map(drop),
                "a class is a text",
            ),
            (
                DhcpTag::parse_vendor_class("set:efi,enterprise:intel,PXE").map(drop),
                "an enterprise is a number",
            ),
            (
                DhcpTag::parse_vendor_class("set:efi,enterprise:343").map(drop),
                "a class is a text",
            ),
            (
                DhcpTag::parse_match("set:efi,option6:client-arch,x86").map(drop),
                "takes a number",
            ),
            (
                DhcpTag::parse_match("set:efi,option6:no-such").map(drop),
                "no option of this name",
            ),
            (DhcpTag::parse_match("set:efi,option6:61,7").map(drop), ""),
            (DhcpTag::parse_mac("set:efi,fa:16").map(drop), ""),
            (
                DhcpTag::parse_mac("set:efi,fa:16:3e:1:2:3:4").map(drop),
                "a MAC is bytes",
            ),
            (
                DhcpTag::parse_mac("set:efi,box").map(drop),
                "a MAC is bytes",
            ),
            (DhcpTag::parse_if("tag:a").map(drop), "sets no tag"),
            (DhcpTag::parse_if("set:a,b").map(drop), "neither"),
            (DhcpTag::parse_if("set:a,tag:!b,tag:c").map(drop), ""),
        ] {
            let said = said.err().unwrap_or_default();
            assert!(
                said.contains(want) && said.is_empty() == want.is_empty(),
                "{said} instead of {want}"
            );
        }
    }
}
