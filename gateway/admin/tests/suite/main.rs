//! The Admin API, asked from outside over a store in memory.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests: what fails here is the verdict"
)]

mod behaviours;
mod gateway;
mod goldens;
