//! Benchmarks that need several crates, and the helpers of `cargo xtask bench`: a gateway that counts its allocations
//! and a client that keeps connections open.

pub mod counting;
