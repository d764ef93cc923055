//! Rows as answers show them. Most are shown as they are stored, so that a long list is a copy of texts.

use crate::records::ttl_left;
use serde_json::Value;
use std::borrow::Cow;
use tidegate_store::{Catalog, Row};

/// The text of one row.
pub(crate) fn text<'r>(catalog: &Catalog, collection: &str, row: &'r Row, now: f64) -> Cow<'r, str> {
    match (collection, row.expires_at()) {
        ("certificates", _) => Cow::Owned(with_snis(catalog, row)),
        (_, Some(expires_at)) => {
            let mut record = row.value();
            record.insert("ttl".to_owned(), Value::from(ttl_left(expires_at, now)));
            Cow::Owned(Value::Object(record).to_string())
        }
        _ => Cow::Borrowed(row.text()),
    }
}

/// The names of a certificate are rows of their own, and stand in it all the same.
fn with_snis(catalog: &Catalog, certificate: &Row) -> String {
    let names = snis(catalog, certificate);
    let text = certificate.text();
    let open = text.strip_suffix('}').unwrap_or(text);
    format!("{open},\"snis\":{}}}", Value::from(names))
}

/// Names of a certificate, sorted.
pub(crate) fn snis(catalog: &Catalog, certificate: &Row) -> Vec<String> {
    let rows = catalog.children("snis", "certificate", certificate.id());
    let mut names: Vec<String> = rows
        .filter_map(|row| row.value().get("name")?.as_str().map(str::to_owned))
        .collect();
    names.sort_unstable();
    names
}
