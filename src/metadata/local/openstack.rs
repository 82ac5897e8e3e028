//! The OpenStack tree: `/openstack/<version>/..`, what `nova/api/metadata/base.py` serves.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use hyper::{Method, StatusCode};
use serde_json::{Map, Value, json};

use super::{Answer, JSON, Leaf, Question, TEXT, View, full_hostname, network_data, refuse};

const FOLSOM: &str = "2012-08-10";
const GRIZZLY: &str = "2013-04-04";
const HAVANA: &str = "2013-10-17";
const LIBERTY: &str = "2015-10-15";
const NEWTON_ONE: &str = "2016-06-30";
const NEWTON_TWO: &str = "2016-10-06";
const OCATA: &str = "2017-02-22";
const ROCKY: &str = "2018-08-27";
const VICTORIA: &str = "2020-10-14";
/// Dates compare as text.
const VERSIONS: [&str; 9] = [
    FOLSOM, GRIZZLY, HAVANA, LIBERTY, NEWTON_ONE, NEWTON_TWO, OCATA, ROCKY, VICTORIA,
];

/// Nova keeps a password in four pieces of 255 bytes.
const LONGEST_PASSWORD: usize = 4 * 255;

/// The file or listing below `/openstack`.
pub(super) fn find(
    names: &[&str],
    view: View<'_>,
    seed: impl FnOnce() -> [u8; 512],
) -> Option<Leaf> {
    let [version, names @ ..] = names else {
        return Some(Leaf::listing(VERSIONS.into_iter().chain(["latest"])));
    };
    let version = resolve(version)?;
    let user_data = view.instance.user_data.as_deref();
    match names {
        [] => Some(listing(version, user_data.is_some())),
        ["meta_data.json"] => Some(Leaf::json(JSON, &meta_data(version, view, seed))),
        ["user_data"] => user_data.map(Leaf::raw),
        ["vendor_data.json"] if version >= HAVANA => Some(Leaf::json(JSON, &vendor_data(view))),
        ["vendor_data2.json"] if version >= NEWTON_TWO => {
            let all = json!({"static": vendor_data(view)});
            Some(Leaf::json(JSON, &all))
        }
        // Served under every version, listed since Liberty.
        ["network_data.json"] => Some(Leaf::json(TEXT, &network_data::document(view))),
        _ => None,
    }
}

/// `/openstack/<version>/password`: where a guest leaves the password that it made, encrypted with the machine's key.
pub(super) fn password(version: &str, question: Question<'_>, stored: Option<&[u8]>) -> Answer {
    if resolve(version).is_none_or(|version| version < GRIZZLY) {
        return refuse(StatusCode::NOT_FOUND);
    }
    match *question.method {
        Method::GET | Method::HEAD => Leaf::raw(stored.unwrap_or_default()).into(),
        Method::POST if stored.is_some() => refuse(StatusCode::CONFLICT),
        Method::POST if question.body.len() > LONGEST_PASSWORD => refuse(StatusCode::BAD_REQUEST),
        Method::POST => Answer {
            password: Some(Bytes::copy_from_slice(question.body)),
            ..Leaf::raw(b"").into()
        },
        _ => refuse(StatusCode::BAD_REQUEST),
    }
}

/// Only versions that exist: another date is no directory.
fn resolve(version: &str) -> Option<&'static str> {
    if version == "latest" {
        return VERSIONS.last().copied();
    }
    VERSIONS.into_iter().find(|known| *known == version)
}

fn listing(version: &str, user_data: bool) -> Leaf {
    let files = [
        ("meta_data.json", true),
        ("user_data", user_data),
        ("password", version >= GRIZZLY),
        ("vendor_data.json", version >= HAVANA),
        ("network_data.json", version >= LIBERTY),
        ("vendor_data2.json", version >= NEWTON_TWO),
    ];
    let there = files.into_iter().filter(|(_, there)| *there);
    Leaf::listing(there.map(|(name, _)| name))
}

fn vendor_data(view: View<'_>) -> Value {
    view.instance
        .vendor_data
        .clone()
        .unwrap_or_else(|| json!({}))
}

fn meta_data(version: &str, view: View<'_>, seed: impl FnOnce() -> [u8; 512]) -> Value {
    let instance = view.instance;
    let mut document = Map::new();
    let mut put = |key: &str, value: Value| document.insert(key.to_owned(), value);
    put("uuid", json!(instance.id));
    put("name", json!(instance.name));
    put("hostname", json!(full_hostname(view)));
    put("launch_index", json!(0));
    put("availability_zone", json!(instance.availability_zone));
    if !instance.metadata.is_empty() {
        put("meta", json!(instance.metadata));
    }
    if !instance.public_keys.is_empty() {
        let by_name: Map<String, Value> = instance
            .public_keys
            .iter()
            .map(|key| (key.name.clone(), json!(key.key)))
            .collect();
        let listed: Vec<Value> = instance
            .public_keys
            .iter()
            .map(|key| json!({"name": key.name, "type": "ssh", "data": key.key}))
            .collect();
        put("public_keys", by_name.into());
        put("keys", listed.into());
    }
    if version >= GRIZZLY {
        put("random_seed", BASE64_STANDARD.encode(seed()).into());
    }
    if version >= LIBERTY {
        put("project_id", json!(instance.project));
    }
    if version >= NEWTON_ONE {
        // Only devices with tags are listed, and ours have none.
        put("devices", json!([]));
    }
    if version >= VICTORIA {
        put("dedicated_cpus", json!([]));
    }
    document.into()
}
