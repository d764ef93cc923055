//! What operators do: reload, drain, look.

#[path = "operations/certificates.rs"]
mod certificates;
#[path = "operations/drain.rs"]
mod drain;
#[path = "operations/enabled.rs"]
mod enabled;
#[path = "operations/log_object.rs"]
mod log_object;
#[path = "operations/look.rs"]
mod look;
#[path = "operations/reload.rs"]
mod reload;
#[path = "operations/start.rs"]
mod start;
#[path = "operations/upstream_examples.rs"]
mod upstream_examples;

pub(crate) use start::run;
