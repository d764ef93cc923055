//! What is known of a guest's failure, and of why one did not start.

use crate::generation::Generation;
use crate::host::{FailureKind, FailureRecord};
use std::collections::VecDeque;
use std::fmt::Write;
use std::sync::Arc;
use wasmtime::{Trap, WasmBacktrace};

/// A call into the guest ended it.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) callback: &'static str,
    pub(crate) kind: FailureKind,
    /// What happened, and the guest's stack.
    pub(crate) report: String,
    pub(crate) log: Vec<String>,
}

/// What a store's data tells of its guest's end.
pub(crate) struct Remains<'s> {
    /// It asked to exit.
    pub(crate) has_exited: bool,
    /// Growths of memory that were denied to it.
    pub(crate) denied: u32,
    pub(crate) log: &'s VecDeque<String>,
}

impl Failure {
    pub(crate) fn of(callback: &'static str, error: &wasmtime::Error, remains: &Remains<'_>) -> Self {
        let kind = match error.downcast_ref::<Trap>() {
            _ if remains.has_exited => FailureKind::Exit,
            Some(Trap::Interrupt) => FailureKind::Deadline,
            Some(Trap::StackOverflow) => FailureKind::Stack,
            // A guest that is denied memory mostly gives up with `unreachable`.
            Some(_) if remains.denied > 0 => FailureKind::Memory,
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
            log: remains.log.iter().cloned().collect(),
        }
    }

    /// In a few words, for answers.
    pub(crate) fn summary(&self) -> String {
        format!("{} in {}", self.kind.as_str(), self.callback)
    }

    /// Writes it down: log, counters, the list for operators, the circuit.
    pub(crate) fn note(self, generation: &Generation, request_id: Option<String>) {
        generation.count_failure(self.kind);
        let has_tripped = generation.circuit.fail();
        tracing::error!(
            filter = &*generation.name,
            callback = self.callback,
            kind = self.kind.as_str(),
            request_id,
            report = self.report,
            "a filter failed"
        );
        if has_tripped {
            tracing::error!(
                filter = &*generation.name,
                "a filter is out of service: it failed too often"
            );
        }
        generation.host.note_failure(FailureRecord {
            filter: Arc::clone(&generation.name),
            callback: self.callback,
            kind: self.kind,
            report: self.report,
            at_millis: generation.host.services.clock.now_millis(),
            request_id,
            log: self.log,
        });
    }
}

/// Why a guest did not start.
#[derive(Debug)]
pub(crate) enum BootError {
    /// No slot or no memory for it.
    NoInstance(String),
    /// It failed on the way.
    Failed(Box<Failure>),
    /// `on_vm_start` or `on_configure` answered false.
    Refused(&'static str, Vec<String>),
    /// A component's reason for which it does not take its configuration.
    Configuration(String),
}

impl std::fmt::Display for BootError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NoInstance(reason) => write!(f, "no instance: {reason}"),
            Self::Failed(failure) => write!(f, "{} failed: {}", failure.callback, failure.report),
            Self::Configuration(reason) => f.write_str(reason),
            Self::Refused(callback, log) if log.is_empty() => write!(f, "{callback} answered false"),
            Self::Refused(callback, log) => write!(
                f,
                "{callback} answered false; the filter's log: {}",
                log.join("; ")
            ),
        }
    }
}
