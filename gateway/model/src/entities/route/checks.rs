//! Rules between the fields of a route (kong-core A.3). The first protocol decides which of them hold.

use crate::schema::{Context, EntityCheck, Moment, PathSegment, RouterFlavor, Transform, Violation};
use regex::Regex;
use serde_json::{Map, Value};

type Record = Map<String, Value>;

/// Protocols of one route are all of one of these.
pub(super) const FAMILIES: &[&[&str]] = &[HTTP, STREAM, TLS_PASSTHROUGH, GRPC];
const HTTP: &[&str] = &["http", "https"];
const STREAM: &[&str] = &["tcp", "tls", "udp"];
const TLS_PASSTHROUGH: &[&str] = &["tls_passthrough"];
const GRPC: &[&str] = &["grpc", "grpcs"];

/// What decides whether a request matches.
const MATCHERS: &[&str] = &[
    "methods",
    "hosts",
    "paths",
    "headers",
    "snis",
    "sources",
    "destinations",
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Family {
    Http,
    Stream,
    Grpc,
}

impl Family {
    /// Told by the first protocol that is one.
    fn of(record: &Record) -> Option<Self> {
        protocols(record).find_map(|protocol| match protocol {
            protocol if HTTP.contains(&protocol) => Some(Self::Http),
            protocol if GRPC.contains(&protocol) => Some(Self::Grpc),
            protocol if STREAM.contains(&protocol) || TLS_PASSTHROUGH.contains(&protocol) => {
                Some(Self::Stream)
            }
            _ => None,
        })
    }

    /// How texts name its protocols.
    const fn shown(self) -> &'static str {
        match self {
            Self::Http => "'http' or 'https'",
            Self::Stream => "'tcp', 'tls', 'tls_passthrough' or 'udp'",
            Self::Grpc => "'grpc' or 'grpcs'",
        }
    }
}

fn protocols(record: &Record) -> impl Iterator<Item = &str> {
    record
        .get("protocols")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
}

fn is_given(record: &Record, name: &str) -> bool {
    record.get(name).is_some_and(|value| !value.is_null())
}

fn is_non_empty(record: &Record, name: &str) -> bool {
    match record.get(name) {
        None | Some(Value::Null) => false,
        Some(Value::Array(items)) => !items.is_empty(),
        Some(Value::Object(entries)) => !entries.is_empty(),
        Some(Value::String(text)) => !text.is_empty(),
        Some(_) => true,
    }
}

pub(super) fn is_not_host(name: &Value) -> Result<(), String> {
    if name
        .as_str()
        .is_some_and(|name| name.eq_ignore_ascii_case("host"))
    {
        return Err(
            "cannot contain 'host' header, which must be specified in the 'hosts' attribute".to_owned(),
        );
    }
    Ok(())
}

pub(super) fn known_protocols() -> EntityCheck {
    fn check(record: &Record, _: &Context) -> Vec<Violation> {
        match protocols(record).next() {
            Some(first) if Family::of(record).is_none() => {
                vec![Violation::field("protocols", format!("unknown type: {first}"))]
            }
            _ => Vec::new(),
        }
    }
    EntityCheck::Among {
        name: "known_protocols",
        fields: &["protocols"],
        even_if_at_fault: true,
        check,
    }
}

/// Fields that the protocols leave without meaning must not be set.
pub(super) fn fields_of_family() -> EntityCheck {
    fn check(record: &Record, context: &Context) -> Vec<Violation> {
        let Some(family) = Family::of(record) else {
            return Vec::new();
        };
        let with_addresses = context.router_flavor == RouterFlavor::Expressions;
        let refused: &[&str] = match family {
            Family::Stream => &["methods", "hosts", "paths", "headers"],
            Family::Http if with_addresses => &[],
            Family::Http => &["sources", "destinations"],
            Family::Grpc if with_addresses => &["methods"],
            Family::Grpc => &["methods", "sources", "destinations"],
        };
        let strips = family == Family::Grpc && record.get("strip_path") == Some(&Value::Bool(true));
        let refused = refused.iter().copied().filter(|name| is_given(record, name));
        let text = |name| format!("cannot set '{name}' when 'protocols' is {}", family.shown());
        refused
            .chain(strips.then_some("strip_path"))
            .map(|name| Violation::field(name, text(name)))
            .collect()
    }
    EntityCheck::Among {
        name: "fields_of_family",
        fields: &[
            "protocols",
            "methods",
            "hosts",
            "paths",
            "headers",
            "sources",
            "destinations",
            "strip_path",
        ],
        even_if_at_fault: true,
        check,
    }
}

pub(super) fn snis_need_tls() -> EntityCheck {
    const TLS: &[&str] = &["grpcs", "https", "tls", "tls_passthrough"];
    fn check(record: &Record, context: &Context) -> Vec<Violation> {
        if is_non_empty(record, "snis")
            && Family::of(record).is_some()
            && !protocols(record).any(|one| TLS.contains(&one))
        {
            let message =
                "'snis' can only be set when 'protocols' is 'grpcs', 'https', 'tls' or 'tls_passthrough'";
            return vec![
                Violation::entity(message),
                Violation::field("snis", "length must be 0"),
            ];
        }
        if context.router_flavor == RouterFlavor::Traditional {
            return wildcard_snis(record);
        }
        Vec::new()
    }
    EntityCheck::Among {
        name: "snis_need_tls",
        fields: &["protocols", "snis"],
        even_if_at_fault: true,
        check,
    }
}

/// The old engine compares server names as a whole.
fn wildcard_snis(record: &Record) -> Vec<Violation> {
    let snis = record
        .get("snis")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .enumerate();
    let wildcards =
        snis.filter_map(|(index, sni)| Some((index, sni.as_str().filter(|sni| sni.contains('*'))?)));
    let at = |(index, sni)| {
        let fault = Violation {
            path: vec![PathSegment::Index(index)],
            message: format!("invalid value: {sni}"),
            is_entity_check: false,
        };
        fault.under(PathSegment::Key("snis".to_owned()))
    };
    wildcards.map(at).collect()
}

/// A route without anything to match would never answer.
pub(super) fn something_to_match() -> EntityCheck {
    fn check(record: &Record, context: &Context) -> Vec<Violation> {
        let has = |protocol: &str| protocols(record).any(|one| one == protocol);
        let all_in = |family: &[&str]| protocols(record).all(|one| family.contains(&one));
        let (mut needed, protocols): (Vec<&str>, &str) = match Family::of(record) {
            Some(Family::Http) if has("https") => {
                (vec!["methods", "hosts", "headers", "paths", "snis"], "'https'")
            }
            Some(Family::Http) => (vec!["methods", "hosts", "headers", "paths"], "'http'"),
            Some(Family::Grpc) if has("grpcs") => (vec!["hosts", "headers", "paths", "snis"], "'grpcs'"),
            Some(Family::Grpc) => (vec!["hosts", "headers", "paths"], "'grpc'"),
            Some(Family::Stream) if all_in(STREAM) => {
                (vec!["sources", "destinations", "snis"], "'tcp', 'tls' or 'udp'")
            }
            Some(Family::Stream) if all_in(TLS_PASSTHROUGH) => (vec!["snis"], "'tls_passthrough'"),
            _ => return Vec::new(),
        };
        if context.router_flavor == RouterFlavor::Expressions {
            needed.push("expression");
        }
        if needed.iter().any(|name| is_non_empty(record, name)) {
            return Vec::new();
        }
        if all_in(TLS_PASSTHROUGH) {
            return vec![Violation::entity(
                "must set snis when 'protocols' is 'tls_passthrough'",
            )];
        }
        let quoted: Vec<String> = needed.iter().map(|name| format!("'{name}'")).collect();
        vec![Violation::entity(format!(
            "must set one of {} when 'protocols' is {protocols}",
            quoted.join(", ")
        ))]
    }
    EntityCheck::Among {
        name: "something_to_match",
        fields: &[
            "protocols",
            "methods",
            "hosts",
            "headers",
            "paths",
            "snis",
            "sources",
            "destinations",
            "expression",
        ],
        even_if_at_fault: true,
        check,
    }
}

/// Expressions stand alone, and what becomes part of one must be a valid part. The text of an `expression` itself is for
/// the router to check.
pub(super) fn compiles() -> EntityCheck {
    fn check(record: &Record, context: &Context) -> Vec<Violation> {
        if context.router_flavor == RouterFlavor::Traditional {
            return Vec::new();
        }
        let fails = |reason: &str| {
            vec![Violation::entity(format!(
                "Router Expression failed validation: {reason}"
            ))]
        };
        let has_expression = is_given(record, "expression");
        let has_matchers = MATCHERS.iter().any(|name| is_non_empty(record, name));
        let is_non_zero = |name| {
            record
                .get(name)
                .and_then(Value::as_i64)
                .is_some_and(|number| number != 0)
        };
        let listed =
            "'methods', 'hosts', 'paths', 'headers', 'snis', 'sources' or 'destinations' simultaneously";
        if has_expression && has_matchers {
            return fails(&format!("cannot set 'expression' with {listed}"));
        }
        if has_expression && is_non_zero("regex_priority") {
            return fails("cannot set 'regex_priority' with 'expression' simultaneously");
        }
        if has_matchers && is_non_zero("priority") {
            return fails(&format!("cannot set 'priority' with {listed}"));
        }
        unusable_header(record).map_or_else(Vec::new, |reason| fails(&reason))
    }
    EntityCheck::Among {
        name: "compiles",
        fields: &[
            "protocols",
            "snis",
            "sources",
            "destinations",
            "methods",
            "hosts",
            "paths",
            "headers",
            "expression",
            "regex_priority",
            "priority",
        ],
        even_if_at_fault: false,
        check,
    }
}

fn unusable_header(record: &Record) -> Option<String> {
    let headers = record.get("headers").and_then(Value::as_object)?;
    headers.iter().find_map(|(name, values)| {
        let values = values.as_array()?;
        if values.is_empty() {
            return Some(format!("header '{name}' has no values"));
        }
        values
            .iter()
            .filter_map(|value| value.as_str()?.strip_prefix("~*"))
            .find_map(|pattern| {
                // The pattern is compared with the value in lower case (kong-core C.4).
                let error = Regex::new(&pattern.to_lowercase()).err()?;
                Some(format!("invalid regex '{pattern}' of header '{name}': {error}"))
            })
    })
}

/// gRPC paths name methods, so nothing is stripped unless told so, which is then refused.
pub(super) fn grpc_keeps_its_path() -> Transform {
    fn apply(record: &mut Record, _: &Context) {
        if Family::of(record) == Some(Family::Grpc) && !is_given(record, "strip_path") {
            record.insert("strip_path".to_owned(), Value::Bool(false));
        }
    }
    Transform {
        name: "grpc_keeps_its_path",
        moment: Moment::BeforeDefaults,
        apply,
    }
}
