//! Where Tidegate answers differently on purpose. Each rule stands in `docs/differences.md` too, and says what is to be
//! seen instead, so that a case it covers is still checked.

use super::case::{Ask, Observation};
use std::fmt;

/// Why a recorded answer is not the one to give.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rule {
    /// Hosts are compared without case: the answer is that to the host in lower case.
    UpperCaseHost,
    /// Bytes above ASCII in a path are percent-encoded, then routed: the answer is that to the encoded path.
    BytesAboveAscii,
    /// A fragment is no part of a request target: the answer is that to the target without it.
    Fragment,
    /// Routes are ordered as documented, in the flavour `traditional_compatible` too: the answer is that of the route
    /// which [`ORDER`] names.
    DocumentedOrder,
    /// A refusal with status 499 is sent: nginx closes the connection instead.
    Status499,
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UpperCaseHost => "hosts are compared without case",
            Self::BytesAboveAscii => "bytes above ASCII in a path are percent-encoded",
            Self::Fragment => "a fragment is cut off",
            Self::DocumentedOrder => "routes are ordered as documented",
            Self::Status499 => "a refusal with status 499 is sent",
        })
    }
}

/// Steps whose route neither of the recorded flavours takes: case, step, address of the service that the documented
/// order leads to, and what decides.
const ORDER: &[(&str, usize, &str, &str)] = &[
    ("G1-011", 10, "127.0.1.18", THREE_KINDS_V0),
    ("G1-011", 30, "127.0.1.18", THREE_KINDS_V0),
    (
        "G1-026",
        4,
        "127.0.1.10",
        "method and longer path before a regex path alone",
    ),
    ("G1-031", 9, "127.0.1.16", "a header counts before regex_priority"),
    ("G1-036", 0, "127.0.1.23", EQUAL_WEIGHTS),
    (
        "G1-036",
        14,
        "127.0.1.6",
        "host, method and path before plain host and path",
    ),
    (
        "G1-036",
        35,
        "127.0.1.6",
        "host, method and path before plain host and path",
    ),
    ("G1-036", 38, "127.0.1.23", EQUAL_WEIGHTS),
    (
        "G1-047",
        36,
        "127.0.1.15",
        "wildcard host and path before a regex path alone",
    ),
    ("G1-049", 10, "127.0.1.3", EQUAL_WEIGHTS),
    (
        "G1-prio-1",
        33,
        "127.0.1.4",
        "a header counts before a regex path",
    ),
    (
        "G1-prio-1",
        34,
        "127.0.1.9",
        "two headers count before a regex path",
    ),
    (
        "G1-prio-1",
        57,
        "127.0.1.4",
        "a header counts before a regex path",
    ),
    (
        "G1-prio-1",
        58,
        "127.0.1.9",
        "two headers count before a regex path",
    ),
    ("G1-prio-3", 6, "127.0.1.3", NEGATIVE_PRIORITY),
    ("G1-prio-3", 7, "127.0.1.3", NEGATIVE_PRIORITY),
];
const THREE_KINDS_V0: &str =
    "host, method and path before plain host and path; joined by v0, which `traditional` alone does not";
const EQUAL_WEIGHTS: &str =
    "of routes that weigh the same the greater id, where `traditional` has the earlier creation";
const NEGATIVE_PRIORITY: &str =
    "a negative regex_priority is the lowest, not the highest; of equals the greater id";

/// What the answer is to be compared with, when it is not the recorded one.
pub(super) enum Instead {
    /// The answer to this request.
    AnswerTo(Box<Ask>),
    /// The service at this address was asked.
    ServedBy(&'static str),
    /// A response with this status.
    Status(u16),
}

/// The rule that covers a step, and what it asks for instead.
pub(super) fn covers(case: &str, step: usize, ask: &Ask, want: &Observation) -> Option<(Rule, Instead)> {
    let order = ORDER.iter().find(|entry| (entry.0, entry.1) == (case, step));
    if let Some((_, _, address, _)) = order {
        return Some((Rule::DocumentedOrder, Instead::ServedBy(address)));
    }
    if want.error.is_some() && case == "G2-rl-msg" {
        return Some((Rule::Status499, Instead::Status(499)));
    }
    let (rule, other) = with_lower_host(ask)
        .map(|other| (Rule::UpperCaseHost, other))
        .or_else(|| encoded(ask).map(|other| (Rule::BytesAboveAscii, other)))
        .or_else(|| without_fragment(ask).map(|other| (Rule::Fragment, other)))?;
    Some((rule, Instead::AnswerTo(Box::new(other))))
}

fn with_lower_host(ask: &Ask) -> Option<Ask> {
    let mut other = ask.clone();
    let (_, host) = other
        .headers
        .iter_mut()
        .find(|(name, _)| name.eq_ignore_ascii_case("host"))?;
    let lower = host.to_ascii_lowercase();
    (lower != *host).then(|| *host = lower)?;
    Some(other)
}

fn encoded(ask: &Ask) -> Option<Ask> {
    if ask.target.is_ascii() {
        return None;
    }
    let one = |c: char| match c.is_ascii() {
        true => c.to_string(),
        false => format!("%{:02X}", u32::from(c)),
    };
    Some(Ask {
        target: ask.target.chars().map(one).collect(),
        ..ask.clone()
    })
}

fn without_fragment(ask: &Ask) -> Option<Ask> {
    let raw = ask.raw.as_ref()?;
    let (before, after) = raw.split_once('#')?;
    let (_, rest) = after.split_once(' ')?;
    Some(Ask {
        raw: Some(format!("{before} {rest}")),
        ..ask.clone()
    })
}
