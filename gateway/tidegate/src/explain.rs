//! `tidegate explain`: why a request goes where it goes, without sending it.

mod target;

use crate::cli::explain::ExplainRequest;
use crate::configuration::Configuration;
use anyhow::{Context, Result};
use std::fmt::Write as _;
use std::sync::Arc;
use tidegate_config::settings::Settings;
use tidegate_model::normalize::{escape_path, normalize_path};
use tidegate_plan::{Destination, PlannedRoute, PlannedService, Snapshot};
use tidegate_plugin::services::Services;
use tidegate_proxy::route::Headers;
use tidegate_router::{Explanation, Match, Outcome, RequestFacts, upstream_path};

/// Losing candidates shown at most; the rest is counted.
const MAX_LOSERS: usize = 20;

/// The explanation as text.
///
/// # Errors
/// When the configuration has faults or the settings name none.
pub fn run(request: &ExplainRequest, settings: &Settings) -> Result<String> {
    let settings = Arc::new(settings.clone());
    let configuration = Configuration::new(Arc::clone(&settings), Arc::new(Services::detached()))?;
    configuration
        .source()?
        .context("no declarative file: name one with `-c FILE`")?;
    let compiled = configuration.compile(None)?;
    Ok(explain(request, &compiled.snapshot))
}

/// Explains one request against a snapshot.
#[must_use]
pub fn explain(request: &ExplainRequest, snapshot: &Snapshot) -> String {
    let authority = request.url.authority().map_or("", |authority| authority.as_str());
    let raw_host = request.header("host").unwrap_or(authority).to_ascii_lowercase();
    let (host, host_port) = split_port(&raw_host);
    let is_tls = matches!(request.url.scheme_str(), Some("https" | "grpcs" | "wss"));
    let path = normalize_path(request.url.path().as_bytes());
    let headers = Headers(&request.headers);
    let facts = RequestFacts {
        method: request.method.as_str(),
        scheme: if is_tls { "https" } else { "http" },
        host,
        host_port,
        path: &path,
        query: request.url.query(),
        headers: &headers,
        sni: is_tls.then_some(host),
        source: None,
        destination: None,
    };
    let explanation = snapshot.router.explain(&facts);
    let mut text = String::new();
    let _ = writeln!(text, "request    {} {}", request.method, request.url);
    let _ = writeln!(
        text,
        "host       {host}\npath       {}",
        String::from_utf8_lossy(&path)
    );
    write_candidates(&mut text, &explanation, snapshot);
    match &explanation.winner {
        None => text.push_str("\nanswer     404 no Route matched with those values\n"),
        Some(found) => {
            if let Some(planned) = snapshot.routes.get(found.route as usize) {
                write_winner(&mut text, found, planned, snapshot, &path, request);
            }
        }
    }
    text
}

fn write_candidates(text: &mut String, explanation: &Explanation, snapshot: &Snapshot) {
    let close: Vec<_> = explanation.close().collect();
    let _ = writeln!(
        text,
        "\ncandidates {} of {} routes passed host and path",
        close.len(),
        snapshot.routes.len()
    );
    for candidate in &close {
        let mark = if candidate.outcome == Outcome::Wins {
            "=>"
        } else {
            "  "
        };
        let _ = writeln!(
            text,
            "  {mark} {}  {}",
            route_label(snapshot, candidate.route),
            outcome(&candidate.outcome, snapshot)
        );
    }
    let losers = explanation
        .candidates
        .iter()
        .filter(|candidate| !close.iter().any(|shown| std::ptr::eq(*shown, *candidate)));
    let losers: Vec<_> = losers.collect();
    for candidate in losers.iter().take(MAX_LOSERS) {
        let _ = writeln!(
            text,
            "     {}  {}",
            route_label(snapshot, candidate.route),
            outcome(&candidate.outcome, snapshot)
        );
    }
    if losers.len() > MAX_LOSERS {
        let _ = writeln!(text, "     ... and {} more", losers.len() - MAX_LOSERS);
    }
}

fn outcome(outcome: &Outcome, snapshot: &Snapshot) -> String {
    match outcome {
        Outcome::Outranked { by, rule } => {
            format!(
                "matches, but {} stands before it: {rule}",
                route_label(snapshot, *by)
            )
        }
        other => other.to_string(),
    }
}

fn route_label(snapshot: &Snapshot, index: u32) -> String {
    let Some(planned) = snapshot.routes.get(index as usize) else {
        return format!("route {index}");
    };
    planned
        .route
        .name
        .clone()
        .unwrap_or_else(|| planned.route.id.to_string())
}

fn write_winner(
    text: &mut String,
    found: &Match,
    planned: &PlannedRoute,
    snapshot: &Snapshot,
    path: &[u8],
    request: &ExplainRequest,
) {
    let label = planned
        .route
        .name
        .clone()
        .unwrap_or_else(|| planned.route.id.to_string());
    let _ = writeln!(text, "\nroute      {label} ({})", planned.route.id);
    if let Some(captures) = &found.captures {
        for (number, group) in captures.groups.iter().enumerate() {
            let name = captures
                .names
                .iter()
                .find(|(_, index)| *index == number)
                .map(|(name, _)| format!(" ({name})"));
            let shown = group.as_deref().unwrap_or("took no part");
            let _ = writeln!(text, "capture    {number}{} = {shown}", name.unwrap_or_default());
        }
    }
    match planned.service.and_then(|index| snapshot.planned_service(index)) {
        None => text.push_str("service    none: 503 unless a plugin answers\n"),
        Some(service) => write_service(text, found, planned, service, path, request),
    }
    write_plugins(text, planned, snapshot);
}

fn write_service(
    text: &mut String,
    found: &Match,
    planned: &PlannedRoute,
    service: &PlannedService,
    path: &[u8],
    request: &ExplainRequest,
) {
    let entity = &service.service;
    let label = entity.name.clone().unwrap_or_else(|| entity.id.to_string());
    let _ = writeln!(text, "service    {label} ({})", entity.id);
    let strip = planned.route.strip_path;
    let joined = upstream_path(
        entity.path.as_deref(),
        path,
        found.matched_prefix,
        strip,
        planned.path_handling,
    );
    let escaped = escape_path(joined.bytes(path));
    let query = request
        .url
        .query()
        .map(|query| format!("?{query}"))
        .unwrap_or_default();
    let _ = writeln!(
        text,
        "upstream   {} {}://{}:{}{}{query}",
        request.method,
        entity.protocol,
        entity.host,
        entity.port,
        String::from_utf8_lossy(&escaped)
    );
    let host = match &service.destination {
        _ if planned.route.preserve_host => "the client's (preserve_host)",
        Destination::Upstream(upstream) => {
            let entity = &upstream.live.spec().entity;
            entity.host_header.as_deref().unwrap_or("the target's")
        }
        _ => service.host_header.to_str().unwrap_or_default(),
    };
    let _ = writeln!(text, "host       {host}");
    if let Destination::Upstream(upstream) = &service.destination {
        target::write_target(text, upstream, request, path, found);
    }
}

fn write_plugins(text: &mut String, planned: &PlannedRoute, snapshot: &Snapshot) {
    let instances: Vec<_> = snapshot
        .chain(planned.chain)
        .iter()
        .filter_map(|entry| {
            entry
                .base()
                .and_then(|index| snapshot.instance(index))
                .map(|instance| (entry, instance))
        })
        .collect();
    if instances.is_empty() {
        text.push_str("plugins    none\n");
        write_filters(text, planned, snapshot);
        return;
    }
    text.push_str("plugins    in the order of their access phase\n");
    for (entry, instance) in instances {
        let scope = match (instance.entity.route.is_some(), instance.entity.service.is_some()) {
            (true, true) => "route and service",
            (true, false) => "route",
            (false, true) => "service",
            (false, false) => "global",
        };
        let more = if entry.has_overrides() {
            ", other instances for some consumers"
        } else {
            ""
        };
        let _ = writeln!(
            text,
            "  {:>7}  {}  from {scope}{more}  ({})",
            instance.priority, instance.kind, instance.entity.id
        );
    }
    write_filters(text, planned, snapshot);
}

fn write_filters(text: &mut String, planned: &PlannedRoute, snapshot: &Snapshot) {
    let filters = snapshot.filters(planned.chain);
    if filters.is_empty() {
        return;
    }
    text.push_str("filters    after the plugins' access phase, in order\n");
    for instance in filters.iter().filter_map(|index| snapshot.instance(*index)) {
        let scope = match (instance.entity.route.is_some(), instance.entity.service.is_some()) {
            (true, _) => "route",
            (false, true) => "service",
            (false, false) => "global",
        };
        let source = match instance.chain_place {
            Some(place) => format!("filter chain, place {}", place + 1),
            None => "plugin".to_owned(),
        };
        let _ = writeln!(text, "           {}  from {scope}, {source}", instance.kind);
    }
}

fn split_port(host: &str) -> (&str, Option<u16>) {
    match host.rsplit_once(':') {
        Some((name, port)) if !name.contains(':') || name.ends_with(']') => match port.parse() {
            Ok(port) => (name, Some(port)),
            Err(_) => (host, None),
        },
        _ => (host, None),
    }
}
