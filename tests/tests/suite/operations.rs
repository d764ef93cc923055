//! What operators do: reload, drain, look.

#[path = "operations/drain.rs"]
mod drain;
#[path = "operations/look.rs"]
mod look;
#[path = "operations/reload.rs"]
mod reload;
#[path = "operations/start.rs"]
mod start;
