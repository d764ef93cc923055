//! Values that instances share.

use crate::component::bindings::kv::{Entry, HostStore, Swap};
use crate::component::bindings::types::Failure;
use crate::component::handles::Store;
use crate::component::state::State;
use crate::host::data::{Expected, IncrementError, SetError};
use crate::options::Permission;
use std::result::Result as StdResult;
use std::sync::Arc;
use wasmtime::Result;
use wasmtime::component::Resource;

type Handle = Resource<Store>;
type Answer<T> = Result<StdResult<T, Failure>>;

const MAX_NAME: usize = 256;

impl State {
    /// Now, and when something expires that lives for `ttl_ms`.
    fn times(&self, ttl_ms: Option<u64>) -> (u64, Option<u64>) {
        let now = self.generation.host.services.clock.now_millis();
        (now, ttl_ms.map(|ttl_ms| now.saturating_add(ttl_ms)))
    }
}

impl HostStore for State {
    fn open(&mut self, name: String) -> Answer<Handle> {
        if !self.may(Permission::Kv) {
            return Ok(Err(Failure::Denied));
        }
        if name.is_empty() || name.len() > MAX_NAME {
            return Ok(Err(Failure::Invalid(
                "a store's name has 1 to 256 bytes".to_owned(),
            )));
        }
        let data = if *name == *self.generation.vm_id {
            Some(Arc::clone(&self.generation.data))
        } else {
            self.generation.keep_data(&name)
        };
        Ok(match data {
            Some(data) => Ok(self.table.push(Store(data))?),
            None => Err(Failure::Other("the filter has too many stores".to_owned())),
        })
    }

    fn get(&mut self, store: Handle, key: String) -> Answer<Option<Entry>> {
        let (now, _) = self.times(None);
        let found = self.table.get(&store)?.0.get(key.as_bytes(), now);
        Ok(Ok(found.map(|found| Entry {
            value: found.value.to_vec(),
            version: u64::from(found.version),
            ttl_ms: found.expires_at.map(|expires_at| expires_at.saturating_sub(now)),
        })))
    }

    fn set(&mut self, store: Handle, key: String, value: Vec<u8>, ttl_ms: Option<u64>) -> Answer<()> {
        let times = self.times(ttl_ms);
        let data = &self.table.get(&store)?.0;
        let set = data.swap(key.as_bytes(), Expected::Anything, &value, times);
        Ok(set.map_err(|_| Failure::TooLarge))
    }

    fn compare_and_set(
        &mut self,
        store: Handle,
        key: String,
        version: u64,
        value: Vec<u8>,
        ttl_ms: Option<u64>,
    ) -> Answer<Swap> {
        let times = self.times(ttl_ms);
        let expected = match (version, u32::try_from(version)) {
            (0, _) => Expected::Nothing,
            (_, Ok(version)) => Expected::Version(version),
            // No entry has such a version.
            (_, Err(_)) => return Ok(Ok(Swap::Conflict)),
        };
        let data = &self.table.get(&store)?.0;
        Ok(match data.swap(key.as_bytes(), expected, &value, times) {
            Ok(()) => Ok(Swap::Stored),
            Err(SetError::CasMismatch) => Ok(Swap::Conflict),
            Err(SetError::TooLarge) => Err(Failure::TooLarge),
        })
    }

    fn delete(&mut self, store: Handle, key: String) -> Answer<()> {
        self.table.get(&store)?.0.delete(key.as_bytes());
        Ok(Ok(()))
    }

    fn increment(&mut self, store: Handle, key: String, by: i64, ttl_ms: Option<u64>) -> Answer<i64> {
        let times = self.times(ttl_ms);
        let data = &self.table.get(&store)?.0;
        let sum = data.increment(key.as_bytes(), by, times);
        Ok(sum.map_err(|error| match error {
            IncrementError::NotANumber => Failure::Invalid("the value is no number".to_owned()),
            IncrementError::Overflow => Failure::Invalid("the sum is too large".to_owned()),
            IncrementError::TooLarge => Failure::TooLarge,
        }))
    }

    fn drop(&mut self, store: Handle) -> Result<()> {
        self.table.delete(store)?;
        Ok(())
    }
}
