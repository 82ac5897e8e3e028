//! A Ruleset -> one transaction: the JSON that `nft` loads, and the digest by which it is known again.

use std::io::{self, Write};
use std::process::{Child, Command, Stdio};

use nftables::batch::Batch;
use nftables::schema::{self, NfListObject, SetFlag, SetType, SetTypeValue};
use nftables::stmt::Statement;
use sha2::{Digest, Sha256};

use crate::element;
use crate::error::Refusal;
use crate::nft::{DIGEST_CHAIN, FAMILY};
use crate::ruleset::{ElementType, Map, Ruleset};

/// Changes when the same words come to mean something else in the kernel, so that tables of older versions are loaded anew.
const FORMAT: &str = "1";

/// Makes the table, or replaces it, in one transaction. On a thread that is inside of the namespace, which the child inherits.
///
/// Where there is none, none is replaced: with a deletion in the transaction the end of the child waits for the kernel to be
/// done with what was deleted, some 20 ms.
pub(crate) fn load(table: &str, ruleset: &Ruleset, replace: bool) -> Result<(), Refusal> {
    run(&document(table, ruleset, replace).map_err(io::Error::other)?)
}

pub(crate) fn delete(table: &str) -> Result<(), Refusal> {
    let mut batch = Batch::new();
    batch.add(table_object(table)); // so that it is no error if it is gone already
    batch.delete(table_object(table));
    run(&serde_json::to_vec(&batch.to_nftables()).map_err(io::Error::other)?)
}

/// Of all that only a load can change: objects, and declarations without their elements.
pub(crate) fn digest(ruleset: &Ruleset) -> String {
    let mut hash = Sha256::new();
    hash.update(FORMAT);
    for (
        name,
        Map {
            key,
            data,
            interval,
            elements: _,
        },
    ) in &ruleset.maps
    {
        hash.update(format!("{name} {key:?} {data:?} {interval}\n"));
    }
    for object in &ruleset.objects {
        // Values of the schema are plain data, which always has a JSON form.
        hash.update(serde_json::to_vec(object).unwrap_or_default());
    }
    let hex = hash
        .finalize()
        .iter()
        .fold(String::with_capacity(64), |mut text, byte| {
            text.push_str(&format!("{byte:02x}"));
            text
        });
    format!("sha256:{hex}")
}

fn document(table: &str, ruleset: &Ruleset, replace: bool) -> serde_json::Result<Vec<u8>> {
    let mut batch = Batch::new();
    if replace {
        batch.add(table_object(table)); // the deletion must find one
        batch.delete(table_object(table));
    }
    batch.add(table_object(table));
    for (name, map) in &ruleset.maps {
        batch.add(declaration(table, name, map));
    }
    // Chains first: rules jump to them.
    let (chains, others): (Vec<_>, Vec<_>) = ruleset
        .objects
        .iter()
        .partition(|object| matches!(object, NfListObject::Chain(_)));
    for object in chains.into_iter().chain(others) {
        batch.add(object.clone());
    }
    batch.add(NfListObject::Chain(schema::Chain {
        family: FAMILY,
        table: table.to_owned().into(),
        name: DIGEST_CHAIN.into(),
        ..schema::Chain::default()
    }));
    batch.add(NfListObject::Rule(schema::Rule {
        family: FAMILY,
        table: table.to_owned().into(),
        chain: DIGEST_CHAIN.into(),
        expr: vec![Statement::Return(None)].into(),
        comment: Some(digest(ruleset).into()),
        ..schema::Rule::default()
    }));
    serde_json::to_vec(&batch.to_nftables())
}

fn table_object(table: &str) -> NfListObject<'static> {
    NfListObject::Table(schema::Table {
        family: FAMILY,
        name: table.to_owned().into(),
        handle: None,
    })
}

fn declaration(table: &str, name: &str, map: &Map) -> NfListObject<'static> {
    let (table, name) = (table.to_owned().into(), name.to_owned().into());
    let set_type = match &map.key[..] {
        [single] => SetTypeValue::Single(set_type(*single)),
        several => SetTypeValue::Concatenated(several.iter().map(|kind| set_type(*kind)).collect()),
    };
    let flags = map.interval.then(|| [SetFlag::Interval].into());
    let elements = element::json(map);
    let elem = (!elements.is_empty()).then(|| elements.into());
    match map.data {
        None => {
            let set = schema::Set {
                family: FAMILY,
                table,
                name,
                set_type,
                flags,
                elem,
                ..schema::Set::default()
            };
            NfListObject::Set(Box::new(set))
        }
        Some(data) => {
            let data = SetTypeValue::Single(self::set_type(data));
            let map = schema::Map {
                family: FAMILY,
                table,
                name,
                set_type,
                map: data,
                flags,
                elem,
                ..schema::Map::default()
            };
            NfListObject::Map(Box::new(map))
        }
    }
}

fn set_type(kind: ElementType) -> SetType {
    match kind {
        ElementType::Ipv4 => SetType::Ipv4Addr,
        ElementType::Protocol => SetType::InetProto,
        ElementType::Port => SetType::InetService,
        ElementType::Device => SetType::Ifname,
        ElementType::Mark => SetType::Mark,
    }
}

fn run(document: &[u8]) -> Result<(), Refusal> {
    let mut child = spawn()?;
    // It reads all before it writes anything, so neither of us can wait for the other. If it ends early, its
    // own words tell more than the broken pipe.
    let written = child
        .stdin
        .take()
        .map_or(Ok(()), |mut stdin| stdin.write_all(document));
    let output = child.wait_with_output()?;
    if output.status.success() {
        return Ok(written?);
    }
    let words = String::from_utf8_lossy(&output.stderr);
    let words = words
        .lines()
        .filter(|line| !line.trim().is_empty())
        .take(3)
        .collect::<Vec<_>>()
        .join("; ");
    let words = words.chars().take(300).collect();
    Err(Refusal {
        source: io::Error::other(format!("nft ended with {}", output.status)),
        words: Some(words),
    })
}

fn spawn() -> io::Result<Child> {
    let try_to = |program: &str| {
        let mut command = Command::new(program);
        command
            .args(["-j", "-f", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
    };
    match try_to("nft") {
        // Not in the PATH of most services.
        Err(error) if error.kind() == io::ErrorKind::NotFound => try_to("/usr/sbin/nft"),
        spawned => spawned,
    }
}
