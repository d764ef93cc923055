//! The gateway seen from outside. One binary for all suites: linking is what costs time.
//!
//! Run one suite with `cargo test -p tidegate-tests -- parity::`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests: what fails here is the verdict"
)]

#[path = "suite/api.rs"]
mod api;
#[path = "suite/ask.rs"]
mod ask;
#[path = "suite/faults.rs"]
mod faults;
#[path = "suite/filters_author.rs"]
mod filters_author;
#[path = "suite/fuzz_smoke.rs"]
mod fuzz_smoke;
#[path = "suite/golden.rs"]
mod golden;
#[path = "suite/hostile.rs"]
mod hostile;
#[path = "suite/load.rs"]
mod load;
#[path = "suite/operations.rs"]
mod operations;
#[path = "suite/page.rs"]
mod page;
#[path = "suite/parity.rs"]
mod parity;
#[path = "suite/pool.rs"]
mod pool;
#[path = "suite/soak.rs"]
mod soak;
#[path = "suite/support.rs"]
mod support;
#[path = "suite/traffic.rs"]
mod traffic;
#[path = "suite/wasm.rs"]
mod wasm;
