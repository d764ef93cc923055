//! Where Tidegate answers differently on purpose.

use super::gateway::Seen;
use serde_json::Value;

/// Why a recorded answer is not the one to give.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Rule {
    /// Kong fails with an error of its own.
    Crash,
}

pub(crate) fn rule(_id: &str, _step: &Value, _seen: &Seen) -> Option<Rule> {
    None
}
