//! Options that the agents' command lines have, too (oslo.log's, and `state_path`).

/// One option of `[DEFAULT]`, on the command line.
#[derive(Debug)]
pub struct Flag {
    /// Without the dashes; the first is the present one.
    pub names: &'static [&'static str],
    pub short: Option<char>,
    pub option: &'static str,
    pub takes: Takes,
    pub help: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Takes {
    /// A value, called so in the help.
    Value(&'static str),
    /// None: the option becomes this.
    Nothing(&'static str),
}

const YES: Takes = Takes::Nothing("true");
const NO: Takes = Takes::Nothing("false");

/// As the agents of Zed and of today have them.
#[rustfmt::skip]
pub const FLAGS: &[Flag] = &[
    flag(&["debug"], Some('d'), "debug", YES, "Log every step"),
    flag(&["nodebug"], None, "debug", NO, "The inverse of --debug"),
    flag(&["log-file", "logfile"], None, "log_file", Takes::Value("FILE"), "Append the log to this file"),
    flag(&["log-dir", "logdir"], None, "log_dir", Takes::Value("DIR"), "Where a relative log file is"),
    flag(&["use-syslog"], None, "use_syslog", YES, "Log to syslog"),
    flag(&["nouse-syslog"], None, "use_syslog", NO, "The inverse of --use-syslog"),
    flag(&["syslog-log-facility"], None, "syslog_log_facility", Takes::Value("FACILITY"), "Facility there"),
    flag(&["use-journal"], None, "use_journal", YES, "Log to systemd's journal"),
    flag(&["nouse-journal"], None, "use_journal", NO, "The inverse of --use-journal"),
    flag(&["use-json"], None, "use_json", YES, "Log as JSON, one object per line"),
    flag(&["nouse-json"], None, "use_json", NO, "The inverse of --use-json"),
    flag(&["log-config-append", "log-config"], None, "log_config_append", Takes::Value("FILE"), "Without effect: a file of Python's logging"),
    flag(&["log-date-format"], None, "log_date_format", Takes::Value("FORMAT"), "Without effect"),
    flag(&["watch-log-file"], None, "watch_log_file", YES, "Without effect"),
    flag(&["nowatch-log-file"], None, "watch_log_file", NO, "Without effect"),
    flag(&["state_path"], None, "state_path", Takes::Value("DIR"), "What $state_path means in the files"),
];

const fn flag(
    names: &'static [&'static str],
    short: Option<char>,
    option: &'static str,
    takes: Takes,
    help: &'static str,
) -> Flag {
    Flag {
        names,
        short,
        option,
        takes,
        help,
    }
}
