//! Why a request went where it went.
//!
//! This looks at every route in order and tests every predicate, without the index: slow, complete, and a check of
//! the index itself.

use crate::check::{AddressPattern, Check};
use crate::compile::{CompiledRoute, Part, PathKind};
use crate::expression::Notes;
use crate::facts::RequestFacts;
use crate::index::{Item, order};
use crate::matched::Match;
use crate::pattern::Pattern;
use crate::router::{Flavor, Router};
use crate::weight::RankRule;
use std::fmt::{self, Display};

/// The whole story of one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// Every route, best first. A route whose paths rank differently appears once per rank.
    pub candidates: Vec<Candidate>,
    /// What [`Router::find`] answers.
    pub winner: Option<Match>,
}

/// A route and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Position of the route in the input of the router.
    pub route: u32,
    /// The paths that this rank stands for, as configured.
    pub paths: Vec<String>,
    /// Rank as an integer; greater goes first.
    pub weight: u64,
    /// Predicates that held, up to the first that did not.
    pub held: Vec<Attribute>,
    /// What became of it.
    pub outcome: Outcome,
}

/// What became of a candidate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It takes the request.
    Wins,
    /// It matches, but another one stands before it.
    Outranked {
        /// Position of the winner.
        by: u32,
        /// Why the winner stands before it.
        rule: RankRule,
    },
    /// It does not match.
    Rejected(Rejection),
}

/// The first predicate that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// What was compared.
    pub attribute: Attribute,
    /// What the route asks for.
    pub wanted: String,
    /// What the request has; `None` for nothing.
    pub got: Option<String>,
}

/// Something of a request that routes are compared with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attribute {
    /// Scheme of the connection.
    Protocol,
    /// Host with port.
    Host,
    /// Normalised path.
    Path,
    /// Method.
    Method,
    /// The named header.
    Header(String),
    /// TLS server name.
    Sni,
    /// Client address.
    Source,
    /// Dialled address.
    Destination,
    /// An expression as a whole.
    Expression,
}

impl Explanation {
    /// Candidates that matched or got past their host and path: what a person wants to see of many routes.
    pub fn close(&self) -> impl Iterator<Item = &Candidate> {
        self.candidates
            .iter()
            .filter(|candidate| match &candidate.outcome {
                Outcome::Wins | Outcome::Outranked { .. } => true,
                Outcome::Rejected(rejection) => !matches!(
                    rejection.attribute,
                    Attribute::Host | Attribute::Path | Attribute::Expression
                ),
            })
    }
}

impl Router {
    /// Tests every route in order and tells why each lost, and which one wins.
    #[must_use]
    pub fn explain(&self, request: &RequestFacts<'_>) -> Explanation {
        let mut winner: Option<(Item, Match)> = None;
        let candidates = self.ranked().into_iter().filter_map(|item| {
            let route = self.routes.get(item.slot)?;
            let part = self.routes.part(&item)?;
            let position = self.routes.position(item.slot);
            let mut trial = Trial::new(request);
            let outcome = match (trial.run(route, part), &winner) {
                (Some(rejection), _) => Outcome::Rejected(rejection),
                (None, Some((best, found))) => Outcome::Outranked {
                    by: found.route,
                    rule: self.rule_between(best, &item),
                },
                (None, None) => {
                    let captures = trial.pattern.and_then(|pattern| pattern.captures(request.path));
                    let found = Match {
                        route: position,
                        matched_prefix: trial.matched_prefix,
                        captures,
                    };
                    winner = Some((item, found));
                    Outcome::Wins
                }
            };
            let paths = part.paths.iter().map(PathKind::to_string).collect();
            Some(Candidate {
                route: position,
                paths,
                weight: part.weight,
                held: trial.held,
                outcome,
            })
        });
        let candidates = candidates.collect();
        Explanation {
            candidates,
            winner: winner.map(|(_, found)| found),
        }
    }

    /// One item per part of every route, best first.
    fn ranked(&self) -> Vec<Item> {
        let parts = self.routes.iter().flat_map(|(slot, route)| {
            let parts = route.parts.iter().zip(0..=u16::MAX);
            parts.map(move |(part, number)| Item {
                weight: part.weight,
                slot,
                part: number,
                ..Item::default()
            })
        });
        let mut items: Vec<Item> = parts.collect();
        items.sort_by(|a, b| order(&self.routes, a, b));
        items
    }

    fn rule_between(&self, winner: &Item, loser: &Item) -> RankRule {
        RankRule::between(winner.weight, loser.weight, self.flavor).unwrap_or_else(|| {
            if winner.slot == loser.slot {
                RankRule::EarlierPath
            } else if self.flavor == Flavor::Traditional {
                RankRule::CreatedEarlier
            } else {
                RankRule::GreaterId
            }
        })
    }
}

/// One route under test.
struct Trial<'r, 'f> {
    facts: &'f RequestFacts<'f>,
    held: Vec<Attribute>,
    matched_prefix: usize,
    pattern: Option<&'r Pattern>,
}

impl<'r, 'f> Trial<'r, 'f> {
    fn new(facts: &'f RequestFacts<'f>) -> Self {
        Self {
            facts,
            held: Vec::new(),
            matched_prefix: 0,
            pattern: None,
        }
    }

    /// The first predicate that fails, if any.
    fn run(&mut self, route: &'r CompiledRoute, part: &'r Part) -> Option<Rejection> {
        if !route.hosts.is_empty() {
            if !route.hosts.iter().any(|host| host.matches(self.facts)) {
                return Some(rejection(
                    Attribute::Host,
                    &list(&route.hosts),
                    host_text(self.facts),
                ));
            }
            self.held.push(Attribute::Host);
        }
        if !part.paths.is_empty() {
            let Some((length, pattern)) = part.paths.iter().find_map(|path| path.covers(self.facts.path))
            else {
                let got = String::from_utf8_lossy(self.facts.path).into_owned();
                return Some(rejection(Attribute::Path, &list(&part.paths), Some(got)));
            };
            self.held.push(Attribute::Path);
            self.matched_prefix = length;
            self.pattern = pattern;
        }
        for check in &route.checks {
            let mut notes = Notes::default();
            let attribute = check.attribute();
            if !check.holds(self.facts, &mut notes) {
                let got = observed(&attribute, self.facts);
                return Some(rejection(attribute, &check.to_string(), got));
            }
            if attribute == Attribute::Expression {
                self.matched_prefix = notes.matched_prefix;
                self.pattern = notes.pattern;
            }
            self.held.push(attribute);
        }
        None
    }
}

impl PathKind {
    /// Bytes of the path that match.
    fn covers(&self, path: &[u8]) -> Option<(usize, Option<&Pattern>)> {
        match self {
            Self::Prefix(prefix) => path.starts_with(prefix).then_some((prefix.len(), None)),
            Self::Regex(pattern) => pattern.find(path).map(|length| (length, Some(&**pattern))),
        }
    }
}

impl Check {
    fn attribute(&self) -> Attribute {
        match self {
            Self::Schemes(_) => Attribute::Protocol,
            Self::Snis(_) => Attribute::Sni,
            Self::Methods(_) => Attribute::Method,
            Self::Header(header) => Attribute::Header(header.name.to_string()),
            Self::Sources(_) => Attribute::Source,
            Self::Destinations(_) => Attribute::Destination,
            Self::Expression(_) => Attribute::Expression,
        }
    }
}

fn rejection(attribute: Attribute, wanted: &str, got: Option<String>) -> Rejection {
    Rejection {
        attribute,
        wanted: wanted.to_owned(),
        got,
    }
}

fn observed(attribute: &Attribute, facts: &RequestFacts<'_>) -> Option<String> {
    match attribute {
        Attribute::Protocol => Some(facts.scheme.to_owned()),
        Attribute::Host => host_text(facts),
        Attribute::Path => Some(String::from_utf8_lossy(facts.path).into_owned()),
        Attribute::Method => Some(facts.method.to_owned()),
        Attribute::Sni => facts.sni.map(str::to_owned),
        Attribute::Source => facts
            .source
            .map(|(address, port)| format!("{address} port {port}")),
        Attribute::Destination => facts
            .destination
            .map(|(address, port)| format!("{address} port {port}")),
        Attribute::Expression => None,
        Attribute::Header(name) => {
            let mut values = Vec::new();
            facts.headers.visit(name, &mut |value| {
                values.push(String::from_utf8_lossy(value).into_owned())
            });
            (!values.is_empty()).then(|| values.join("`, `"))
        }
    }
}

fn host_text(facts: &RequestFacts<'_>) -> Option<String> {
    match facts.port() {
        _ if facts.host.is_empty() => None,
        Some(port) => Some(format!("{}:{port}", facts.host)),
        None => Some(facts.host.to_owned()),
    }
}

fn list(values: &[impl Display]) -> String {
    values
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("`, `")
}

impl Display for PathKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Prefix(prefix) => f.write_str(&String::from_utf8_lossy(prefix)),
            Self::Regex(pattern) => {
                let source = pattern.source().trim_start_matches('^');
                let inner = source
                    .strip_prefix("(?:")
                    .and_then(|source| source.strip_suffix(')'));
                write!(f, "~{}", inner.unwrap_or(source))
            }
        }
    }
}

impl Display for AddressPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.range, self.port) {
            (Some(range), Some(port)) => write!(f, "{range} port {port}"),
            (Some(range), None) => write!(f, "{range}"),
            (None, Some(port)) => write!(f, "port {port}"),
            (None, None) => f.write_str("any"),
        }
    }
}

impl Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Schemes(schemes) => f.write_str(&list(schemes)),
            Self::Snis(names) => f.write_str(&list(names)),
            Self::Methods(methods) => f.write_str(&list(methods)),
            Self::Sources(wanted) | Self::Destinations(wanted) => f.write_str(&list(wanted)),
            Self::Expression(expression) => f.write_str(expression.source()),
            Self::Header(header) => {
                let exact = header
                    .exact
                    .iter()
                    .map(|value| String::from_utf8_lossy(value).into_owned());
                let patterns = header
                    .patterns
                    .iter()
                    .map(|pattern| format!("~*{}", &pattern.source().replacen("(?i)", "", 1)));
                f.write_str(&exact.chain(patterns).collect::<Vec<_>>().join("`, `"))
            }
        }
    }
}

impl Display for Attribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Protocol => f.write_str("protocol"),
            Self::Host => f.write_str("host"),
            Self::Path => f.write_str("path"),
            Self::Method => f.write_str("method"),
            Self::Header(name) => write!(f, "header {name}"),
            Self::Sni => f.write_str("server name"),
            Self::Source => f.write_str("source"),
            Self::Destination => f.write_str("destination"),
            Self::Expression => f.write_str("expression"),
        }
    }
}

impl Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.attribute == Attribute::Expression {
            return write!(f, "expression is false: {}", self.wanted);
        }
        write!(f, "{} must be `{}`", self.attribute, self.wanted)?;
        match &self.got {
            Some(got) => write!(f, ", the request has `{got}`"),
            None => f.write_str(", the request has none"),
        }
    }
}

impl Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Wins => f.write_str("wins"),
            Self::Outranked { by, rule } => write!(f, "matches, but route {by} stands before it: {rule}"),
            Self::Rejected(rejection) => rejection.fmt(f),
        }
    }
}
