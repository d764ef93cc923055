//! Snapshots from outside: what a plan shares with the one before, and that sharing changes no answer.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod incremental;
mod kit;
mod sharing;
mod times;
