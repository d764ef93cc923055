//! The host functions, by what they act on.

pub(crate) mod buffers;
pub(crate) mod callouts;
pub(crate) mod foreign;
pub(crate) mod grpc;
pub(crate) mod headers;
pub(crate) mod local;
pub(crate) mod properties;
pub(crate) mod shared;
pub(crate) mod system;

use super::guest::Guest;
use super::status::{Answer, Status};

/// A write that came too late: ignored with a warning, or refused where the attachment says so.
pub(crate) fn ineffective(guest: &mut Guest<'_, '_>, what: &str) -> Answer {
    let state = guest.state();
    if state.generation.options.strict_phases {
        return Err(Status::BadArgument.into());
    }
    if state.generation.may_warn() {
        tracing::warn!(
            filter = &*state.generation.name,
            call = what,
            "a filter's call has no effect in this phase"
        );
    }
    Ok(())
}
