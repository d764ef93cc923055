//! The Admin API over sockets: what is written serves, wherever entities live.

#[path = "api/conflicts.rs"]
mod conflicts;
#[path = "api/database.rs"]
mod database;
#[path = "api/declarative.rs"]
mod declarative;
#[path = "api/durability.rs"]
mod durability;
#[path = "api/guide.rs"]
mod guide;
#[path = "api/live.rs"]
mod live;
#[path = "api/protocol.rs"]
mod protocol;
#[path = "api/rules.rs"]
mod rules;
#[path = "api/site.rs"]
mod site;
#[path = "api/traffic.rs"]
mod traffic;
#[path = "api/verbs.rs"]
mod verbs;

use site::{Site, on_every_store};
