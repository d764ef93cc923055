//! What is known of a guest's failure.

use super::super::state::State;
use super::Callback;
use crate::host::{FailureKind, FailureRecord};
use std::fmt::Write;
use wasmtime::{Trap, WasmBacktrace};

/// A call into the guest ended it.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) callback: Callback,
    pub(crate) kind: FailureKind,
    /// What happened, and the guest's stack.
    pub(crate) report: String,
    pub(crate) log: Vec<String>,
}

impl Failure {
    pub(crate) fn of(callback: Callback, error: &wasmtime::Error, state: &State) -> Self {
        let kind = match error.downcast_ref::<Trap>() {
            _ if state.exit_code.is_some() => FailureKind::Exit,
            Some(Trap::Interrupt) => FailureKind::Deadline,
            Some(Trap::StackOverflow) => FailureKind::Stack,
            // A guest that is denied memory mostly gives up with `unreachable`.
            Some(_) if state.limiter.denied > 0 => FailureKind::Memory,
            Some(_) => FailureKind::Trap,
            None => FailureKind::Host,
        };
        let mut report = error.root_cause().to_string();
        if let Some(backtrace) = error.downcast_ref::<WasmBacktrace>() {
            let _ = write!(report, "\n{}", backtrace.to_string().trim_end());
        }
        Self {
            callback,
            kind,
            report,
            log: state.log_ring.iter().cloned().collect(),
        }
    }

    /// For operators.
    pub(crate) fn record(self, state: &State, request_id: Option<String>) -> FailureRecord {
        FailureRecord {
            filter: std::sync::Arc::clone(&state.generation.name),
            callback: self.callback.name(),
            kind: self.kind,
            report: self.report,
            at_millis: state.generation.host.services.clock.now_millis(),
            request_id,
            log: self.log,
        }
    }
}
