//! The gate before a real hyper server, over raw bytes.

mod bodies;
mod framing;
mod limits;
mod splits;
mod support;
mod syntax;
mod targets;
mod upgrades;
