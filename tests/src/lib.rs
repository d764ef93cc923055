//! Behaviour of the gateway seen from outside, over real sockets.
//!
//! Three actors make a test: a [`Gateway`], the real binary on free ports; an [`Upstream`], a backend that records
//! what it was sent and answers by script; and a [`RawClient`] (or [`H2Client`]), which sends exactly the bytes it is
//! told to. The suites are in `tests/suite`, beside this folder.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "support for tests: what fails here fails the test that called it"
)]

pub mod admin;
pub mod binary;
pub mod client;
pub mod dns_server;
pub mod faulty;
pub mod gateway;
pub mod h2_client;
pub mod h2_upstream;
pub mod http1;
pub mod ports;
pub mod tls;
pub mod upstream;
pub mod wait;

pub use admin::Admin;
pub use client::{RawClient, Request};
pub use dns_server::DnsServer;
pub use faulty::{BlackHole, Fault, Faulty};
pub use gateway::Gateway;
pub use h2_client::H2Client;
pub use h2_upstream::H2Upstream;
pub use http1::Response;
pub use upstream::{Answer, Recorded, Upstream};
pub use wait::eventually;
