//! Which target an Upstream would choose, and why others are out.

use crate::cli::explain::ExplainRequest;
use std::fmt::Write as _;
use std::time::Instant;
use tidegate_plan::{HashFacts, HashInput, HashValue, PlannedUpstream};
use tidegate_plugin::exchange::Captures;
use tidegate_router::Match;
use tidegate_upstream::{Algorithm, Asked, DnsState, TargetView, Tried, WhyOut};

pub(super) fn write_target(
    text: &mut String,
    upstream: &PlannedUpstream,
    request: &ExplainRequest,
    path: &[u8],
    found: &Match,
) {
    let spec = upstream.live.spec();
    let now = Instant::now();
    let _ = writeln!(text, "balancer   {} ({})", spec.name, rule(spec.algorithm));
    let captures = found.captures.as_deref().map(|captures| Captures {
        groups: captures.groups.clone(),
        names: captures.names.clone(),
    });
    let facts = HashFacts {
        headers: &request.headers,
        path,
        query: request.url.query(),
        client: None,
        consumer: None,
        captures: captures.as_ref(),
    };
    let value = value(upstream, &facts, text);
    let nothing = Tried::default();
    let chosen = upstream.live.choose(&Asked {
        value: value.as_ref().map(HashValue::bytes),
        tried: &nothing,
        random: 0,
        now,
    });
    match &chosen {
        Err(_) if upstream.has_names && upstream.live.has_unresolved() => {
            text.push_str("target     known once names are resolved\n");
        }
        Err(reason) => {
            let _ = writeln!(
                text,
                "target     none: 503 failure to get a peer from the ring-balancer ({reason})"
            );
        }
        Ok(pick) => {
            let _ = writeln!(text, "target     {} ({})", pick.target_host(), pick.address());
        }
    }
    for target in upstream.live.targets(now) {
        write_member(text, &target);
    }
}

fn rule(algorithm: Algorithm) -> &'static str {
    match algorithm {
        Algorithm::RoundRobin => "round-robin: the first of the turn is shown",
        Algorithm::ConsistentHashing => "consistent-hashing",
        Algorithm::LeastConnections => "least-connections: with nothing in flight",
        Algorithm::Latency => "latency: one of two random targets",
        Algorithm::StickySessions => "sticky-sessions: without the cookie, the first of the turn",
    }
}

/// The value that is hashed, as far as it is known without a connection and without plugins.
fn value(upstream: &PlannedUpstream, facts: &HashFacts<'_>, text: &mut String) -> Option<HashValue> {
    let cookie = || upstream.cookie_value(facts.headers);
    if upstream.is_sticky {
        return cookie();
    }
    let found = upstream.hash.iter().find_map(|input| match input {
        HashInput::Cookie => cookie(),
        other => other.value(facts),
    });
    if upstream.live.spec().algorithm == Algorithm::ConsistentHashing {
        let shown = found.as_ref().map_or_else(
            || "nothing that is known here".to_owned(),
            |value| format!("'{}'", String::from_utf8_lossy(value.bytes())),
        );
        let _ = writeln!(text, "hashed     {shown}");
    }
    found
}

fn write_member(text: &mut String, view: &TargetView) {
    let target = &view.target;
    let _ = write!(text, "           {}  weight {}", target.target, target.weight);
    if target.weight == 0 {
        text.push_str("  out: its weight is 0");
    } else if view.dns == DnsState::Unresolved {
        text.push_str("  a name, resolved with the first request");
    } else if let DnsState::Failed(fault) = &view.dns {
        let _ = write!(text, "  {fault}");
    }
    let unhealthy = view
        .addresses
        .iter()
        .filter(|address| address.out == Some(WhyOut::Unhealthy));
    for address in unhealthy {
        let _ = write!(text, "  out: {} is {}", address.address, address.state.name());
    }
    text.push('\n');
}
