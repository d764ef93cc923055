//! Consumers by the id that they have in another system.

use crate::arguments::Arguments;
use crate::errors::ApiError;
use crate::shown;
use tidegate_store::Catalog;

/// `GET /consumers?custom_id=x`: a list of one or none. None when that was not asked for.
pub(crate) fn by_custom_id(
    catalog: &Catalog,
    arguments: &Arguments,
    now: f64,
) -> Result<Option<String>, ApiError> {
    let Some(custom_id) = arguments.get("custom_id") else {
        return Ok(None);
    };
    if custom_id.is_empty() {
        return Err(ApiError::bad_request("custom_id must be an unempty string"));
    }
    let row = catalog.find("consumers", "custom_id", custom_id);
    let row = row.map(|row| shown::text(catalog, "consumers", row, now));
    let row = row.unwrap_or_default();
    Ok(Some(format!("{{\"data\":[{row}],\"next\":null}}")))
}
