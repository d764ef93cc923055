//! Which phases a component takes part in.

use tidegate_plugin::{Direction, FilterNeeds};

/// A call into a component.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub(crate) enum Phase {
    Request = 0,
    RequestBody = 1,
    Response = 2,
    ResponseBody = 3,
    Log = 4,
    Tick = 5,
}

impl Phase {
    const ALL: [Self; 6] = [
        Self::Request,
        Self::RequestBody,
        Self::Response,
        Self::ResponseBody,
        Self::Log,
        Self::Tick,
    ];

    pub(super) const fn head(direction: Direction) -> Self {
        match direction {
            Direction::Request => Self::Request,
            Direction::Response => Self::Response,
        }
    }

    pub(super) const fn body(direction: Direction) -> Self {
        match direction {
            Direction::Request => Self::RequestBody,
            Direction::Response => Self::ResponseBody,
        }
    }

    /// Whether it is for a body.
    pub(super) const fn is_body(self) -> bool {
        matches!(self, Self::RequestBody | Self::ResponseBody)
    }

    /// Name of its interface.
    pub(super) const fn interface(self) -> &'static str {
        match self {
            Self::Request => "request-filter",
            Self::RequestBody => "request-body-filter",
            Self::Response => "response-filter",
            Self::ResponseBody => "response-body-filter",
            Self::Log => "log-filter",
            Self::Tick => "background",
        }
    }

    /// Name of its function.
    pub(super) const fn function(self) -> &'static str {
        match self {
            Self::Request => "on-request",
            Self::RequestBody => "on-request-body",
            Self::Response => "on-response",
            Self::ResponseBody => "on-response-body",
            Self::Log => "on-log",
            Self::Tick => "on-tick",
        }
    }
}

/// The phases whose interfaces a component exports.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Phases(u8);

impl Phases {
    pub(super) fn of(mut exports: impl FnMut(&str) -> bool) -> Self {
        let found = Phase::ALL.into_iter().filter(|phase| exports(phase.interface()));
        Self(found.fold(0, |all, phase| all | 1 << phase as usize))
    }

    pub(super) const fn has(self, phase: Phase) -> bool {
        self.0 & (1 << phase as usize) != 0
    }

    pub(super) const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Names of their functions.
    pub(crate) fn names(self) -> impl Iterator<Item = &'static str> {
        let found = Phase::ALL.into_iter().filter(move |phase| self.has(*phase));
        found.map(Phase::function)
    }

    /// Trailers end a body: who wants the one needs the other.
    pub(crate) const fn needs(self) -> FilterNeeds {
        FilterNeeds {
            request_body: self.has(Phase::RequestBody),
            request_trailers: self.has(Phase::RequestBody),
            response_body: self.has(Phase::ResponseBody),
            response_trailers: self.has(Phase::ResponseBody),
            end: self.has(Phase::Log),
        }
    }
}
