//! The end of a stream: `on_done`, `on_log` and `on_delete`.

use super::{Calls, Run};
use crate::background::Lingering;
use crate::failure::Failure;
use tidegate_plugin::Exchange;

impl Run {
    pub(super) fn end(&mut self, mut x: Option<&mut Exchange>) {
        if std::mem::replace(&mut self.is_finished, true) {
            return;
        }
        let id = self.stream;
        let is_poisoned = self.with(|vm| {
            vm.state().cancel_calls(id);
            vm.is_poisoned
        });
        if is_poisoned != Some(false) {
            self.with(|vm| vm.forget_stream(id));
            return;
        }
        self.calls = Calls::default();
        let Some(done) = self.with(|vm| vm.done(id, x.as_deref_mut())) else {
            return;
        };
        match done {
            Ok(true) => self.conclude(x),
            Ok(false) => self.linger(Some(id)),
            Err(failure) => self.note_end(failure, x.as_deref()),
        }
    }

    fn conclude(&mut self, mut x: Option<&mut Exchange>) {
        let id = self.stream;
        match self.with(|vm| vm.log_and_delete(id, x.as_deref_mut())) {
            Some(Err(failure)) => self.note_end(failure, x.as_deref()),
            Some(Ok(())) => {
                self.pool.generation().circuit.succeed();
                if self.with(|vm| !vm.state().new_calls.is_empty()) == Some(true) {
                    self.linger(None);
                }
            }
            None => {}
        }
    }

    fn note_end(&mut self, failure: Failure, x: Option<&Exchange>) {
        let request_id = x.and_then(|x| x.request_id.to_str().ok()).map(str::to_owned);
        let id = self.stream;
        failure.note(self.pool.generation(), request_id);
        self.with(|vm| vm.forget_stream(id));
    }

    /// Hands the instance over: it has calls under way, or a stream whose end it put off.
    fn linger(&mut self, stream: Option<u32>) {
        if let Some(lease) = self.lease.take() {
            let lingering = Lingering::new(lease, (self.stream, stream), self.pool.generation());
            self.pool.linger(lingering);
        }
    }
}
