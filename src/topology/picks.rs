//! What was chosen for those to whom the file gives no address or MAC: chosen once, and kept on disk.
//!
//! The first choice is a hash of owner and subnet, not the next free address: two hosts that share a file choose
//! the same, whatever was added and removed in between, and a lost state directory seldom changes an address.
//! Whoever has an address keeps it until its owner goes, or the file gives it to another.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::draft::{Claim, Claimant, Draft, SubnetRef};
use super::ids;
use crate::model::{MacAddr, PortId};

const FILE: &str = "picks.json";
/// Bytes; far more than any host has use for.
const LIMIT: u64 = 256 * 1024 * 1024;

/// Chosen addresses and MACs, by what they were chosen for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Picks {
    /// `owner/subnet`, and `/n` where an owner has several.
    addresses: BTreeMap<String, IpAddr>,
    macs: BTreeMap<PortId, MacAddr>,
}

/// Why picks can't be kept. The text reads after "failed to".
#[derive(Debug, thiserror::Error)]
pub(super) enum PicksError {
    #[error("read the chosen addresses in {path}: {source}")]
    Read { path: PathBuf, source: io::Error },
    #[error("understand the chosen addresses in {path}: {source}")]
    Broken {
        path: PathBuf,
        source: serde_json::Error,
    },
    #[error("write the chosen addresses to {path}: {source}")]
    Write { path: PathBuf, source: io::Error },
}

impl Picks {
    /// Those of a state directory; none if there are none yet.
    ///
    /// # Errors
    /// The file is there, but can't be read or understood.
    pub(super) fn read(state_dir: &Path) -> Result<Self, PicksError> {
        let path = state_dir.join(FILE);
        let mut bytes = Vec::new();
        match File::open(&path).and_then(|file| file.take(LIMIT).read_to_end(&mut bytes)) {
            Ok(_) => {
                serde_json::from_slice(&bytes).map_err(|source| PicksError::Broken { path, source })
            }
            Err(source) if source.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(source) => Err(PicksError::Read { path, source }),
        }
    }

    /// Written aside and renamed: a crash leaves the old ones or the new ones.
    ///
    /// # Errors
    /// The directory can't be made or written to.
    pub(super) fn write(&self, state_dir: &Path) -> Result<(), PicksError> {
        let path = state_dir.join(FILE);
        let aside = state_dir.join(format!("{FILE}.new"));
        let written = fs::create_dir_all(state_dir).and_then(|()| {
            let mut file = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .open(&aside)?;
            file.write_all(&serde_json::to_vec(self)?)?;
            // An instance must not get another address because the host lost power.
            file.sync_all()?;
            fs::rename(&aside, &path)
        });
        written.map_err(|source| PicksError::Write { path, source })
    }
}

/// Every address and MAC of a draft.
pub(super) struct Chosen {
    /// By claim.
    pub(super) addresses: Vec<IpAddr>,
    pub(super) macs: HashMap<PortId, MacAddr>,
    /// What to keep: those of owners that are gone are not in it.
    pub(super) picks: Picks,
    /// Claims whose address changed, with the one they had.
    pub(super) moved: Vec<(usize, IpAddr)>,
}

/// Chooses what the file leaves open. That there is an address for everyone has been checked.
pub(super) fn choose(draft: &Draft, before: &Picks) -> Chosen {
    let mut picks = Picks::default();
    let macs = choose_macs(draft, before, &mut picks);
    let mut moved = Vec::new();
    let mut taken: HashMap<SubnetRef, HashSet<IpAddr>> = HashMap::new();
    for claim in &draft.claims {
        if let Some(address) = claim.given {
            taken.entry(claim.subnet).or_default().insert(address);
        }
    }
    let mut addresses: Vec<Option<IpAddr>> = draft
        .claims
        .iter()
        .map(|claim| claim.given.or_else(|| made(draft, claim, &macs)))
        .collect();
    // Those who have one first: nobody new takes it from them.
    let open: Vec<usize> = (0..addresses.len())
        .filter(|id| addresses[*id].is_none())
        .collect();
    for &id in &open {
        let claim = &draft.claims[id];
        let Some(had) = before.addresses.get(&claim.key).copied() else {
            continue;
        };
        if can_keep(draft, claim, had) && taken.entry(claim.subnet).or_default().insert(had) {
            addresses[id] = Some(had);
        } else {
            moved.push((id, had));
        }
    }
    let mut whole = Vec::with_capacity(addresses.len());
    for (claim, address) in draft.claims.iter().zip(addresses) {
        whole.push(address.unwrap_or_else(|| {
            let taken = taken.entry(claim.subnet).or_default();
            let free = first_free(draft, claim, taken);
            taken.insert(free);
            free
        }));
    }
    for id in open {
        let key = draft.claims[id].key.clone();
        picks.addresses.insert(key, whole[id]);
    }
    Chosen {
        addresses: whole,
        macs,
        picks,
        moved,
    }
}

/// What a machine, or our own port among machines, makes of its MAC where the subnet has it so.
fn made(draft: &Draft, claim: &Claim, macs: &HashMap<PortId, MacAddr>) -> Option<IpAddr> {
    if !matches!(claim.kind, Claimant::Machine | Claimant::Dhcp) {
        return None;
    }
    let pool = &draft.networks[claim.subnet.network].pools[claim.subnet.subnet];
    pool.made_of(*macs.get(&PortId(claim.owner))?)
}

/// Even one that is outside of the allocation by now, as in Neutron: that is for new ones.
fn can_keep(draft: &Draft, claim: &Claim, address: IpAddr) -> bool {
    let pool = &draft.networks[claim.subnet.network].pools[claim.subnet.subnet];
    pool.cidr.contains(&address) && pool.is_usable(address) && pool.gateway != Some(address)
}

fn first_free(draft: &Draft, claim: &Claim, taken: &HashSet<IpAddr>) -> IpAddr {
    let network = &draft.networks[claim.subnet.network];
    let pool = &network.pools[claim.subnet.subnet];
    let named = draft
        .named
        .get(&network.network.subnets[claim.subnet.subnet].id);
    let free = |address: &IpAddr| {
        pool.contains(*address)
            && !taken.contains(address)
            && !named.is_some_and(|named| named.contains(address))
    };
    let size = pool.size();
    let start = ids::first_choice(&claim.key, size);
    let mut candidates = (0..size).filter_map(|step| pool.nth(start + step));
    candidates
        .find(free)
        .expect("`Check::room` counted a free address for everyone")
}

/// Unique within each network; those of whom we know keep theirs.
fn choose_macs(draft: &Draft, before: &Picks, picks: &mut Picks) -> HashMap<PortId, MacAddr> {
    let mut macs = HashMap::new();
    for network in &draft.networks {
        let mut taken: HashSet<MacAddr> =
            network.ports.iter().filter_map(|port| port.mac).collect();
        let mut new = Vec::new();
        for port in &network.ports {
            let id = port.port.id;
            let had = before.macs.get(&id).copied();
            match (port.mac, had) {
                (Some(mac), _) => {
                    macs.insert(id, mac);
                }
                (None, Some(mac)) if taken.insert(mac) => {
                    macs.insert(id, mac);
                    picks.macs.insert(id, mac);
                }
                (None, _) => new.push(id),
            }
        }
        for id in new {
            // 16 million MACs and far fewer ports: this ends soon.
            let mut attempts = (0..).map(|attempt| ids::mac(id, attempt));
            let mac = attempts
                .find(|mac| taken.insert(*mac))
                .expect("the attempts never end");
            macs.insert(id, mac);
            picks.macs.insert(id, mac);
        }
    }
    macs
}
