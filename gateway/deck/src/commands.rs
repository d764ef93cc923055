//! The commands, from the options of a command line to what is printed.

mod dumping;
mod opening;
mod resetting;
mod syncing;
mod validating;

pub use dumping::{DumpOptions, Format, dump};
pub use opening::ping;
pub use resetting::{ResetOptions, reset};
pub use syncing::{SyncOptions, Verb, sync};
pub use validating::{ValidateOptions, validate};

/// How a command that did not fail ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// As it should.
    Done,
    /// There are differences, and the exit code is to tell.
    Differs,
}
