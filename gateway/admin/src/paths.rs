//! Which endpoint a path leads to. One table gives the routing, `/endpoints` and the OpenAPI document.

use percent_encoding::percent_decode_str;
use std::sync::LazyLock;
use tidegate_model::entity_table::EntityType;

mod table;

/// What is found at a path.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Endpoint {
    /// `/`
    Information,
    Status,
    /// `/status/dns`
    DnsStatus,
    Endpoints,
    OpenApi,
    Timers,
    Tags,
    TagRows,
    /// `/schemas/{name}`
    EntitySchema,
    EntityValidation,
    PluginSchema,
    PluginValidation,
    VaultSchema,
    VaultValidation,
    FilterSchema,
    EnabledPlugins,
    Configuration,
    Cache,
    CacheEntry,
    LogLevel,
    /// Of this node, or of the cluster it belongs to.
    NewLogLevel,
    DataPlanes,
    ClusterStatus,
    Collection(&'static EntityType),
    Entity(&'static EntityType),
    /// The children of an entity.
    Children(Link),
    Child(Link),
    /// The entity that a field points to.
    Parent(ParentField),
    Targets,
    AllTargets,
    Target,
    UpstreamHealth,
    TargetHealth {
        is_healthy: bool,
    },
    AddressHealth {
        is_healthy: bool,
    },
    RouteFilters(Filters),
    /// Consumers of a group.
    Members,
    Member,
    /// Groups of a consumer.
    Groups,
    Group,
    /// Known, but never there.
    Nothing,
}

/// A parent and a collection of its children.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Link {
    pub(crate) parent: &'static EntityType,
    pub(crate) child: &'static EntityType,
    /// The field of the child that points to the parent.
    pub(crate) field: &'static str,
}

/// A field of a child that points to its parent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ParentField {
    pub(crate) child: &'static EntityType,
    pub(crate) parent: &'static EntityType,
    pub(crate) field: &'static str,
}

/// Which filters of a route are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Filters {
    All,
    Enabled,
    Disabled,
}

impl Endpoint {
    /// What it answers, sorted; HEAD comes with GET, OPTIONS with all.
    pub(crate) fn methods(&self) -> &'static [&'static str] {
        const READ: &[&str] = &["GET", "HEAD", "OPTIONS"];
        const LIST: &[&str] = &["GET", "HEAD", "OPTIONS", "POST"];
        const ONE: &[&str] = &["DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "PUT"];
        match self {
            Self::Collection(_) | Self::Children(_) | Self::Targets | Self::Configuration => LIST,
            Self::Entity(_) | Self::Child(_) | Self::Parent(_) | Self::Target => ONE,
            Self::EntityValidation | Self::PluginValidation | Self::VaultValidation => &["OPTIONS", "POST"],
            Self::Cache => &["DELETE", "OPTIONS"],
            Self::CacheEntry | Self::Member | Self::Group => &["DELETE", "GET", "HEAD", "OPTIONS"],
            Self::NewLogLevel | Self::TargetHealth { .. } | Self::AddressHealth { .. } => &["OPTIONS", "PUT"],
            Self::Members | Self::Groups => &["DELETE", "GET", "HEAD", "OPTIONS", "POST"],
            _ => READ,
        }
    }
}

/// A path with places for names.
#[derive(Debug)]
pub(crate) struct Pattern {
    /// As it shows, e.g. `/services/{services}`.
    pub(crate) text: String,
    parts: Vec<Part>,
    pub(crate) endpoint: Endpoint,
}

#[derive(Debug, PartialEq, Eq)]
enum Part {
    Literal(String),
    Name,
}

impl Pattern {
    fn new(text: String, endpoint: Endpoint) -> Self {
        let part = |part: &str| {
            if part.starts_with('{') {
                Part::Name
            } else {
                Part::Literal(part.to_owned())
            }
        };
        let parts = text
            .split('/')
            .filter(|part| !part.is_empty())
            .map(part)
            .collect();
        Self {
            text,
            parts,
            endpoint,
        }
    }

    fn accepts(&self, segments: &[&str]) -> bool {
        self.parts.len() == segments.len()
            && self.parts.iter().zip(segments).all(|(part, segment)| match part {
                Part::Literal(text) => text == segment,
                Part::Name => true,
            })
    }

    /// The names that the places stand for, decoded.
    fn names(&self, segments: &[&str]) -> Vec<String> {
        let places = self
            .parts
            .iter()
            .zip(segments)
            .filter(|(part, _)| **part == Part::Name);
        places
            .map(|(_, segment)| percent_decode_str(segment).decode_utf8_lossy().into_owned())
            .collect()
    }

    fn places(&self) -> usize {
        self.parts.iter().filter(|part| **part == Part::Name).count()
    }
}

/// Every pattern, sorted as `/endpoints` shows them.
pub(crate) fn patterns() -> &'static [Pattern] {
    static PATTERNS: LazyLock<Vec<Pattern>> = LazyLock::new(|| {
        let mut patterns = table::patterns();
        patterns.sort_by(|a, b| a.text.split('/').cmp(b.text.split('/')));
        patterns
    });
    &PATTERNS
}

/// The endpoint of a path, with the names in it. A slash at the end makes no difference, two in a row do.
pub(crate) fn find(path: &str) -> Option<(&'static Pattern, Vec<String>)> {
    let path = path.strip_prefix('/')?;
    let path = path.strip_suffix('/').unwrap_or(path);
    let segments: Vec<&str> = if path.is_empty() {
        Vec::new()
    } else {
        path.split('/').collect()
    };
    if segments.iter().any(|segment| segment.is_empty()) {
        return None;
    }
    let fitting = patterns().iter().filter(|pattern| pattern.accepts(&segments));
    // Words of the API come before names that users gave.
    let pattern = fitting.min_by_key(|pattern| pattern.places())?;
    Some((pattern, pattern.names(&segments)))
}

#[cfg(test)]
mod tests;
