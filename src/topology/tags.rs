//! `dhcp_tag`: what DHCP clients are told apart by, and whether what depends on that can come true.

use super::check::Check;
use super::file::{self, all};
use super::mistake::{Code, Notes};
use super::options::Options;
use crate::model::DhcpTag;

/// Those that clients have without being told (`ipxe6` with DHCPv6).
const OWN: [&str; 4] = ["ipxe", "ipxe6", "known", "bootp"];

/// The rules, those that depend on other tags last. What is wrong is noted, and left out.
pub(super) fn tags(file: &file::File, notes: &mut Notes<'_>) -> Vec<DhcpTag> {
    let tags = all(&file.dhcp_tag);
    let mut tags: Vec<DhcpTag> = tags
        .iter()
        .filter_map(|tag| self::tag(tag, notes))
        .flatten()
        .collect();
    DhcpTag::order(&mut tags);
    tags
}

/// One rule, in the words of each version of DHCP.
fn tag(file: &file::DhcpTag, notes: &mut Notes<'_>) -> Option<Vec<DhcpTag>> {
    let name = &file.name.as_ref()?.value;
    let one = |tag| vec![tag];
    let value = file.value.as_ref();
    let by_option = file.option.as_ref().map(|option| {
        let value = value.map_or("", |value| value.value.text());
        (
            option.at,
            DhcpTag::of_option(name, option.value.text(), value).map(one),
        )
    });
    let by_vendor = file.vendor_class.as_ref();
    let by_vendor = by_vendor.map(|class| {
        let tags = DhcpTag::of_vendor_class(name, &class.value);
        (class.at, tags.map(Vec::from))
    });
    let by_user = file.user_class.as_ref();
    let by_user = by_user.map(|class| {
        let tags = DhcpTag::of_user_class(name, &class.value);
        (class.at, tags.map(Vec::from))
    });
    let by_mac = file.mac.as_ref();
    let by_mac = by_mac.map(|mac| (mac.at, DhcpTag::of_mac(name, &mac.value).map(one)));
    let by_tags = file.tags.as_ref();
    let by_tags = by_tags.map(|tags| {
        let names = tags.value.iter().map(String::as_str);
        (tags.at, DhcpTag::of_tags(name, names).map(one))
    });
    if let Some(value) = value.filter(|_| file.option.is_none() && !file.is_broken("option")) {
        let why = "`value` is looked for in an `option`, and there is none";
        notes.mistake(
            Code::Misplaced,
            value.at,
            &file.object,
            why,
            "say which option, or leave it out",
        );
    }
    let broken = [
        "option",
        "value",
        "vendor_class",
        "user_class",
        "mac",
        "tags",
    ];
    if broken.iter().any(|key| file.is_broken(key)) {
        return None;
    }
    let mut ways = [by_option, by_vendor, by_user, by_mac, by_tags]
        .into_iter()
        .flatten();
    let Some((at, tags)) = ways.next() else {
        let why = "nothing says who has this tag";
        let fix = "say one of `option`, `vendor_class`, `user_class`, `mac` and `tags`";
        notes.mistake(Code::MissingKey, file.at, &file.object, why, fix);
        return None;
    };
    if let Some((at, _)) = ways.next() {
        let why =
            "a tag comes from one of `option`, `vendor_class`, `user_class`, `mac` and `tags`";
        let fix = "keep one of them; two rules of one name hold if either does";
        notes.mistake(Code::Misplaced, at, &file.object, why, fix);
        return None;
    }
    match tags {
        Ok(tags) => Some(tags),
        Err(why) => {
            let why = format!("tag {name:?}: {why}");
            notes.mistake(
                Code::BadValue,
                at,
                &file.object,
                why,
                "correct it, or leave the tag out",
            );
            None
        }
    }
}

impl Check<'_, '_> {
    /// Warns of options that depend on a tag that nobody ever has.
    pub(super) fn tags_of_options(&mut self, options: &Options, object: &str) {
        for (tag, at) in &options.tags {
            if OWN.contains(&tag.as_str()) || self.tags.contains(tag) {
                continue;
            }
            let why = format!("no client ever has the tag {tag:?}");
            let fix = "add a `[[dhcp_tag]]` that says who has it, or correct its name";
            self.notes.warning(Code::Unusual, *at, object, why, fix);
        }
    }
}
