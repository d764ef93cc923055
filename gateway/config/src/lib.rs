//! Settings and declarative files, parsed into model values with pointed diagnostics.
//!
//! This crate knows nothing of sockets, HTTP or async: it turns text into checked, typed values and says precisely
//! what is wrong with it. YAML types do not leave it.

pub mod declarative;
pub mod diagnostics;
pub mod listen;
pub mod settings;
pub mod vault;
