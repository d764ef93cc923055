//! Filters written in WebAssembly text, driven through the host as the runner does it.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "tests fail by panicking, and say when they are skipped"
)]

mod background;
mod bodies;
mod callouts;
mod component;
mod contexts;
mod grpc;
mod headers;
mod hostile;
mod isolation;
mod loading;
mod local;
mod properties;
mod rust_guest;
mod shared;
mod support;
mod system;
