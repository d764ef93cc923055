//! Entities, typed ids and the schema tables that describe them.
//!
//! A field is declared once, in a [`record!`] block: that one line gives the Rust field, its default, its checks,
//! Kong's error text, its line in `/schemas` and its documentation.
//!
//! This crate knows nothing of files, sockets, HTTP or async: it turns JSON values into checked, typed entities.

extern crate self as tidegate_model;

pub mod address;
pub mod deterministic_id;
pub mod entities;
pub mod entity_table;
pub mod host;
pub mod ids;
pub mod normalize;
pub mod schema;

#[doc(hidden)]
pub mod __private {
    pub use serde;
    pub use serde_json;
}
