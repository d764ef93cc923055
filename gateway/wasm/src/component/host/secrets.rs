//! Secrets, as the attachment grants them by their references. Vaults were asked when the configuration was compiled:
//! none is asked while traffic waits.

use crate::component::bindings::secrets::Host;
use crate::component::bindings::types::Failure;
use crate::component::state::State;
use wasmtime::Result;

impl Host for State {
    fn get(&mut self, reference: String) -> Result<std::result::Result<String, Failure>> {
        Ok(match self.generation.options.secrets.get(&reference) {
            None => Err(Failure::Denied),
            Some(None) => Err(Failure::Other("the reference has no value".to_owned())),
            Some(Some(value)) => Ok(value.to_owned()),
        })
    }
}
