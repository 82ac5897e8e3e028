//! The file as a source: opened once, loaded again when it changed.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::build;
use super::check as together;
use super::difference::events;
use super::draft::Topology;
use super::metadata::MetadataSource;
use super::mistake::{Code, Mistake, Notes, Severity, about_file};
use super::parse::parse;
use super::picks::{Picks, PicksError, choose};
use crate::model::{Event, State};
use crate::plan::Settings;

/// Bytes; a topology of 100,000 instances has about 20 MiB.
const LIMIT: u64 = 64 * 1024 * 1024;

/// A topology file, loaded.
#[derive(Debug, Clone)]
pub struct Loaded {
    pub state: State,
    pub settings: Settings,
    /// Resolvers that the file names; `None`: it leaves that to the host's `resolv.conf`.
    pub resolvers: Option<Vec<SocketAddr>>,
    pub metadata: MetadataSource,
    /// The topology itself and the files that it names: what to watch.
    pub files: BTreeSet<PathBuf>,
    pub warnings: Vec<Mistake>,
}

/// A topology file and its chosen addresses.
#[derive(Debug)]
pub struct Source {
    path: PathBuf,
    state_dir: PathBuf,
    picks: Picks,
    loaded: Loaded,
}

impl Source {
    /// Loads the file and keeps what was chosen in the state directory. What changes by that, for who has `known`.
    ///
    /// # Errors
    /// Everything that is wrong with the file. What is wrong with the kept choices is a warning only.
    pub fn open(
        path: &Path,
        state_dir: &Path,
        known: State,
    ) -> Result<(Self, Vec<Event>), Vec<Mistake>> {
        let (mut loaded, before, picks) = load_with_picks(path, state_dir)?;
        if picks != before {
            loaded.warnings.extend(keep(&picks, state_dir));
        }
        let events = loaded.take_up(known);
        let source = Self {
            path: path.to_owned(),
            state_dir: state_dir.to_owned(),
            picks,
            loaded,
        };
        Ok((source, events))
    }

    /// Loads the file again; what changed in the state since. [`Self::loaded`] has the rest.
    ///
    /// # Errors
    /// Everything that is wrong with the file; the last good one stays.
    pub fn reload(&mut self) -> Result<Vec<Event>, Vec<Mistake>> {
        let topology = check_file(&self.path)?;
        let (mut loaded, picks) = place(topology, &self.path, &self.picks);
        if picks != self.picks {
            loaded.warnings.extend(keep(&picks, &self.state_dir));
            self.picks = picks;
        }
        let events = loaded.take_up(std::mem::take(&mut self.loaded.state));
        self.loaded = loaded;
        Ok(events)
    }

    /// What was loaded last.
    pub fn loaded(&self) -> &Loaded {
        &self.loaded
    }
}

impl Loaded {
    /// What differs from `known`. What does not stays one value in memory, here and at the receiver's.
    fn take_up(&mut self, mut known: State) -> Vec<Event> {
        let events = events(&known, &self.state);
        for event in &events {
            known.apply(event);
        }
        self.state = known;
        events
    }
}

/// Loads a file as a daemon with this state directory would, and writes nothing.
///
/// # Errors
/// Everything that is wrong with the file.
pub fn load(path: &Path, state_dir: &Path) -> Result<Loaded, Vec<Mistake>> {
    load_with_picks(path, state_dir).map(|(loaded, ..)| loaded)
}

/// Checks a text as the content of the file `path`; files that it names are looked at.
///
/// # Errors
/// Everything that is wrong with it.
pub fn check(text: &str, path: &Path) -> Result<Topology, Vec<Mistake>> {
    let (topology, mistakes) = examine(text, path);
    let wrong = mistakes
        .iter()
        .any(|mistake| mistake.severity == Severity::Error);
    match topology {
        Some(topology) if !wrong => Ok(Topology {
            warnings: mistakes,
            ..topology
        }),
        _ => Err(mistakes),
    }
}

/// The file itself and all that it names, also while it has mistakes: what to watch until it has none.
pub fn files(path: &Path) -> BTreeSet<PathBuf> {
    let text = read_text(path).unwrap_or_default();
    let topology = examine(&text, path).0;
    topology.map_or_else(|| [path.to_owned()].into(), |topology| topology.files)
}

/// What it says as far as that can be made out, and all that is wrong with it.
fn examine(text: &str, path: &Path) -> (Option<Topology>, Vec<Mistake>) {
    let mut notes = Notes::new(text);
    let dir = path.parent().unwrap_or(Path::new(""));
    let file = parse(text, &mut notes);
    let mut topology = file.map(|file| together::check(&file, dir, &mut notes));
    if let Some(topology) = &mut topology {
        topology.files.insert(path.to_owned());
    }
    (topology, notes.into_mistakes(path))
}

/// Loaded, the picks there were, and those to keep.
fn load_with_picks(path: &Path, state_dir: &Path) -> Result<(Loaded, Picks, Picks), Vec<Mistake>> {
    let topology = check_file(path)?;
    let (before, warning) = match Picks::read(state_dir) {
        Ok(picks) => (picks, None),
        Err(error) => (
            Picks::default(),
            Some(about_picks(
                state_dir,
                &error,
                "addresses that the file leaves out are chosen anew, most of them as before",
            )),
        ),
    };
    let (mut loaded, picks) = place(topology, path, &before);
    loaded.warnings.extend(warning);
    Ok((loaded, before, picks))
}

/// Checks a file; files that it names are looked at.
///
/// # Errors
/// Everything that is wrong with it, also that it can't be read.
pub fn check_file(path: &Path) -> Result<Topology, Vec<Mistake>> {
    check(&read_text(path).map_err(|mistake| vec![mistake])?, path)
}

fn read_text(path: &Path) -> Result<String, Mistake> {
    let unreadable = |why: String, fix: &str| about_file(path, Code::Unreadable, why, fix);
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(LIMIT + 1).read_to_end(&mut bytes))
        .map_err(|error| {
            let fix = "name a file that warren may read with --topology";
            unreadable(format!("it can't be read: {error}"), fix)
        })?;
    if bytes.len() as u64 > LIMIT {
        let why = format!("it has more than {LIMIT} bytes");
        return Err(unreadable(why, "is this the right file?"));
    }
    String::from_utf8(bytes)
        .map_err(|error| unreadable(format!("it is not UTF-8: {error}"), "save it as UTF-8"))
}

fn place(topology: Topology, path: &Path, before: &Picks) -> (Loaded, Picks) {
    let chosen = choose(&topology.draft, before);
    let mut warnings = topology.warnings;
    for (claim, had) in &chosen.moved {
        let now = chosen.addresses[*claim];
        warnings.push(Mistake {
            severity: Severity::Warning,
            object: topology.draft.claims[*claim].object.clone(),
            ..about_file(
                path,
                Code::PickMoved,
                format!("it had {had}, which is another's or no longer possible, and got {now}"),
                "give it an address of its own in the file to keep one",
            )
        });
    }
    let loaded = Loaded {
        state: build::state(&topology.draft, &chosen),
        settings: topology.settings,
        resolvers: topology.resolvers,
        metadata: topology.metadata,
        files: topology.files,
        warnings,
    };
    (loaded, chosen.picks)
}

fn keep(picks: &Picks, state_dir: &Path) -> Option<Mistake> {
    let error = picks.write(state_dir).err()?;
    Some(about_picks(
        state_dir,
        &error,
        "make room or give warren the right to write there; until then a restart may choose others",
    ))
}

fn about_picks(state_dir: &Path, error: &PicksError, fix: &str) -> Mistake {
    Mistake {
        severity: Severity::Warning,
        object: "chosen addresses".to_owned(),
        ..about_file(state_dir, Code::Picks, error.to_string(), fix)
    }
}
