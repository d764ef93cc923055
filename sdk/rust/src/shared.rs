//! Values shared by all instances of the filter on this node.

use crate::{Error, Result};
use proxy_wasm::hostcalls;
use proxy_wasm::types::Status;

/// A shared value, if there is one.
///
/// ```no_run
/// let seen = tidegate_sdk::shared::get("last-seen")?;
/// # Ok::<(), tidegate_sdk::Error>(())
/// ```
///
/// # Errors
/// When the gateway refuses the key.
pub fn get(key: &str) -> Result<Option<Vec<u8>>> {
    let (value, _) = hostcalls::get_shared_data(key).map_err(Error::host("get shared data"))?;
    Ok(value)
}

/// Sets a shared value, whatever it was.
///
/// ```no_run
/// tidegate_sdk::shared::set("last-seen", b"now")?;
/// # Ok::<(), tidegate_sdk::Error>(())
/// ```
///
/// # Errors
/// When the gateway refuses it, for example because it is too large.
pub fn set(key: &str, value: &[u8]) -> Result<()> {
    hostcalls::set_shared_data(key, Some(value), None).map_err(Error::host("set shared data"))
}

const ATTEMPTS: usize = 100;

/// Changes a shared value so that no other change is lost: `change` gets the value that stands and gives the new one
/// with an answer; it runs again when somebody else was faster.
///
/// ```no_run
/// let count = tidegate_sdk::shared::update("count", |value| {
///     let before = value.and_then(|value| value.try_into().ok()).map_or(0, u64::from_le_bytes);
///     let after = before + 1;
///     (after.to_le_bytes().to_vec(), after)
/// })?;
/// # Ok::<(), tidegate_sdk::Error>(())
/// ```
///
/// # Errors
/// [`Error::Contended`] after a hundred attempts, and when the gateway refuses the value.
pub fn update<T>(key: &str, mut change: impl FnMut(Option<&[u8]>) -> (Vec<u8>, T)) -> Result<T> {
    for _ in 0..ATTEMPTS {
        let (value, version) = hostcalls::get_shared_data(key).map_err(Error::host("get shared data"))?;
        let (value, answer) = change(value.as_deref());
        match hostcalls::set_shared_data(key, Some(&value), version) {
            Ok(()) => return Ok(answer),
            Err(Status::CasMismatch) => {}
            Err(status) => return Err(Error::host("set shared data")(status)),
        }
    }
    Err(Error::Contended(key.to_owned()))
}
