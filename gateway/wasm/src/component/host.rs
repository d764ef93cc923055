//! The functions that the package imports, on a store's data, the desk and the exchange.

mod body;
mod context;
mod fields;
mod heads;
mod kv;
mod logging;
mod metrics;
mod outbound;
mod secrets;

use super::bindings::{exchange, kv as kv_interface, metrics as metrics_interface, types};
use super::state::State;

impl types::Host for State {}
impl exchange::Host for State {}
impl metrics_interface::Host for State {}
impl kv_interface::Host for State {}
