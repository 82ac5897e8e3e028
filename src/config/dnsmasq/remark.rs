//! What is to say about a line.

use std::borrow::Cow;

use crate::config::problem::Severity;

/// How bad a line is, why, and what to do.
#[derive(Debug, PartialEq)]
pub(super) struct Remark {
    pub(super) severity: Severity,
    pub(super) why: Cow<'static, str>,
    pub(super) fix: &'static str,
}

impl Remark {
    pub(super) const NO_EFFECT: Self = Self {
        severity: Severity::Ignored,
        why: Cow::Borrowed("there is no dnsmasq"),
        fix: "",
    };

    pub(super) fn warning(why: &'static str, fix: &'static str) -> Self {
        Self {
            severity: Severity::Warning,
            why: why.into(),
            fix,
        }
    }

    pub(super) fn refused(why: impl Into<Cow<'static, str>>, fix: &'static str) -> Self {
        Self {
            severity: Severity::Refused,
            why: why.into(),
            fix,
        }
    }
}
