//! Whole files in, entities or faults out.

mod faults;
mod format;
mod head;
mod hostile;
mod kong_errors;
mod nesting;
mod plugin_entries;
mod round_trip;
pub(crate) mod support;
