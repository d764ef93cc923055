//! The order of routes as one integer: greater goes first (kong-core C.5).

use crate::Flavor;

/// Longest path prefix that still raises the documented weight.
const MAX_PREFIX: usize = 0x7_FFFF;
/// Longest path prefix that still raises the legacy weight.
const MAX_LEGACY_PREFIX: usize = 0x3FFF;

/// What the order of classic routes depends on.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Traits {
    pub(crate) methods: bool,
    pub(crate) hosts: bool,
    pub(crate) paths: bool,
    pub(crate) snis: bool,
    pub(crate) sources: bool,
    pub(crate) destinations: bool,
    /// Distinct header names.
    pub(crate) headers: usize,
    pub(crate) wildcard_host: bool,
    pub(crate) wildcard_host_with_port: bool,
    /// `regex_priority`, when the paths of this part are regexes.
    pub(crate) regex_priority: Option<i64>,
    /// Bytes of the plain paths of this part.
    pub(crate) prefix: usize,
}

impl Traits {
    pub(crate) fn weight(&self, flavor: Flavor) -> u64 {
        if flavor == Flavor::Traditional {
            self.legacy()
        } else {
            self.documented()
        }
    }

    /// Attributes in the order of their legacy rank, the greatest first.
    fn kinds(&self) -> [bool; 7] {
        [
            self.hosts,
            self.headers > 0,
            self.paths,
            self.methods,
            self.snis,
            self.sources,
            self.destinations,
        ]
    }

    fn count(&self) -> u64 {
        self.kinds().into_iter().map(u64::from).sum()
    }

    fn documented(&self) -> u64 {
        self.count() << 61
            | u64::from(self.hosts && !self.wildcard_host) << 60
            | self.header_bits() << 52
            | u64::from(self.regex_priority.is_some()) << 51
            | self.regex_bits() << 19
            | clamp(self.prefix, MAX_PREFIX)
    }

    fn legacy(&self) -> u64 {
        let mask = self
            .kinds()
            .into_iter()
            .fold(0, |mask, kind| mask << 1 | u64::from(kind));
        let submatch = u64::from(self.wildcard_host_with_port) << 2
            | u64::from(self.hosts && !self.wildcard_host) << 1
            | u64::from(self.regex_priority.is_some());
        category_rank(mask) << 57
            | submatch << 54
            | self.header_bits() << 46
            | self.regex_bits() << 14
            | clamp(self.prefix, MAX_LEGACY_PREFIX)
    }

    fn header_bits(&self) -> u64 {
        clamp(self.headers, 255)
    }

    /// 32 bits in which negative priorities sort below positive ones.
    fn regex_bits(&self) -> u64 {
        let Some(priority) = self.regex_priority else {
            return 0;
        };
        let bounded = priority.clamp(i64::from(i32::MIN), i64::from(i32::MAX));
        bounded.abs_diff(i64::from(i32::MIN))
    }
}

/// Routes with an expression stand above all others.
pub(crate) fn expression_weight(priority: u64) -> u64 {
    0xFF << 56 | priority.min((1 << 56) - 1)
}

fn clamp(value: usize, most: usize) -> u64 {
    value.min(most) as u64
}

/// Place of an attribute mask among all 128: more attributes first, then the greater mask.
fn category_rank(mask: u64) -> u64 {
    (0..128_u64)
        .filter(|other| (other.count_ones(), *other) < (mask.count_ones(), mask))
        .count() as u64
}

/// The rule that puts one weight before another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RankRule {
    /// It combines more kinds of attributes.
    MoreAttributes,
    /// As many attributes, but of kinds that rank higher (flavour `traditional`).
    HigherAttributes,
    /// It is an expression, and expressions stand above other routes.
    IsExpression,
    /// Its `priority` is higher.
    Priority,
    /// It has hosts and no wildcard among them.
    PlainHosts,
    /// Its hosts are of a kind that ranks higher, or it has a regex path (flavour `traditional`).
    HostAndPathKind,
    /// It asks for more headers.
    MoreHeaders,
    /// Its path is a regex.
    RegexPath,
    /// Its `regex_priority` is higher.
    RegexPriority,
    /// Its path prefix is longer.
    LongerPath,
    /// All else equal, its id is greater.
    GreaterId,
    /// All else equal, it was created earlier (flavour `traditional`).
    CreatedEarlier,
    /// The same route matched by an earlier path.
    EarlierPath,
}

impl RankRule {
    /// The rule by which `winner` stands before `loser`; `None` when the weights are equal.
    pub(crate) fn between(winner: u64, loser: u64, flavor: Flavor) -> Option<Self> {
        let fields: &[(u32, Self)] = match flavor {
            Flavor::Traditional => &[
                (57, Self::HigherAttributes),
                (54, Self::HostAndPathKind),
                (46, Self::MoreHeaders),
                (14, Self::RegexPriority),
                (0, Self::LongerPath),
            ],
            Flavor::TraditionalCompatible | Flavor::Expressions => &[
                (61, Self::MoreAttributes),
                (60, Self::PlainHosts),
                (52, Self::MoreHeaders),
                (51, Self::RegexPath),
                (19, Self::RegexPriority),
                (0, Self::LongerPath),
            ],
        };
        if flavor == Flavor::Expressions && winner >> 56 == 0xFF {
            return if loser >> 56 != 0xFF {
                Some(Self::IsExpression)
            } else {
                (winner != loser).then_some(Self::Priority)
            };
        }
        fields
            .iter()
            .find(|(shift, _)| winner >> shift != loser >> shift)
            .map(|(_, rule)| *rule)
    }
}

impl std::fmt::Display for RankRule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::MoreAttributes => "it combines more kinds of attributes",
            Self::HigherAttributes => "its combination of attributes ranks higher",
            Self::IsExpression => "expressions stand above other routes",
            Self::Priority => "its priority is higher",
            Self::PlainHosts => "it names hosts without a wildcard",
            Self::HostAndPathKind => "its kind of hosts and paths ranks higher",
            Self::MoreHeaders => "it asks for more headers",
            Self::RegexPath => "its path is a regex",
            Self::RegexPriority => "its regex_priority is higher",
            Self::LongerPath => "its path is longer",
            Self::GreaterId => "all else is equal and its id is greater",
            Self::CreatedEarlier => "all else is equal and it was created earlier",
            Self::EarlierPath => "it is the same route by an earlier path",
        })
    }
}
