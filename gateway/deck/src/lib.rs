//! decK's verbs: a declarative file against the Admin API of any Kong-compatible gateway.
//!
//! ```text
//! files ─► template ─► content (checked, merged) ─► target ─┐
//! Admin API ─► fetch (lists, tags) ─► current ──────────────┴► plan (events in levels) ─► carry out ─► report
//! ```
//!
//! The server decides: its lists are the current state, its schemas the defaults, its answers the errors. This crate
//! knows nothing of stores, of plugins or of the gateway that it is shipped with, prints to what it is given, and
//! sends nothing to anybody but the Admin API. What differs between kinds of entities stands in one table (`kinds`).

mod carry_out;
mod client;
mod commands;
mod compare;
mod content;
mod defaults;
mod diff_text;
mod dump;
mod error;
mod event;
mod fetch;
mod file_verbs;
mod kinds;
mod label;
mod masking;
mod matching;
mod plan;
mod report;
mod state;
mod target;
mod template;

pub use client::{Connection, Konnect, TlsSettings};
pub use commands::{
    DumpOptions, Format, Outcome, ResetOptions, SyncOptions, ValidateOptions, Verb, dump, ping, reset, sync,
    validate,
};
pub use content::Variables;
pub use error::Error;
pub use file_verbs::{TagChange, render_files, retag_file, tags_of_file, validate_files};
pub use report::Terminal;
