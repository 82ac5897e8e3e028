//! From tables to a draft: who is meant by which name, and whether it all goes together.
//!
//! Networks first, then routers' legs, then instances, then what leads to instances; addresses last, when all are
//! known. Each object's rules are in its own file; here is what they share.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fs::File;
use std::io::{self, Read as _};
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;
use uuid::Uuid;

use super::draft::{Claim, ClaimId, Claimant, Draft, PortRef, SubnetRef, Topology};
use super::file::{self, all};
use super::metadata;
use super::mistake::{Code, Notes, Span};
use super::names::{Names, NotFound};
use super::port::{HostNames, Macs};
use super::read::At;
use super::words::Name;
use crate::model::{NetworkId, ProjectId};

/// Where nobody says whose something is.
const PROJECT: &str = "default";
/// Where nobody says a domain; `.internal` is reserved for private use (ICANN, 2024).
const DOMAIN: &str = "warren.internal";

/// One pass over a file.
pub(super) struct Check<'n, 't> {
    pub(super) notes: &'n mut Notes<'t>,
    pub(super) draft: Draft,
    pub(super) networks: Names<usize>,
    pub(super) subnets: Names<SubnetRef>,
    pub(super) instances: Names<usize>,
    pub(super) routers: Names<usize>,
    pub(super) project: ProjectId,
    pub(super) domain: String,
    pub(super) search: Vec<String>,
    pub(super) host: String,
    /// Ports of each of the draft's instances.
    pub(super) instance_ports: Vec<Vec<PortRef>>,
    /// Instances about which something is wrong.
    pub(super) shaky: HashSet<usize>,
    /// Who has an address that the file gives. Of several, which is a mistake, the first.
    pub(super) given: HashMap<(SubnetRef, IpAddr), ClaimId>,
    pub(super) hostnames: HostNames,
    pub(super) macs: Macs,
    /// Names of the tags that DHCP clients can have by the file's rules.
    pub(super) tags: BTreeSet<String>,
    /// Files that the topology names.
    pub(super) files: BTreeSet<PathBuf>,
    /// Paths are relative to this.
    dir: &'n Path,
    /// Every id, and who has it.
    ids: HashMap<Uuid, (String, Span)>,
    /// How many addresses an owner has on a subnet already.
    counts: HashMap<(Uuid, SubnetRef), usize>,
}

/// Checks what the file says together. The draft is whole if no mistake was noted.
pub(super) fn check(file: &file::File, dir: &Path, notes: &mut Notes<'_>) -> Topology {
    let text = |name: Option<&str>, default: &str| name.unwrap_or(default).to_owned();
    let mut check = Check {
        notes,
        draft: Draft::default(),
        networks: Names::default(),
        subnets: Names::default(),
        instances: Names::default(),
        routers: Names::default(),
        project: ProjectId(text(
            file.project.as_ref().map(|name| name.value.0.as_str()),
            PROJECT,
        )),
        domain: text(
            file.dns_domain
                .as_ref()
                .map(|domain| domain.value.0.as_str()),
            DOMAIN,
        ),
        search: Vec::new(),
        host: text(file.host.as_ref().map(|name| name.value.0.as_str()), ""),
        instance_ports: Vec::new(),
        shaky: HashSet::new(),
        given: HashMap::new(),
        hostnames: HostNames::new(),
        macs: Macs::new(),
        tags: all(&file.dhcp_tag)
            .iter()
            .filter_map(|tag| Some(tag.name.as_ref()?.value.clone()))
            .collect(),
        files: BTreeSet::new(),
        dir,
        ids: HashMap::new(),
        counts: HashMap::new(),
    };
    check.search = check.search_list(&file.dns_search, "topology");
    for network in all(&file.network) {
        check.network(network);
    }
    check.uplinks();
    for router in all(&file.router) {
        check.router(router);
    }
    for instance in all(&file.instance) {
        check.instance(instance);
    }
    for (index, router) in all(&file.router).iter().enumerate() {
        check.leading_in(index, router);
    }
    check.addresses();
    let settings = metadata::settings(file, check.notes);
    let metadata = check.metadata(file.metadata.as_ref().map(|metadata| &metadata.value));
    Topology {
        draft: check.draft,
        settings,
        resolvers: metadata::resolvers(file),
        metadata,
        files: check.files,
        warnings: Vec::new(),
    }
}

/// What something is called, and where that is said. What has no name is spoken of by its place in the file.
pub(super) fn called(name: Option<&At<Name>>, object: &str, at: Span) -> (String, Span) {
    match name {
        Some(name) => (name.value.0.clone(), name.at),
        None => (format!("{object}?"), at),
    }
}

impl Check<'_, '_> {
    pub(super) fn mistake(
        &mut self,
        code: Code,
        at: Span,
        object: &str,
        why: impl Into<String>,
        fix: impl Into<String>,
    ) {
        self.notes.mistake(code, at, object, why, fix);
    }

    /// Whose something is: as it says itself, or as the file does.
    pub(super) fn project_of(&self, given: Option<&At<Name>>) -> ProjectId {
        given.map_or_else(
            || self.project.clone(),
            |name| ProjectId(name.value.0.clone()),
        )
    }

    /// Notes an id that something else has.
    pub(super) fn take_id(&mut self, id: Uuid, at: Span, object: &str) {
        let taken = self.ids.insert(id, (object.to_owned(), at));
        if let Some((other, there)) = taken {
            let line = self.notes.line(there);
            let why = format!("{other} (line {line}) has the id {id} already");
            self.mistake(
                Code::DuplicateId,
                at,
                object,
                why,
                "give each its own `id`, or none",
            );
        }
    }

    /// An address that `owner` has or needs on the subnet.
    pub(super) fn claim(
        &mut self,
        kind: Claimant,
        owner: Uuid,
        subnet: SubnetRef,
        given: Option<IpAddr>,
        at: Span,
        object: &str,
    ) -> ClaimId {
        let count = self.counts.entry((owner, subnet)).or_default();
        let nth = if *count == 0 {
            String::new()
        } else {
            format!("/{count}")
        };
        *count += 1;
        let key = format!("{owner}/{}{nth}", self.subnet(subnet).id);
        let id = self.draft.claims.len();
        if let Some(address) = given {
            self.given.entry((subnet, address)).or_insert(id);
        }
        self.draft.claims.push(Claim {
            key,
            kind,
            owner,
            subnet,
            given,
            at,
            object: object.to_owned(),
        });
        id
    }

    pub(super) fn subnet(&self, of: SubnetRef) -> &crate::model::Subnet {
        &self.draft.networks[of.network].network.subnets[of.subnet]
    }

    pub(super) fn network_id(&self, network: usize) -> NetworkId {
        self.draft.networks[network].network.id
    }

    /// The subnet of the network that this address is in.
    pub(super) fn subnet_of(&self, network: usize, address: IpAddr) -> Option<SubnetRef> {
        let pools = &self.draft.networks[network].pools;
        let subnet = pools.iter().position(|pool| pool.cidr.contains(&address))?;
        Some(SubnetRef { network, subnet })
    }

    pub(super) fn subnets_of(&self, network: usize) -> impl Iterator<Item = SubnetRef> + use<> {
        let count = self.draft.networks[network].pools.len();
        (0..count).map(move |subnet| SubnetRef { network, subnet })
    }

    /// The network's first subnet of a family.
    pub(super) fn first_of(
        &self,
        network: usize,
        family: fn(&IpAddr) -> bool,
    ) -> Option<SubnetRef> {
        self.subnets_of(network)
            .find(|subnet| family(&self.subnet(*subnet).cidr.addr()))
    }

    /// `10.0.0.0/24, 10.0.1.0/24`: what an address on this network could have been in.
    pub(super) fn cidrs_of(&self, network: usize) -> String {
        let pools = self.draft.networks[network].pools.iter();
        let cidrs: Vec<_> = pools.map(|pool| pool.cidr.to_string()).collect();
        match cidrs.as_slice() {
            [] => "none; add a [[network.subnet]]".to_owned(),
            some => some.join(", "),
        }
    }

    /// The network of this name or id; noted if there is none.
    pub(super) fn network_named(&mut self, name: &str, at: Span, object: &str) -> Option<usize> {
        let found = self.networks.find(name);
        self.found(found, "network", name, at, object)
    }

    /// Turns an answer of [`Names::find`] into the thing, or into a mistake.
    pub(super) fn found<T>(
        &mut self,
        found: Result<T, NotFound>,
        what: &str,
        name: &str,
        at: Span,
        object: &str,
    ) -> Option<T> {
        let (code, why, fix) = match found {
            Ok(thing) => return Some(thing),
            Err(NotFound::MaybeBroken) => return None,
            Err(NotFound::Unknown(near)) => {
                let fix = match near {
                    Some(near) => format!("did you mean {near:?}?"),
                    None => format!("name one that the file has, or add the {what}"),
                };
                (
                    Code::UnknownName,
                    format!("there is no {what} {name:?}"),
                    fix,
                )
            }
            Err(NotFound::Several) => {
                let why = format!("more than one {what} is called {name:?}");
                let fix = match what {
                    "subnet" => "say `network` and `subnet` of it, or the subnet's `id`",
                    _ => "say its `id` instead",
                };
                (Code::Ambiguous, why, fix.to_owned())
            }
        };
        self.mistake(code, at, object, why, fix);
        None
    }

    /// The content of a file that the topology names; noted if it can't be had.
    pub(super) fn read_file(
        &mut self,
        path: &At<PathBuf>,
        limit: u64,
        object: &str,
    ) -> Option<Vec<u8>> {
        let full = self.file(path);
        let mut bytes = Vec::new();
        let read = open_regular(&full)
            .and_then(|file| file.take(limit + 1).read_to_end(&mut bytes))
            .map_err(|error| format!("{} can't be read: {error}", full.display()));
        let read = read.and_then(|_| match bytes.len() as u64 > limit {
            true => Err(format!("{} has more than {limit} bytes", full.display())),
            false => Ok(()),
        });
        if let Err(why) = read {
            let fix = "name a smaller file that warren may read, relative to the topology file";
            self.mistake(Code::File, path.at, object, why, fix);
            return None;
        }
        Some(bytes)
    }

    /// The full path of a file that the topology names, and that is watched from now on.
    pub(super) fn file(&mut self, path: &At<PathBuf>) -> PathBuf {
        let full = self.dir.join(&path.value);
        self.files.insert(full.clone());
        full
    }
}

/// A pipe that nobody writes to, opened otherwise, would hold the daemon for ever.
pub(super) fn open_regular(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.read(true).custom_flags(OFlag::O_NONBLOCK.bits());
    let file = options.open(path)?;
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(io::Error::other("it is no regular file"))
    }
}
