//! Benchmarks that need several crates, and the helpers of `cargo xtask bench`: a gateway that counts its allocations,
//! a client that keeps connections open, and filters in several languages.

pub mod counting;
