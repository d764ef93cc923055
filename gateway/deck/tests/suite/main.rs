//! decK's verbs against the Admin API itself, and against a server that fails when told to.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

#[allow(dead_code, reason = "its own tests use the rest")]
#[path = "../../../admin/tests/suite/gateway.rs"]
mod gateway;

mod dump;
mod failures;
mod run;
mod server;
mod sync;
mod verbs;
