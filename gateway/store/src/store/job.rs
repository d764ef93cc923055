//! A transaction on its way through the writer thread.

use super::{Committed, TransactError};
use crate::backend::BackendError;
use crate::transaction::Transaction;
use std::panic::{AssertUnwindSafe, catch_unwind};
use tokio::sync::oneshot;

/// What the caller gets.
pub(super) type Answer<T, E> = Result<Committed<T>, TransactError<E>>;

/// Work, its outcome and who waits for it, whatever their types.
pub(super) trait Job: Send {
    /// Whether somebody still waits.
    fn is_wanted(&self) -> bool;
    /// Runs the work and keeps the outcome. False: what it changed must be undone.
    fn run(&mut self, transaction: &mut Transaction<'_>) -> bool;
    /// Tells the outcome: it is durable and readers see it.
    fn done(self: Box<Self>, version: u64);
    /// Tells that the backend failed.
    fn failed(self: Box<Self>, fault: &BackendError);
}

pub(super) struct Work<F, T, E> {
    work: F,
    outcome: Outcome<T, E>,
    answer: oneshot::Sender<Answer<T, E>>,
}

enum Outcome<T, E> {
    /// It has not run, or it panicked.
    None,
    Accepted(T),
    Refused(E),
}

impl<F, T, E> Work<F, T, E> {
    pub(super) fn new(work: F, answer: oneshot::Sender<Answer<T, E>>) -> Self {
        Self {
            work,
            outcome: Outcome::None,
            answer,
        }
    }
}

impl<F, T, E> Job for Work<F, T, E>
where
    F: FnMut(&mut Transaction<'_>) -> Result<T, E> + Send,
    T: Send,
    E: Send,
{
    fn is_wanted(&self) -> bool {
        !self.answer.is_closed()
    }

    fn run(&mut self, transaction: &mut Transaction<'_>) -> bool {
        self.outcome = Outcome::None;
        // What a panic leaves behind is undone with the transaction.
        match catch_unwind(AssertUnwindSafe(|| (self.work)(transaction))) {
            Ok(Ok(value)) => {
                self.outcome = Outcome::Accepted(value);
                true
            }
            Ok(Err(reason)) => {
                self.outcome = Outcome::Refused(reason);
                false
            }
            Err(_) => false,
        }
    }

    fn done(self: Box<Self>, version: u64) {
        let answer = match self.outcome {
            Outcome::Accepted(value) => Ok(Committed { value, version }),
            Outcome::Refused(reason) => Err(TransactError::Refused(reason)),
            Outcome::None => Err(TransactError::Aborted),
        };
        // Nobody may be waiting any more.
        let _ = self.answer.send(answer);
    }

    fn failed(self: Box<Self>, fault: &BackendError) {
        let _ = self.answer.send(Err(TransactError::Unavailable(fault.clone())));
    }
}
