//! The Tidegate API gateway: command line and wiring. Everything meets here and nowhere else.

pub mod cli;
pub mod configuration;
pub mod echo;
pub mod explain;
mod proxy_settings;
mod reload;
pub mod start;
mod status;
mod tls;
mod workers;
