//! One route of the configuration -> what the index and the checks need.

use crate::Flavor;
use crate::check::{AddressPattern, Check, HeaderCheck, NamePattern, PortRule};
use crate::expression::{self, fold_case};
use crate::pattern::Pattern;
use crate::weight::{Traits, expression_weight};
use hashbrown::HashMap;
use smallvec::SmallVec;
use std::sync::Arc;
use tidegate_model::entities::{CidrPort, Protocol, Route};
use uuid::Uuid;

mod fingerprint;

pub(crate) use fingerprint::fingerprint;

/// Most paths of one route.
pub const MAX_PATHS_PER_ROUTE: usize = 10_000;
/// Namespace of the ids that order the parts of a route with paths of several kinds (kong-core C.5).
const PART_NAMESPACE: Uuid = Uuid::from_u128(0x7f14_5bf9_0dce_4f91_98eb_debb_ce4b_9f6b);

/// A route, ready to be indexed.
#[derive(Debug)]
pub(crate) struct CompiledRoute {
    pub(crate) id: Uuid,
    /// Hash of every field that the router reads.
    pub(crate) fingerprint: u64,
    pub(crate) hosts: Box<[NamePattern]>,
    /// Predicates besides host and path.
    pub(crate) checks: Box<[Check]>,
    /// One per group of paths that share a weight.
    pub(crate) parts: Box<[Part]>,
    /// Why the route is not in the index.
    pub(crate) fault: Option<Box<str>>,
}

/// Paths of a route that share a weight.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) weight: u64,
    /// Orders equal weights, greater first.
    pub(crate) tie: u128,
    pub(crate) paths: Box<[PathKind]>,
}

/// One path of a route.
#[derive(Debug)]
pub(crate) enum PathKind {
    /// A textual prefix.
    Prefix(Box<[u8]>),
    /// A regex, anchored at the start.
    Regex(Arc<Pattern>),
}

/// Patterns by source, so that routes that share a regex share its automaton.
pub(crate) type Patterns<'r> = HashMap<std::borrow::Cow<'r, str>, Arc<Pattern>>;

impl CompiledRoute {
    /// A route of the stream side comes out empty: neither indexed nor faulty.
    pub(crate) fn new<'r>(
        route: &'r Route,
        fingerprint: u64,
        flavor: Flavor,
        patterns: &mut Patterns<'r>,
    ) -> Self {
        let mut compiled = Self {
            id: route.id.0,
            fingerprint,
            hosts: Box::default(),
            checks: Box::default(),
            parts: Box::default(),
            fault: None,
        };
        if !route
            .protocols
            .first()
            .is_none_or(|protocol| protocol.is_http_family())
        {
            return compiled;
        }
        let built = match &route.expression {
            Some(text) if flavor == Flavor::Expressions => compiled.fill_expression(route, text),
            _ => compiled.fill_classic(route, flavor, patterns),
        };
        if let Err(fault) = built {
            compiled.parts = Box::default();
            compiled.fault = Some(fault.into());
        }
        compiled
    }

    /// Bytes that the route takes, shared patterns counted once per path.
    pub(crate) fn memory_bytes(&self) -> usize {
        let hosts = self.hosts.iter().map(|host| size_of_val(host) + host.text.len());
        let parts = self.parts.iter().flat_map(|part| &part.paths).map(|path| {
            size_of_val(path)
                + match path {
                    PathKind::Prefix(prefix) => prefix.len(),
                    PathKind::Regex(pattern) => size_of::<Pattern>() + pattern.source().len(),
                }
        });
        size_of::<Self>()
            + hosts.sum::<usize>()
            + parts.sum::<usize>()
            + size_of_val(&*self.parts)
            + size_of_val(&*self.checks)
    }

    fn fill_expression(&mut self, route: &Route, text: &str) -> Result<(), String> {
        let parsed = expression::parse(text)
            .map_err(|fault| format!("Router Expression failed validation: {fault}"))?;
        let mut checks = Vec::with_capacity(2);
        checks.extend(schemes(&route.protocols).map(Check::Schemes));
        checks.push(Check::Expression(Arc::new(parsed)));
        self.checks = checks.into();
        let weight = expression_weight(route.priority.unwrap_or(0));
        self.parts = [Part {
            weight,
            tie: route.id.0.as_u128(),
            paths: Box::default(),
        }]
        .into();
        Ok(())
    }

    fn fill_classic<'r>(
        &mut self,
        route: &'r Route,
        flavor: Flavor,
        patterns: &mut Patterns<'r>,
    ) -> Result<(), String> {
        self.hosts = listed(&route.hosts)
            .iter()
            .map(|host| host_pattern(host, flavor))
            .collect();
        let traits = traits(route, flavor);
        self.checks = checks(route, flavor)?.into();
        let paths = listed(&route.paths);
        if self.hosts.is_empty()
            && paths.is_empty()
            && self.checks.iter().all(|c| matches!(c, Check::Schemes(_)))
        {
            return Err("route has nothing to match on".to_owned());
        }
        if paths.len() > MAX_PATHS_PER_ROUTE {
            return Err(format!(
                "paths: {} paths, at most {MAX_PATHS_PER_ROUTE} are supported",
                paths.len()
            ));
        }
        self.parts = parts(route, paths, traits, flavor, patterns)?.into();
        Ok(())
    }
}

fn listed<T>(field: &Option<Vec<T>>) -> &[T] {
    field.as_deref().unwrap_or_default()
}

fn traits(route: &Route, flavor: Flavor) -> Traits {
    let hosts = listed(&route.hosts);
    let addresses = flavor == Flavor::Expressions;
    Traits {
        methods: !listed(&route.methods).is_empty(),
        hosts: !hosts.is_empty(),
        paths: !listed(&route.paths).is_empty(),
        snis: !listed(&route.snis).is_empty(),
        sources: addresses && !listed(&route.sources).is_empty(),
        destinations: addresses && !listed(&route.destinations).is_empty(),
        headers: route.headers.as_ref().map_or(0, std::collections::BTreeMap::len),
        wildcard_host: hosts.iter().any(|host| host.contains('*')),
        wildcard_host_with_port: hosts
            .iter()
            .any(|host| host.contains('*') && split_port(host).1.is_some()),
        regex_priority: None,
        prefix: 0,
    }
}

/// Groups the paths by weight: one part per length of plain paths and one for all regexes; in the legacy engine every
/// path stands for itself.
fn parts<'r>(
    route: &'r Route,
    paths: &'r [String],
    traits: Traits,
    flavor: Flavor,
    patterns: &mut Patterns<'r>,
) -> Result<Vec<Part>, String> {
    let mut groups: Vec<(Traits, Vec<PathKind>)> = Vec::new();
    let mut by_length: HashMap<Option<usize>, usize> = HashMap::new();
    for text in paths {
        let path = path_kind(text, flavor, patterns)?;
        let length = match &path {
            PathKind::Prefix(prefix) => Some(prefix.len()),
            PathKind::Regex(_) => None,
        };
        let known = (flavor != Flavor::Traditional)
            .then(|| by_length.get(&length))
            .flatten();
        if let Some((_, group)) = known.and_then(|known| groups.get_mut(*known)) {
            group.push(path);
            continue;
        }
        by_length.insert(length, groups.len());
        let regex_priority = length.is_none().then_some(route.regex_priority);
        groups.push((
            Traits {
                regex_priority,
                prefix: length.unwrap_or(0),
                ..traits
            },
            vec![path],
        ));
    }
    if groups.is_empty() {
        groups.push((traits, Vec::new()));
    }
    let single = groups.len() == 1;
    let parts = groups
        .into_iter()
        .enumerate()
        .map(|(index, (traits, paths))| Part {
            weight: traits.weight(flavor),
            tie: match flavor {
                // Earlier creation goes first; the position decides between equals.
                Flavor::Traditional => u128::from(u64::MAX - creation(route)),
                _ if single => route.id.0.as_u128(),
                _ => {
                    Uuid::new_v5(&PART_NAMESPACE, format!("{}#{}", route.id, index + 1).as_bytes()).as_u128()
                }
            },
            paths: paths.into(),
        });
    Ok(parts.collect())
}

fn creation(route: &Route) -> u64 {
    route.created_at.unwrap_or(0).abs_diff(i64::MIN)
}

fn path_kind<'r>(text: &'r str, flavor: Flavor, patterns: &mut Patterns<'r>) -> Result<PathKind, String> {
    let Some(regex) = text.strip_prefix('~') else {
        return Ok(PathKind::Prefix(text.as_bytes().into()));
    };
    // The legacy engine anchors the whole alternation, the others put `^` before the text.
    let source = if flavor == Flavor::Traditional {
        format!("^(?:{regex})")
    } else {
        format!("^{regex}")
    };
    if let Some(known) = patterns.get(source.as_str()) {
        return Ok(PathKind::Regex(Arc::clone(known)));
    }
    let pattern =
        Pattern::parse(&source).map_err(|fault| format!("paths: invalid regex '{text}': {fault}"))?;
    let pattern = Arc::new(pattern);
    patterns.insert(source.into(), Arc::clone(&pattern));
    Ok(PathKind::Regex(pattern))
}

fn checks(route: &Route, flavor: Flavor) -> Result<Vec<Check>, String> {
    let mut checks = Vec::new();
    if flavor == Flavor::Expressions {
        checks.extend(schemes(&route.protocols).map(Check::Schemes));
        checks.extend(addresses(listed(&route.sources))?.map(Check::Sources));
        checks.extend(addresses(listed(&route.destinations))?.map(Check::Destinations));
    }
    if let snis @ [_, ..] = listed(&route.snis) {
        checks.push(Check::Snis(
            snis.iter()
                .map(|sni| NamePattern::new(strip_final_dot(sni), None))
                .collect(),
        ));
    }
    if let methods @ [_, ..] = listed(&route.methods) {
        checks.push(Check::Methods(
            methods.iter().map(|method| method.as_str().into()).collect(),
        ));
    }
    for (name, values) in route.headers.iter().flatten() {
        checks.push(Check::Header(Box::new(header(name, values, flavor)?)));
    }
    Ok(checks)
}

fn header(name: &str, values: &[String], flavor: Flavor) -> Result<HeaderCheck, String> {
    let mut exact = Vec::new();
    let mut patterns = Vec::new();
    // The legacy engine knows regexes only as the single value.
    let regexes = flavor != Flavor::Traditional || values.len() == 1;
    for value in values {
        match value.strip_prefix("~*").filter(|_| regexes) {
            Some(regex) => {
                let pattern = Pattern::parse(&format!("(?i){regex}"))
                    .map_err(|fault| format!("headers.{name}: invalid regex '{value}': {fault}"))?;
                patterns.push(pattern);
            }
            None => {
                let mut folded = SmallVec::new();
                fold_case(value.as_bytes(), &mut folded);
                exact.push(folded.as_slice().into());
            }
        }
    }
    let name = name.to_ascii_lowercase().replace('_', "-").into();
    Ok(HeaderCheck {
        name,
        exact: exact.into(),
        patterns: patterns.into(),
    })
}

fn addresses(wanted: &[CidrPort]) -> Result<Option<Box<[AddressPattern]>>, String> {
    if wanted.is_empty() {
        return Ok(None);
    }
    let patterns = wanted.iter().map(|one| {
        let range = one
            .ip
            .as_deref()
            .map(|text| address_range(text).ok_or_else(|| format!("invalid address '{text}'")));
        Ok(AddressPattern {
            range: range.transpose()?,
            port: one.port,
        })
    });
    patterns.collect::<Result<_, String>>().map(Some)
}

fn address_range(text: &str) -> Option<ipnet::IpNet> {
    match text.parse::<ipnet::IpNet>() {
        Ok(range) => Some(range.trunc()),
        Err(_) => text.parse::<std::net::IpAddr>().ok().map(ipnet::IpNet::from),
    }
}

/// Schemes that an expression-flavoured route is limited to; `None` for routes that also answer the plain side with a
/// redirect (kong-core C.4).
fn schemes(protocols: &[Protocol]) -> Option<&'static [&'static str]> {
    if protocols == [Protocol::Https] {
        return None;
    }
    let tls = protocols.iter().any(|protocol| protocol.is_tls());
    let plain = protocols.iter().any(|protocol| !protocol.is_tls());
    match (plain, tls) {
        (true, false) => Some(&["http"]),
        (false, true) => Some(&["https"]),
        _ => None,
    }
}

fn host_pattern(host: &str, flavor: Flavor) -> NamePattern {
    let (name, port) = split_port(host);
    let rule = match flavor {
        Flavor::Traditional if name.contains('*') => PortRule::Scheme,
        Flavor::Traditional => PortRule::Explicit,
        Flavor::TraditionalCompatible | Flavor::Expressions => PortRule::Listener,
    };
    NamePattern::new(name, port.map(|port| (port, rule)))
}

/// Splits `name:port`; an IPv6 address is a port-less name unless it stands in brackets.
fn split_port(host: &str) -> (&str, Option<u16>) {
    let split = if host.starts_with('[') {
        host.rsplit_once("]:")
            .map(|(name, port)| (host.get(..=name.len()).unwrap_or(name), port))
    } else {
        host.split_once(':')
    };
    match split {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => match port.parse() {
            Ok(port) => (name, Some(port)),
            Err(_) => (host, None),
        },
        _ => (host, None),
    }
}

fn strip_final_dot(name: &str) -> &str {
    name.strip_suffix('.')
        .filter(|rest| !rest.is_empty())
        .unwrap_or(name)
}
