//! First front end: the proxy-wasm ABI in its versions 0.1.0, 0.2.0 and 0.2.1.
//!
//! Calls are synchronous. A host function never acts on the stream: it leaves a note in the [`state`], which is obeyed
//! when the callback has returned. Numbers and names are those of the specification.

pub(crate) mod calls;
pub(crate) mod choice;
pub(crate) mod guest;
pub(crate) mod instance;
pub(crate) mod linker;
pub(crate) mod maps;
mod names;
pub(crate) mod pairs;
pub(crate) mod state;
pub(crate) mod status;
pub(crate) mod wasi;
