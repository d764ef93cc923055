//! Statuses that host functions answer with.

/// The ABI's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub(crate) enum Status {
    NotFound = 1,
    BadArgument = 2,
    SerializationFailure = 3,
    ParseFailure = 4,
    InvalidMemoryAccess = 6,
    Empty = 7,
    CasMismatch = 8,
    InternalFailure = 10,
    Unimplemented = 12,
}

/// How a host function fails.
#[derive(Debug)]
pub(crate) enum Fail {
    /// The guest is told.
    Status(Status),
    /// A pointer leads out of the guest's memory, or its allocator gave rubbish.
    Pointer,
    /// The guest cannot go on.
    Trap(String),
    /// The engine ended the guest, inside of its allocator.
    Engine(wasmtime::Error),
}

impl From<Status> for Fail {
    fn from(status: Status) -> Self {
        Self::Status(status)
    }
}

pub(crate) type Answer<T = ()> = Result<T, Fail>;
