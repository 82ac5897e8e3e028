//! Instances and their ports: what they are told, and the addresses they have.

use std::collections::{BTreeSet, HashMap};

use super::check::{Check, called};
use super::draft::PortRef;
use super::file::{self, all};
use super::ids;
use super::mistake::{Code, Span};
use super::port::Owner;
use super::read::At;
use super::values::OrTable;
use super::words::HostName;
use crate::model::{Instance, InstanceId, NetworkId, PortId, PublicKey};

/// What Nova says where nobody chose.
const AVAILABILITY_ZONE: &str = "nova";
const INSTANCE_TYPE: &str = "custom";
/// Bytes of user or vendor data. It is kept in memory; Nova itself takes 64 KiB of base64.
const DATA_LIMIT: u64 = 256 * 1024;

impl Check<'_, '_> {
    pub(super) fn instance(&mut self, file: &file::Instance) {
        let index = self.draft.instances.len();
        let object = &file.object;
        let known = self.notes.count();
        self.instances.partial |= file.name.is_none();
        let (name, named_at) = called(file.name.as_ref(), object, file.at);
        let id = match &file.id {
            Some(id) => InstanceId(id.value.to_string()),
            None => ids::instance(&name),
        };
        match self.instances.add(&name, index, named_at) {
            Some(other) => self.name_taken("instance", &name, other, named_at, object),
            None => self.take_instance_id(&id, file, named_at),
        }
        self.instances.also(&id.0, index);
        let hostname = self.hostname(file, &name);
        let project = self.project_of(file.project.as_ref());
        if all(&file.port).is_empty() && !file.is_broken("port") {
            let fix = "add [[instance.port]] with `network = \"...\"`";
            self.mistake(Code::MissingKey, file.at, object, "it has no port", fix);
        }
        let mut ports = Vec::new();
        let mut on_network: HashMap<usize, usize> = HashMap::new();
        for port in all(&file.port) {
            let Some(network) = self.network_of_port(port) else {
                continue;
            };
            let nth = on_network.entry(network).or_default();
            *nth += 1;
            let owner = Owner {
                instance: &id,
                project: &project,
                hostname: &hostname,
                nth: *nth,
            };
            ports.push(self.port(port, network, &owner));
        }
        let metadata = file
            .metadata
            .as_ref()
            .map(|metadata| metadata.value.0.clone());
        let text = |given: &Option<At<String>>, default: &str| {
            given.as_ref().map_or(default, |text| &text.value).into()
        };
        let instance = Instance {
            id,
            name,
            project,
            ports: ports.iter().map(|port| self.port_id(*port)).collect(),
            hostname,
            public_keys: self.public_keys(file).into(),
            user_data: self.user_data(file).map(Into::into),
            metadata: metadata.unwrap_or_default(),
            vendor_data: self.vendor_data(file),
            availability_zone: text(&file.availability_zone, AVAILABILITY_ZONE),
            instance_type: text(&file.instance_type, INSTANCE_TYPE),
        };
        self.draft.instances.push(instance);
        self.instance_ports.push(ports);
        let half = |port: &file::Port| port.network.is_none() || port.is_broken("addresses");
        if self.notes.count() > known || file.is_broken("port") || all(&file.port).iter().any(half)
        {
            self.shaky.insert(index);
        }
    }

    fn port_id(&self, of: PortRef) -> (NetworkId, PortId) {
        let network = &self.draft.networks[of.network];
        (network.network.id, network.ports[of.port].port.id)
    }

    fn take_instance_id(&mut self, id: &InstanceId, file: &file::Instance, named_at: Span) {
        let at = file.id.as_ref().map_or(named_at, |id| id.at);
        if let Ok(id) = id.0.parse() {
            self.take_id(id, at, &file.object);
        }
    }

    fn hostname(&mut self, file: &file::Instance, name: &str) -> String {
        if let Some(hostname) = &file.hostname {
            return hostname.value.0.clone();
        }
        let derived = HostName::from_name(name);
        if derived.is_none() && file.name.is_some() && !file.is_broken("hostname") {
            let why = format!("no host name can be made of {name:?}");
            self.mistake(
                Code::MissingKey,
                file.at,
                &file.object,
                why,
                "add `hostname = \"web-1\"`",
            );
        }
        derived.map_or_else(|| "instance".to_owned(), |name| name.0)
    }

    fn public_keys(&mut self, file: &file::Instance) -> Vec<PublicKey> {
        let mut names = BTreeSet::new();
        let mut keys = Vec::new();
        for (nth, written) in all(&file.keys).iter().enumerate() {
            let (name, key, at) = match &written.value {
                OrTable::Word(key) => (None, &key.0, written.at),
                OrTable::Table(table) => match (&table.name, &table.key) {
                    (Some(name), Some(key)) => (Some(&name.value.0), &key.value.0, key.at),
                    _ => continue,
                },
            };
            let name = match name {
                Some(name) => name.clone(),
                // Its comment, if that is not taken.
                None => key
                    .split_whitespace()
                    .nth(2)
                    .filter(|comment| !names.contains(*comment))
                    .map_or_else(|| format!("key{}", nth + 1), str::to_owned),
            };
            if !names.insert(name.clone()) {
                let why = format!("it has two keys named {name:?}");
                self.mistake(
                    Code::DuplicateName,
                    at,
                    &file.object,
                    why,
                    "give each its own name",
                );
            }
            keys.push(PublicKey {
                name,
                key: key.clone(),
            });
        }
        keys
    }

    fn user_data(&mut self, file: &file::Instance) -> Option<Vec<u8>> {
        if let (Some(_), Some(path)) = (&file.user_data, &file.user_data_file) {
            self.one_of_two("user_data", "user_data_file", path.at, &file.object);
        }
        match (&file.user_data, &file.user_data_file) {
            (Some(text), _) => {
                if text.value.len() as u64 > DATA_LIMIT {
                    let why = format!("its user data has more than {DATA_LIMIT} bytes");
                    self.mistake(
                        Code::BadValue,
                        text.at,
                        &file.object,
                        why,
                        "make it smaller, or let it fetch the rest",
                    );
                }
                Some(text.value.clone().into_bytes())
            }
            (None, Some(path)) => self.read_file(path, DATA_LIMIT, &file.object),
            (None, None) => None,
        }
    }

    fn vendor_data(&mut self, file: &file::Instance) -> Option<serde_json::Value> {
        if let (Some(_), Some(path)) = (&file.vendor_data, &file.vendor_data_file) {
            self.one_of_two("vendor_data", "vendor_data_file", path.at, &file.object);
        }
        match (&file.vendor_data, &file.vendor_data_file) {
            (Some(json), _) => Some(json.value.0.clone()),
            (None, Some(path)) => {
                let bytes = self.read_file(path, DATA_LIMIT, &file.object)?;
                match serde_json::from_slice(&bytes) {
                    Ok(json) => Some(json),
                    Err(error) => {
                        let why = format!("{} is no JSON: {error}", path.value.display());
                        let fix = "write one JSON document, such as {\"cloud-init\": \"#cloud-config\\n...\"}";
                        self.mistake(Code::File, path.at, &file.object, why, fix);
                        None
                    }
                }
            }
            (None, None) => None,
        }
    }

    fn one_of_two(&mut self, one: &str, other: &str, at: Span, object: &str) {
        let why = format!("it has both `{one}` and `{other}`");
        self.mistake(Code::Misplaced, at, object, why, "keep one of them");
    }
}
