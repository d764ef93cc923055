//! The Tidegate API gateway: command line and wiring. Everything meets here and nowhere else.

mod admin;
mod certificates;
pub mod cli;
mod compile_thread;
pub mod configuration;
mod control_listener;
pub mod echo;
mod entity_store;
pub mod explain;
pub mod filter_library;
mod filter_metrics;
mod live_entities;
mod memory;
mod name_service;
mod priority;
mod prober;
mod proxy_settings;
mod reload;
pub mod start;
mod status;
mod tls;
mod upstream_metrics;
mod upstream_status;
mod workers;
