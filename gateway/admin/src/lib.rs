//! Kong's Admin API over a store (kong-core G): resources, schemas, declarative configuration, information.
//!
//! ```text
//! request ─► api (access, CORS, path, method, body) ─► dispatch ─► crud, entities, ... ─► store ─► node applied ─► reply
//! ```
//!
//! A request is bytes that were read already, an answer is bytes to be sent: this crate knows no sockets, no TLS and no
//! server. What it asks of the gateway that it runs in is the trait [`Node`]. What a path leads to stands in one table
//! (`paths`), what a field may hold in the tables of the model; `/endpoints` and `/openapi.json` are read off both.

mod access;
mod api;
mod arguments;
mod bodies;
mod cors;
mod crud;
mod declarative_config;
mod dispatch;
mod entities;
mod errors;
mod information;
mod keys;
mod lists;
mod node;
mod node_control;
mod openapi;
mod paths;
mod records;
mod reply;
mod schemas;
mod shown;
mod tags;
mod writing;

pub use access::{AdminToken, AuditEntry, AuditLog};
pub use api::{AdminApi, Mode, Options};
pub use node::{
    Activity, BoxFuture, HealthRefusal, Identity, Node, PluginOnServer, TargetHealth, UnknownLevel,
    UpstreamHealth,
};
