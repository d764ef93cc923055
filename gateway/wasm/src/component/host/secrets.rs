//! Secrets.

use crate::component::bindings::secrets::Host;
use crate::component::bindings::types::Failure;
use crate::component::state::State;
use crate::options::Permission;
use wasmtime::Result;

impl Host for State {
    /// References in a configuration are resolved before a filter sees it; vaults cannot be asked from a worker.
    fn get(&mut self, _: String) -> Result<std::result::Result<String, Failure>> {
        if !self.may(Permission::Secrets) {
            return Ok(Err(Failure::Denied));
        }
        Ok(Err(Failure::Other(
            "no vault can be asked here; put the reference into the filter's configuration".to_owned(),
        )))
    }
}
