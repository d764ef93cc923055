//! Recorded answers of Kong 3.9.3: which service each request reached and with which URI.
//!
//! `expect` is the default flavour as shipped, `alt` the legacy flavour where it differs. Our default flavour follows
//! the documented order, so each of its answers must be one of the two.

use crate::kit::{inputs, route};
use flate2::read::GzDecoder;
use serde_json::Value;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::{IpAddr, Ipv4Addr};
use tidegate_model::entities::{Protocol, Route};
use tidegate_model::normalize::{escape_path, normalize_path};
use tidegate_router::{Flavor, HeaderList, Outcome, RankRule, RequestFacts, Router, upstream_path};
use uuid::Uuid;

const GOLDEN: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../tests/golden/g1-router.jsonl.gz"
);

/// What became of a request.
#[derive(Debug, PartialEq, Eq, Clone)]
enum Answer {
    Upstream { address: String, uri: String },
    Status(u64),
}

impl Answer {
    fn reached(&self, service: &str) -> bool {
        matches!(self, Self::Upstream { address, .. } if address == service)
    }
}

struct Case {
    routes: Vec<Route>,
    /// Address and path of each route's service.
    services: Vec<(String, Option<String>)>,
}

/// Steps where the documented order leads to neither recorded answer: the shipped order overflows, the legacy order
/// ranks attributes by kind or joins paths by `v1`.
const DOCUMENTED_ORDER_ONLY: [(&str, &[usize]); 11] = [
    ("G1-011", &[10, 30]),
    ("G1-026", &[4]),
    ("G1-031", &[9]),
    ("G1-036", &[0, 14, 35, 38]),
    ("G1-047", &[36]),
    ("G1-049", &[10]),
    ("G1-path-29", &[35]),
    ("G1-path-34", &[35]),
    ("G1-path-36", &[35]),
    ("G1-prio-1", &[33, 34, 57, 58]),
    ("G1-prio-3", &[6, 7]),
];

/// Steps where the legacy engine takes a route from a preselection by host or path and overlooks one that its own
/// order puts first, or where a tie leads to a redirect.
const LEGACY_PRESELECTION: [(&str, &[usize]); 6] = [
    ("G1-004", &[32]),
    ("G1-022", &[10, 16, 17]),
    ("G1-032", &[8, 20, 30, 32, 33]),
    ("G1-036", &[2]),
    ("G1-044", &[4, 50]),
    ("G1-047", &[14, 29]),
];

#[test]
fn every_recorded_request_reaches_a_service_that_kong_chose() {
    let tally = replay(Flavor::TraditionalCompatible, |step| {
        step.answer == step.expect || step.alt.as_ref().is_some_and(|alt| step.answer == *alt)
    });
    assert!(
        tally.checked > 2_500,
        "only {} steps were compared",
        tally.checked
    );
    tally.assert_only(&DOCUMENTED_ORDER_ONLY);
}

#[test]
fn the_legacy_flavour_answers_as_the_legacy_engine_did() {
    let tally = replay(Flavor::Traditional, |step| {
        let recorded = step.alt.as_ref().unwrap_or(&step.expect);
        // All routes were created in the same second: what Kong did with a tie is chance.
        step.answer == *recorded || step.tied_services.iter().any(|address| recorded.reached(address))
    });
    tally.assert_only(&LEGACY_PRESELECTION);
}

struct Step {
    answer: Answer,
    expect: Answer,
    alt: Option<Answer>,
    /// Services of routes that lost only by time of creation.
    tied_services: Vec<String>,
}

struct Tally {
    checked: usize,
    wrong: Vec<(String, usize, String)>,
}

impl Tally {
    fn assert_only(&self, known: &[(&str, &[usize])]) {
        let known: Vec<(&str, usize)> = known
            .iter()
            .flat_map(|(case, steps)| steps.iter().map(|step| (*case, *step)))
            .collect();
        let wrong: Vec<(&str, usize)> = self
            .wrong
            .iter()
            .map(|(case, step, _)| (&**case, *step))
            .collect();
        let details: Vec<&str> = self.wrong.iter().map(|(_, _, text)| &**text).collect();
        assert_eq!(wrong, known, "of {} steps:\n{}", self.checked, details.join("\n"));
    }
}

fn replay(flavor: Flavor, is_right: impl Fn(&Step) -> bool) -> Tally {
    let lines = BufReader::new(GzDecoder::new(File::open(GOLDEN).expect("the golden file"))).lines();
    let mut tally = Tally {
        checked: 0,
        wrong: Vec::new(),
    };
    for line in lines {
        let case: Value = serde_json::from_str(&line.expect("a line")).expect("JSON");
        let id = case["id"].as_str().unwrap_or_default();
        let parsed = parse_case(&case["config"]);
        let (router, faults) = Router::build(&inputs(&parsed.routes), flavor);
        assert_eq!(faults, [], "{id}");
        for (number, step) in case["steps"].as_array().expect("steps").iter().enumerate() {
            let request = &step["req"];
            let expect = recorded(&step["expect"]);
            if expect == Answer::Status(400) || has_capitals_in_host(request) {
                // Refused before routing, or our own rule on hosts.
                continue;
            }
            let (answer, tied_services) = answer(&router, flavor, &parsed, request);
            let outcome = Step {
                answer,
                expect,
                alt: step.get("alt").map(recorded),
                tied_services,
            };
            tally.checked += 1;
            if !is_right(&outcome) {
                let Step {
                    answer, expect, alt, ..
                } = outcome;
                let text = format!("{id} step {number}: {answer:?}, not {expect:?} or {alt:?}: {request}");
                tally.wrong.push((id.to_owned(), number, text));
            }
        }
    }
    tally
}

/// Kong compares hosts with case, Tidegate without.
fn has_capitals_in_host(request: &Value) -> bool {
    let mut pairs = request["headers"].as_array().into_iter().flatten();
    pairs.any(|pair| {
        text(&pair[0]).eq_ignore_ascii_case("host") && text(&pair[1]).contains(char::is_uppercase)
    })
}

fn recorded(expect: &Value) -> Answer {
    match expect["upstream"].get(0) {
        Some(upstream) => Answer::Upstream {
            address: upstream["addr"].as_str().expect("an address").to_owned(),
            uri: upstream["uri"].as_str().expect("a URI").to_owned(),
        },
        None => Answer::Status(expect["status"].as_u64().unwrap_or(0)),
    }
}

fn parse_case(config: &Value) -> Case {
    let mut case = Case {
        routes: Vec::new(),
        services: Vec::new(),
    };
    for service in config["services"].as_array().into_iter().flatten() {
        let address = service["host"].as_str().expect("a host").to_owned();
        let path = service["path"].as_str().map(str::to_owned);
        for fields in service["routes"].as_array().into_iter().flatten() {
            let name = fields["name"].as_str().expect("a name");
            case.routes.push(route(route_id(name).as_u128(), fields.clone()));
            case.services.push((address.clone(), path.clone()));
        }
    }
    case
}

/// Kong's id of a route of a declarative file (kong-core B.3): it decides ties.
fn route_id(name: &str) -> Uuid {
    const NAMESPACE: Uuid = Uuid::from_u128(0xfd02_801f_0957_4a15_a55a_c8d9_606f_30b5);
    Uuid::new_v5(&Uuid::new_v5(&NAMESPACE, b"routes"), name.as_bytes())
}

fn answer(router: &Router, flavor: Flavor, case: &Case, request: &Value) -> (Answer, Vec<String>) {
    let target = request["target"].as_str().expect("a target");
    let mark = target
        .char_indices()
        .skip(1)
        .find(|(_, char)| *char == '?')
        .map(|(at, _)| at);
    let (raw_path, query) = mark.map_or((target, None), |at| (&target[..at], Some(&target[at + 1..])));
    let raw_path = latin1(raw_path);
    let path = normalize_path(&raw_path);
    let tls = request["tls"].as_bool().unwrap_or(false);
    let port = if tls { 18_443 } else { 18_000 };
    let pairs = request["headers"].as_array().into_iter().flatten();
    let headers = HeaderList(
        pairs
            .map(|pair| (text(&pair[0]).to_owned(), latin1(text(&pair[1]).trim())))
            .collect(),
    );
    let host_header = headers
        .0
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case("host"));
    let host = host_header.map_or_else(
        || format!("127.0.0.1:{port}"),
        |(_, value)| String::from_utf8_lossy(value).to_lowercase(),
    );
    let (name, host_port) = match host
        .split_once(':')
        .map(|(name, port)| (name, port.parse::<u16>()))
    {
        Some((name, Ok(port))) => (name, Some(port)),
        _ => (host.as_str(), None),
    };
    let local = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let facts = RequestFacts {
        method: text(&request["method"]),
        scheme: if tls { "https" } else { "http" },
        host: name,
        host_port,
        path: &path,
        query,
        headers: &headers,
        sni: request["sni"].as_str(),
        source: Some((local, 50_000)),
        destination: Some((local, port)),
    };
    let found = router.find(&facts);
    let explained = router.explain(&facts);
    assert_eq!(
        explained.winner, found,
        "explanation and answer differ for {request}"
    );
    let tied = explained.candidates.iter().filter(|candidate| {
        matches!(
            candidate.outcome,
            Outcome::Outranked {
                rule: RankRule::CreatedEarlier,
                ..
            }
        )
    });
    let tied = tied
        .map(|candidate| case.services[candidate.route as usize].0.clone())
        .collect();
    let Some(found) = found else {
        return (Answer::Status(404), tied);
    };
    let route = &case.routes[found.route as usize];
    if route.protocols == [Protocol::Https] && !tls {
        return (Answer::Status(u64::from(route.https_redirect_status_code)), tied);
    }
    let (address, service_path) = &case.services[found.route as usize];
    let handling = flavor.path_handling(route.path_handling);
    let joined = upstream_path(
        service_path.as_deref(),
        &path,
        found.matched_prefix,
        route.strip_path,
        handling,
    );
    let mut uri = String::from_utf8(escape_path(joined.bytes(&path)).into_owned()).expect("escaped is ASCII");
    if let Some(query) = query {
        uri = format!("{uri}?{query}");
    }
    (
        Answer::Upstream {
            address: address.clone(),
            uri,
        },
        tied,
    )
}

/// The recording holds bytes as characters.
fn latin1(text: &str) -> Vec<u8> {
    text.chars()
        .map(|char| u8::try_from(u32::from(char)).expect("a byte"))
        .collect()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

#[test]
fn route_ids_of_declarative_files_are_computed_as_kong_does() {
    assert_eq!(
        route_id("foo").to_string(),
        "fb94a9b8-3f5e-525c-b38d-61aa1cbaa69c"
    );
}
