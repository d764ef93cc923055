//! The router as its users see it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod behaviours;
mod expressions;
mod golden;
mod kit;
mod naive;
mod paths;
mod property;
mod scale;
mod updates;
