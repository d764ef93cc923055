//! Faults of the database in the terms of the store.

use super::{BackendError, FaultKind};
use std::error::Error as _;
use std::fmt::Write as _;
use tokio_postgres::error::SqlState;

/// What a piece of work with the database fails with.
#[derive(Debug)]
pub(super) enum Fault {
    Database(tokio_postgres::Error),
    /// While the commit itself was under way.
    Commit(tokio_postgres::Error),
    Own(BackendError),
}

impl From<tokio_postgres::Error> for Fault {
    fn from(fault: tokio_postgres::Error) -> Self {
        Self::Database(fault)
    }
}

impl From<BackendError> for Fault {
    fn from(fault: BackendError) -> Self {
        Self::Own(fault)
    }
}

impl Fault {
    /// `place` names the database to people.
    pub(super) fn told(self, place: &str) -> BackendError {
        match self {
            Self::Own(fault) => fault,
            // A server that answers has rolled back; silence says nothing.
            Self::Commit(fault) if fault.as_db_error().is_none() => {
                BackendError::new(FaultKind::InDoubt, text(place, &fault))
            }
            Self::Database(fault) | Self::Commit(fault) => {
                BackendError::new(kind(&fault), text(place, &fault))
            }
        }
    }
}

fn kind(fault: &tokio_postgres::Error) -> FaultKind {
    let Some(state) = fault.code() else {
        return FaultKind::Unreachable;
    };
    let class = state.code().get(..2).unwrap_or_default();
    match class {
        _ if *state == SqlState::UNDEFINED_TABLE || *state == SqlState::UNDEFINED_COLUMN => {
            FaultKind::NeedsMigration
        }
        _ if *state == SqlState::DISK_FULL => FaultKind::Full,
        // Connections, resources, an operator's intervention, a statement that took too long, a standby.
        "08" | "53" | "57" | "55" | "40" | "25" => FaultKind::Unreachable,
        _ => FaultKind::Refused,
    }
}

fn text(place: &str, fault: &tokio_postgres::Error) -> String {
    let what = match (kind(fault), fault.as_db_error()) {
        (FaultKind::NeedsMigration, _) => {
            return format!("the {place} is not prepared; run `tidegate migrations bootstrap`");
        }
        (_, Some(answer)) => format!("{} ({})", answer.message(), answer.code().code()),
        (_, None) => {
            // The outer error names the step, the inner one the reason.
            let mut text = fault.to_string();
            let mut inner = fault.source();
            while let Some(cause) = inner {
                if !text.contains(&cause.to_string()) {
                    let _ = write!(text, ": {cause}");
                }
                inner = cause.source();
            }
            text
        }
    };
    match fault.as_db_error() {
        Some(_) => format!("the {place} says: {what}"),
        None => format!("the {place} cannot be reached: {what}"),
    }
}
