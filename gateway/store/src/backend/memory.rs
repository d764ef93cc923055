//! Keeps nothing beyond the process: what the store has in memory is all there is.

use super::{Backend, BackendError, News, Outcome, StoredRow};
use crate::change::RowChange;

/// For gateways without a database, and for tests.
#[derive(Debug, Default)]
pub struct MemoryBackend {
    version: u64,
}

impl Backend for MemoryBackend {
    fn load(
        &mut self,
        _: &mut dyn FnMut(StoredRow<'_>) -> Result<(), BackendError>,
    ) -> Result<u64, BackendError> {
        Ok(self.version)
    }

    fn commit(&mut self, _: u64, _: &[RowChange]) -> Result<Outcome, BackendError> {
        self.version += 1;
        Ok(Outcome::Committed(self.version))
    }

    fn poll(&mut self, _: u64) -> Result<News, BackendError> {
        Ok(News::Nothing)
    }
}
