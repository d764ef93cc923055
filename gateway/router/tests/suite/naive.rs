//! A second, simple router: tests every route, sorts what matches by the documented order. Shares no code with the
//! real one.

use crate::kit::Request;
use regex::bytes::Regex;
use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use tidegate_model::entities::{CidrPort, Protocol, Route};
use tidegate_router::Flavor;
use uuid::Uuid;

pub(crate) struct Naive<'r> {
    routes: Vec<(&'r Route, Vec<Group>)>,
    flavor: Flavor,
    header_regexes: HashMap<String, Regex>,
}

/// Paths of one route with one rank.
struct Group {
    paths: Vec<Path>,
    id: u128,
}

enum Path {
    Prefix(String),
    Regex(Regex),
}

/// Compared field by field; greater wins.
type Rank = (u32, u32, u32, u32, u32, i64, usize, i64, u128, i64);

impl<'r> Naive<'r> {
    pub(crate) fn new(routes: &'r [Route], flavor: Flavor) -> Self {
        let values = routes
            .iter()
            .flat_map(|route| route.headers.iter().flatten())
            .flat_map(|(_, values)| values);
        let regexes =
            values.filter_map(|value| Some((value.clone(), Regex::new(value.strip_prefix("~*")?).unwrap())));
        let header_regexes = regexes.collect();
        Self {
            routes: routes
                .iter()
                .map(|route| (route, groups(route, flavor)))
                .collect(),
            flavor,
            header_regexes,
        }
    }

    /// Position of the winner and the length of the matched path.
    pub(crate) fn find(&self, request: &Request) -> Option<(u32, usize)> {
        let mut best: Option<(Rank, u32, usize)> = None;
        for (position, (route, groups)) in self.routes.iter().enumerate() {
            if !self.attributes_match(route, request) {
                continue;
            }
            for group in groups {
                let length = match group.paths.as_slice() {
                    [] => Some(0),
                    paths => paths.iter().find_map(|path| path.matched(&request.path)),
                };
                let Some(length) = length else { continue };
                let rank = self.rank(route, group, position);
                if best.as_ref().is_none_or(|(other, _, _)| rank > *other) {
                    best = Some((rank, position as u32, length));
                }
            }
        }
        best.map(|(_, position, length)| (position, length))
    }

    fn attributes_match(&self, route: &Route, request: &Request) -> bool {
        let tls = request.scheme == "https";
        let port = request
            .host_port
            .or_else(|| request.destination.map(|(_, port)| port));
        let host = route
            .hosts
            .as_ref()
            .is_none_or(|hosts| hosts.iter().any(|host| self.host(host, request, port)));
        let method = route
            .methods
            .as_ref()
            .is_none_or(|methods| methods.contains(&request.method));
        let sni = route.snis.as_ref().is_none_or(|snis| {
            let name = request.sni.as_deref();
            !tls || name.is_some_and(|name| snis.iter().any(|sni| covers(sni.trim_end_matches('.'), name)))
        });
        let headers = route.headers.as_ref().is_none_or(|headers| {
            headers.iter().all(|(name, wanted)| {
                let mut values = request
                    .headers
                    .0
                    .iter()
                    .filter(|(own, _)| own.eq_ignore_ascii_case(name));
                values.any(|(_, value)| wanted.iter().any(|wanted| self.header_value(wanted, value)))
            })
        });
        let extras = self.flavor != Flavor::Expressions
            || (protocol(route, tls)
                && addresses(
                    route.sources.as_deref(),
                    request.source,
                    request.source.map(|(_, port)| port),
                )
                && addresses(route.destinations.as_deref(), request.destination, port));
        host && method && sni && headers && extras
    }

    fn header_value(&self, wanted: &str, value: &[u8]) -> bool {
        let value = String::from_utf8_lossy(value).to_lowercase();
        match self.header_regexes.get(wanted) {
            Some(regex) => regex.is_match(value.as_bytes()),
            None => wanted.to_lowercase() == value,
        }
    }

    fn host(&self, wanted: &str, request: &Request, port: Option<u16>) -> bool {
        let (name, wanted_port) = match wanted.split_once(':') {
            Some((name, port)) => (name, port.parse::<u16>().ok()),
            None => (wanted, None),
        };
        let port = match self.flavor {
            Flavor::Traditional if wanted.contains('*') => request
                .host_port
                .or_else(|| Some(if request.scheme == "https" { 443 } else { 80 })),
            Flavor::Traditional => request.host_port,
            _ => port,
        };
        covers(&name.to_lowercase(), &request.host) && (wanted_port.is_none() || wanted_port == port)
    }

    fn rank(&self, route: &Route, group: &Group, position: usize) -> Rank {
        let hosts = route.hosts.as_deref().unwrap_or_default();
        let wildcard = hosts.iter().any(|host| host.contains('*'));
        let plain = u32::from(!hosts.is_empty() && !wildcard);
        let headers = route.headers.as_ref().map_or(0, BTreeMap::len) as u32;
        let extras = u32::from(self.flavor == Flavor::Expressions);
        let kinds = [
            (64, u32::from(!hosts.is_empty())),
            (32, u32::from(headers > 0)),
            (16, u32::from(route.paths.is_some())),
            (8, u32::from(route.methods.is_some())),
            (4, u32::from(route.snis.is_some())),
            (2, u32::from(route.sources.is_some()) * extras),
            (1, u32::from(route.destinations.is_some()) * extras),
        ];
        let count = kinds.iter().map(|(_, set)| set).sum();
        let mask = kinds.iter().map(|(bit, set)| bit * set).sum();
        let regex = u32::from(matches!(group.paths.first(), Some(Path::Regex(_))));
        let regex_priority = if regex == 1 { route.regex_priority } else { 0 };
        let length = match group.paths.first() {
            Some(Path::Prefix(prefix)) => prefix.len(),
            _ => 0,
        };
        if self.flavor == Flavor::Traditional {
            let wildcard_port = hosts.iter().any(|host| host.contains('*') && host.contains(':'));
            let kind = u32::from(wildcard_port) * 4 + plain * 2 + regex;
            let created = -route.created_at.unwrap_or(0);
            return (
                count,
                mask,
                kind,
                headers,
                0,
                regex_priority,
                length,
                created,
                0,
                -(position as i64),
            );
        }
        (
            count,
            plain,
            headers,
            regex,
            0,
            regex_priority,
            length,
            0,
            group.id,
            0,
        )
    }
}

impl Path {
    fn matched(&self, path: &[u8]) -> Option<usize> {
        match self {
            Self::Prefix(prefix) => path.starts_with(prefix.as_bytes()).then_some(prefix.len()),
            Self::Regex(regex) => regex.find(path).map(|found| found.len()),
        }
    }
}

fn groups(route: &Route, flavor: Flavor) -> Vec<Group> {
    const NAMESPACE: &str = "7f145bf9-0dce-4f91-98eb-debbce4b9f6b";
    let own = route.id.0.as_u128();
    let paths = route.paths.as_deref().unwrap_or_default();
    let parse = |path: &String| match path.strip_prefix('~') {
        Some(regex) if flavor == Flavor::Traditional => {
            Path::Regex(Regex::new(&format!("^(?:{regex})")).unwrap())
        }
        Some(regex) => Path::Regex(Regex::new(&format!("^{regex}")).unwrap()),
        None => Path::Prefix(path.clone()),
    };
    if paths.is_empty() {
        return vec![Group {
            paths: Vec::new(),
            id: own,
        }];
    }
    if flavor == Flavor::Traditional {
        return paths
            .iter()
            .map(|path| Group {
                paths: vec![parse(path)],
                id: own,
            })
            .collect();
    }
    let kind = |path: &String| if path.starts_with('~') { 0 } else { path.len() };
    let mut kinds: Vec<usize> = Vec::new();
    for path in paths {
        if !kinds.contains(&kind(path)) {
            kinds.push(kind(path));
        }
    }
    let namespace = Uuid::parse_str(NAMESPACE).unwrap();
    let single = kinds.len() == 1;
    let groups = kinds.into_iter().zip(1..).map(|(wanted, number)| Group {
        paths: paths
            .iter()
            .filter(|path| kind(path) == wanted)
            .map(parse)
            .collect(),
        id: if single {
            own
        } else {
            Uuid::new_v5(&namespace, format!("{}#{number}", route.id).as_bytes()).as_u128()
        },
    });
    groups.collect()
}

fn covers(pattern: &str, name: &str) -> bool {
    match (pattern.strip_prefix('*'), pattern.strip_suffix('*')) {
        (Some(suffix), _) => name.ends_with(suffix),
        (None, Some(prefix)) => name.starts_with(prefix),
        (None, None) => name == pattern,
    }
}

fn protocol(route: &Route, tls: bool) -> bool {
    let wanted = if tls { Protocol::Https } else { Protocol::Http };
    route.protocols == [Protocol::Https] || route.protocols.contains(&wanted)
}

fn addresses(wanted: Option<&[CidrPort]>, own: Option<(IpAddr, u16)>, port: Option<u16>) -> bool {
    wanted.is_none_or(|wanted| {
        wanted.iter().any(|one| {
            let ip = one
                .ip
                .as_ref()
                .is_none_or(|ip| ip.parse::<IpAddr>().ok() == own.map(|(ip, _)| ip));
            ip && (one.port.is_none() || one.port == port)
        })
    })
}
