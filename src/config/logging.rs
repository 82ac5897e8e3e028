//! Where the log goes (oslo.log's options).

use std::path::PathBuf;

use super::problem::{Code, quoted};
use super::reader::{Reader, default};

/// Several places may be chosen, and all get the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Logging {
    pub debug: bool,
    /// One object per line.
    pub json: bool,
    /// Appended to.
    pub file: Option<PathBuf>,
    /// Code of the facility (RFC 3164).
    pub syslog: Option<u8>,
    pub journal: bool,
    /// Also where no other place was chosen.
    pub stderr: bool,
}

/// By their codes.
const FACILITIES: [&str; 24] = [
    "KERN", "USER", "MAIL", "DAEMON", "AUTH", "SYSLOG", "LPR", "NEWS", "UUCP", "CRON", "AUTHPRIV",
    "FTP", "", "", "", "", "LOCAL0", "LOCAL1", "LOCAL2", "LOCAL3", "LOCAL4", "LOCAL5", "LOCAL6",
    "LOCAL7",
];

pub(super) fn logging(reader: &mut Reader, program: &str) -> Logging {
    let (file, dir) = (
        reader.path(default("log_file")),
        reader.path(default("log_dir")),
    );
    let file = match (file, dir) {
        (Some(file), Some(dir)) => Some(dir.join(file)),
        (None, Some(dir)) => Some(dir.join(format!("{program}.log"))),
        (file, None) => file,
    };
    let syslog = if reader.bool(default("use_syslog")) {
        Some(facility(reader))
    } else {
        None
    };
    let journal = reader.bool(default("use_journal"));
    let elsewhere = file.is_some() || syslog.is_some() || journal;
    Logging {
        debug: reader.bool(default("debug")),
        json: reader.bool(default("use_json")),
        stderr: reader.bool(default("use_stderr")) || !elsewhere,
        file,
        syslog,
        journal,
    }
}

fn facility(reader: &mut Reader) -> u8 {
    let name = default("syslog_log_facility");
    let text = reader.text(name);
    let upper = text.to_uppercase();
    let upper = upper.strip_prefix("LOG_").unwrap_or(&upper);
    let known = (0..)
        .zip(FACILITIES)
        .find(|(_, known)| *known == upper && !upper.is_empty());
    if known.is_none() {
        let why = format!("{}: no facility of syslog has this name", quoted(&text));
        reader.refuse(
            name,
            Code::BadValue,
            why,
            "write LOG_USER, LOG_DAEMON, or LOG_LOCAL0 to LOG_LOCAL7",
        );
    }
    known.map_or(0, |(code, _)| code)
}
