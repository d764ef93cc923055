//! The tree of an expression.

use crate::pattern::Pattern;
use ipnet::IpNet;
use std::net::IpAddr;

#[derive(Debug)]
pub(crate) enum Node {
    /// All must hold; at least two.
    All(Vec<Self>),
    /// One must hold; at least two.
    Any(Vec<Self>),
    Not(Box<Self>),
    Test(Box<Predicate>),
}

#[derive(Debug)]
pub(crate) struct Predicate {
    pub(crate) field: Field,
    pub(crate) transforms: Transforms,
    pub(crate) test: Test,
}

/// Functions around a field.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Transforms {
    pub(crate) lower: bool,
    /// One value of several suffices.
    pub(crate) any: bool,
}

/// What stands on the left side.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Field {
    Protocol,
    Sni,
    Method,
    Host,
    Path,
    /// Segments of the path, first and last index, joined by `/`.
    Segments(usize, usize),
    SegmentCount,
    /// Lower case, dashes.
    Header(Box<str>),
    Query(Box<str>),
    SourceIp,
    DestinationIp,
    SourcePort,
    DestinationPort,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FieldType {
    Text,
    Integer,
    Address,
}

impl Field {
    pub(crate) fn kind(&self) -> FieldType {
        match self {
            Self::SegmentCount | Self::SourcePort | Self::DestinationPort => FieldType::Integer,
            Self::SourceIp | Self::DestinationIp => FieldType::Address,
            _ => FieldType::Text,
        }
    }
}

/// Operator and right side.
#[derive(Debug)]
pub(crate) enum Test {
    Text(TextOperator, Box<[u8]>),
    Matches(Box<Pattern>),
    Integer(IntegerOperator, i64),
    Address { equal: bool, address: IpAddr },
    Range { within: bool, range: IpNet },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TextOperator {
    Equal,
    NotEqual,
    StartsWith,
    EndsWith,
    Contains,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum IntegerOperator {
    Equal,
    NotEqual,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
}

/// An operator as written, before the types are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operator {
    Equal,
    NotEqual,
    Matches,
    StartsWith,
    EndsWith,
    Contains,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
    In,
    NotIn,
}
