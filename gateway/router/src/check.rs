//! The predicates of a route besides its place in the index.

use crate::expression::{Expression, HostAnchor, Notes, fold_case};
use crate::facts::RequestFacts;
use crate::pattern::Pattern;
use ipnet::IpNet;
use smallvec::SmallVec;
use std::net::IpAddr;
use std::sync::Arc;

/// Where the port that a host pattern names is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PortRule {
    /// In Host, else the port of the listener.
    Listener,
    /// Only in Host (legacy engine, plain hosts).
    Explicit,
    /// In Host, else 80 or 443 by scheme (legacy engine, wildcards).
    Scheme,
}

impl PortRule {
    pub(crate) fn accepts(self, wanted: u16, facts: &RequestFacts<'_>) -> bool {
        let port = match self {
            Self::Listener => facts.port(),
            Self::Explicit => facts.host_port,
            Self::Scheme => facts
                .host_port
                .or_else(|| Some(if facts.is_https() { 443 } else { 80 })),
        };
        port == Some(wanted)
    }
}

/// One value of `hosts` or `snis`: exact, or with a wildcard at one end.
#[derive(Debug, Clone)]
pub(crate) struct NamePattern {
    pub(crate) shape: NameShape,
    /// Lower case, without the star.
    pub(crate) text: Box<str>,
    pub(crate) port: Option<(u16, PortRule)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NameShape {
    Exact,
    /// `*.example`: the text is what the name ends with.
    Suffix,
    /// `example.*`: the text is what the name starts with.
    Prefix,
}

impl NamePattern {
    /// From a name without port.
    pub(crate) fn new(name: &str, port: Option<(u16, PortRule)>) -> Self {
        let name = name.to_lowercase();
        let (shape, text) = if let Some(suffix) = name.strip_prefix('*') {
            (NameShape::Suffix, suffix)
        } else if let Some(prefix) = name.strip_suffix('*') {
            (NameShape::Prefix, prefix)
        } else {
            (NameShape::Exact, name.as_str())
        };
        Self {
            shape,
            text: text.into(),
            port,
        }
    }

    fn matches_name(&self, name: &str) -> bool {
        let (name, text) = (name.as_bytes(), self.text.as_bytes());
        let part = match self.shape {
            NameShape::Exact => Some(name),
            NameShape::Suffix => name
                .len()
                .checked_sub(text.len())
                .and_then(|start| name.get(start..)),
            NameShape::Prefix => name.get(..text.len()),
        };
        part.is_some_and(|part| part.eq_ignore_ascii_case(text))
    }

    pub(crate) fn matches(&self, facts: &RequestFacts<'_>) -> bool {
        self.matches_name(facts.host) && self.port.is_none_or(|(port, rule)| rule.accepts(port, facts))
    }

    /// Where the index files it; `None` when only a full check can tell.
    pub(crate) fn anchor(&self) -> Option<HostAnchor> {
        let text = || self.text.to_string();
        match self.shape {
            NameShape::Exact => Some(HostAnchor::Exact(text())),
            NameShape::Suffix => self.text.starts_with('.').then(|| HostAnchor::Suffix(text())),
            NameShape::Prefix => self.text.ends_with('.').then(|| HostAnchor::Prefix(text())),
        }
    }
}

impl std::fmt::Display for NamePattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.shape {
            NameShape::Exact => f.write_str(&self.text)?,
            NameShape::Suffix => write!(f, "*{}", self.text)?,
            NameShape::Prefix => write!(f, "{}*", self.text)?,
        }
        match self.port {
            Some((port, _)) => write!(f, ":{port}"),
            None => Ok(()),
        }
    }
}

/// One header that a route asks for.
#[derive(Debug)]
pub(crate) struct HeaderCheck {
    /// Lower case, dashes.
    pub(crate) name: Box<str>,
    /// Accepted values in lower case.
    pub(crate) exact: Box<[Box<[u8]>]>,
    /// Accepted values as regexes, without regard to case.
    pub(crate) patterns: Box<[Pattern]>,
}

impl HeaderCheck {
    fn holds(&self, facts: &RequestFacts<'_>) -> bool {
        let mut found = false;
        let mut folded: SmallVec<[u8; 128]> = SmallVec::new();
        facts.headers.visit(&self.name, &mut |value| {
            if found {
                return;
            }
            fold_case(value, &mut folded);
            found = self.exact.iter().any(|wanted| **wanted == *folded)
                || self.patterns.iter().any(|pattern| pattern.is_match(value));
        });
        found
    }
}

/// One value of `sources` or `destinations`.
#[derive(Debug, Clone)]
pub(crate) struct AddressPattern {
    pub(crate) range: Option<IpNet>,
    pub(crate) port: Option<u16>,
}

impl AddressPattern {
    fn matches(&self, address: IpAddr, port: Option<u16>) -> bool {
        self.range.is_none_or(|range| range.contains(&address)) && (self.port.is_none() || self.port == port)
    }
}

/// A predicate on something else than host and path.
#[derive(Debug)]
pub(crate) enum Check {
    /// Schemes of the connection (flavour `expressions` only).
    Schemes(&'static [&'static str]),
    /// Server names; without TLS they do not count.
    Snis(Box<[NamePattern]>),
    Methods(Box<[Box<str>]>),
    Header(Box<HeaderCheck>),
    Sources(Box<[AddressPattern]>),
    Destinations(Box<[AddressPattern]>),
    Expression(Arc<Expression>),
}

impl Check {
    pub(crate) fn holds<'a>(&'a self, facts: &RequestFacts<'_>, notes: &mut Notes<'a>) -> bool {
        match self {
            Self::Schemes(schemes) => schemes.contains(&facts.scheme),
            Self::Snis(names) => {
                !facts.is_https()
                    || facts
                        .sni
                        .is_some_and(|sni| names.iter().any(|name| name.matches_name(sni)))
            }
            Self::Methods(methods) => methods.iter().any(|method| **method == *facts.method),
            Self::Header(header) => header.holds(facts),
            Self::Sources(wanted) => {
                let Some((address, port)) = facts.source else {
                    return false;
                };
                wanted.iter().any(|pattern| pattern.matches(address, Some(port)))
            }
            Self::Destinations(wanted) => {
                let Some((address, _)) = facts.destination else {
                    return false;
                };
                wanted
                    .iter()
                    .any(|pattern| pattern.matches(address, facts.port()))
            }
            Self::Expression(expression) => expression.evaluate(facts, notes),
        }
    }
}
