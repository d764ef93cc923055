//! Evaluation of an expression against one request.

use super::ast::{Field, IntegerOperator, Node, Predicate, Test, TextOperator};
use crate::facts::RequestFacts;
use crate::pattern::Pattern;
use percent_encoding::percent_decode;
use smallvec::SmallVec;
use std::borrow::Cow;
use std::net::IpAddr;

/// Most query arguments that take part in routing (kong-core C.2).
const MAX_QUERY_ARGUMENTS: usize = 100;

/// What evaluation found out about the path besides yes or no.
#[derive(Default)]
pub(crate) struct Notes<'p> {
    /// Bytes of the path that the last successful `==`, `^=` or `~` on `http.path` covered.
    pub(crate) matched_prefix: usize,
    /// The last regex on `http.path` that matched.
    pub(crate) pattern: Option<&'p Pattern>,
}

pub(super) fn holds<'a>(node: &'a Node, facts: &RequestFacts<'_>, notes: &mut Notes<'a>) -> bool {
    match node {
        Node::All(parts) => parts.iter().all(|part| holds(part, facts, notes)),
        Node::Any(parts) => parts.iter().any(|part| holds(part, facts, notes)),
        Node::Not(inner) => !holds(inner, facts, notes),
        Node::Test(predicate) => predicate_holds(predicate, facts, notes),
    }
}

fn predicate_holds<'a>(predicate: &'a Predicate, facts: &RequestFacts<'_>, notes: &mut Notes<'a>) -> bool {
    match &predicate.test {
        Test::Integer(operator, wanted) => {
            integer_value(&predicate.field, facts).is_some_and(|value| compare(*operator, value, *wanted))
        }
        Test::Address { equal, address } => {
            address_value(&predicate.field, facts).is_some_and(|value| (value == *address) == *equal)
        }
        Test::Range { within, range } => {
            address_value(&predicate.field, facts).is_some_and(|value| range.contains(&value) == *within)
        }
        Test::Text(..) | Test::Matches(_) if predicate.field == Field::Path => {
            path_holds(predicate, facts, notes)
        }
        Test::Text(..) | Test::Matches(_) => text_holds(predicate, facts),
    }
}

fn path_holds<'a>(predicate: &'a Predicate, facts: &RequestFacts<'_>, notes: &mut Notes<'a>) -> bool {
    let path = lowered(facts.path, predicate.transforms.lower);
    match &predicate.test {
        Test::Matches(pattern) => {
            let Some(length) = pattern.find(&path) else {
                return false;
            };
            notes.matched_prefix = length;
            notes.pattern = Some(pattern);
            true
        }
        Test::Text(operator, wanted) => {
            let holds = text_test(*operator, &path, wanted);
            if holds && matches!(operator, TextOperator::Equal | TextOperator::StartsWith) {
                notes.matched_prefix = wanted.len().min(facts.path.len());
            }
            holds
        }
        Test::Integer(..) | Test::Address { .. } | Test::Range { .. } => false,
    }
}

/// Several values: all must hold, or one with `any()`; none at all is false.
fn text_holds(predicate: &Predicate, facts: &RequestFacts<'_>) -> bool {
    let mut values = 0_usize;
    let mut good = 0_usize;
    visit_field(&predicate.field, facts, &mut |value| {
        values += 1;
        let value = lowered(value, predicate.transforms.lower);
        good += usize::from(match &predicate.test {
            Test::Text(operator, wanted) => text_test(*operator, &value, wanted),
            Test::Matches(pattern) => pattern.is_match(&value),
            Test::Integer(..) | Test::Address { .. } | Test::Range { .. } => false,
        });
    });
    if predicate.transforms.any {
        good > 0
    } else {
        values > 0 && good == values
    }
}

fn text_test(operator: TextOperator, value: &[u8], wanted: &[u8]) -> bool {
    match operator {
        TextOperator::Equal => value == wanted,
        TextOperator::NotEqual => value != wanted,
        TextOperator::StartsWith => value.starts_with(wanted),
        TextOperator::EndsWith => value.ends_with(wanted),
        TextOperator::Contains => memchr::memmem::find(value, wanted).is_some(),
    }
}

fn compare(operator: IntegerOperator, value: i64, wanted: i64) -> bool {
    match operator {
        IntegerOperator::Equal => value == wanted,
        IntegerOperator::NotEqual => value != wanted,
        IntegerOperator::Greater => value > wanted,
        IntegerOperator::GreaterOrEqual => value >= wanted,
        IntegerOperator::Less => value < wanted,
        IntegerOperator::LessOrEqual => value <= wanted,
    }
}

fn integer_value(field: &Field, facts: &RequestFacts<'_>) -> Option<i64> {
    match field {
        Field::SourcePort => facts.source.map(|(_, port)| i64::from(port)),
        Field::DestinationPort => facts.port().map(i64::from),
        Field::SegmentCount => i64::try_from(segments(facts.path).count()).ok(),
        _ => None,
    }
}

fn address_value(field: &Field, facts: &RequestFacts<'_>) -> Option<IpAddr> {
    match field {
        Field::SourceIp => facts.source.map(|(address, _)| address),
        Field::DestinationIp => facts.destination.map(|(address, _)| address),
        _ => None,
    }
}

/// Calls `each` with every value of a text field.
pub(crate) fn visit_field(field: &Field, facts: &RequestFacts<'_>, each: &mut dyn FnMut(&[u8])) {
    match field {
        Field::Protocol => each(facts.scheme.as_bytes()),
        Field::Method => each(facts.method.as_bytes()),
        Field::Host => each(facts.host.as_bytes()),
        Field::Path => each(facts.path),
        Field::Sni => {
            if let Some(sni) = facts.sni {
                each(sni.as_bytes());
            }
        }
        Field::Header(name) => facts.headers.visit(name, each),
        Field::Query(name) => visit_query(facts.query, name, each),
        Field::Segments(first, last) => {
            if let Some(found) = segment_span(facts.path, *first, *last) {
                each(found);
            }
        }
        // The numeric fields have no text.
        Field::DestinationPort
        | Field::SegmentCount
        | Field::SourceIp
        | Field::DestinationIp
        | Field::SourcePort => {}
    }
}

fn visit_query(query: Option<&str>, name: &str, each: &mut dyn FnMut(&[u8])) {
    let arguments = query
        .unwrap_or_default()
        .split('&')
        .filter(|argument| !argument.is_empty());
    for argument in arguments.take(MAX_QUERY_ARGUMENTS) {
        let (own, value) = argument.split_once('=').unwrap_or((argument, ""));
        if *form_decoded(own) == *name.as_bytes() {
            each(&form_decoded(value));
        }
    }
}

fn form_decoded(text: &str) -> Cow<'_, [u8]> {
    if !text.bytes().any(|byte| byte == b'%' || byte == b'+') {
        return Cow::Borrowed(text.as_bytes());
    }
    let spaced = text.replace('+', " ");
    Cow::Owned(percent_decode(spaced.as_bytes()).collect())
}

/// Segments of a path; empty ones at the end do not count.
fn segments(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    trimmed(path)
        .into_iter()
        .flat_map(|inner| inner.split(|byte| *byte == b'/'))
}

fn trimmed(path: &[u8]) -> Option<&[u8]> {
    let inner = path.strip_prefix(b"/").unwrap_or(path);
    let end = inner.iter().rposition(|byte| *byte != b'/')?;
    inner.get(..=end)
}

/// The segments `first` to `last` with the slashes between them; all of them must exist.
fn segment_span(path: &[u8], first: usize, last: usize) -> Option<&[u8]> {
    let inner = trimmed(path)?;
    let mut ends = memchr::memchr_iter(b'/', inner).chain(std::iter::once(inner.len()));
    let start = match first {
        0 => 0,
        _ => ends.nth(first - 1).filter(|end| *end < inner.len())? + 1,
    };
    let end = ends.nth(last - first)?;
    inner.get(start..end)
}

fn lowered(value: &[u8], lower: bool) -> Cow<'_, [u8]> {
    if !lower
        || !value
            .iter()
            .any(|byte| byte.is_ascii_uppercase() || !byte.is_ascii())
    {
        return Cow::Borrowed(value);
    }
    let mut folded = SmallVec::new();
    fold_case(value, &mut folded);
    Cow::Owned(folded.to_vec())
}

/// Writes the lower-case form: of text when it is UTF-8, else of its ASCII letters.
pub(crate) fn fold_case(value: &[u8], folded: &mut SmallVec<[u8; 128]>) {
    folded.clear();
    if !value.is_ascii()
        && let Ok(text) = std::str::from_utf8(value)
    {
        folded.extend_from_slice(text.to_lowercase().as_bytes());
        return;
    }
    folded.extend_from_slice(value);
    folded.make_ascii_lowercase();
}
