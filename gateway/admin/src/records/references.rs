//! References as people write them, by id or by any unique value, become ids.

use super::{Record, uuid_of};
use crate::errors::ApiError;
use serde_json::{Value, json};
use tidegate_model::entity_table::{EntityType, entity_type};
use tidegate_store::Catalog;
use uuid::Uuid;

/// Follows every reference that names its entity. One by id is left to the store, which knows whether it is there.
pub(super) fn resolve(catalog: &Catalog, entity: &EntityType, sent: &mut Record) -> Result<(), ApiError> {
    for (field, target) in entity.references() {
        let Some(value) = sent.get_mut(field) else {
            continue;
        };
        match read(value, target) {
            Reference::Id(id) => *value = json!({ "id": id.to_string() }),
            Reference::Unique(by, name) => match catalog.find(target, by, name) {
                Some(row) => *value = json!({ "id": row.id().to_string() }),
                None => {
                    return Err(ApiError::UnresolvedReference {
                        field,
                        by,
                        name: name.to_owned(),
                        target,
                    });
                }
            },
            Reference::Other => {}
        }
    }
    Ok(())
}

/// Takes references by id for ones that lead somewhere. A name alone is not enough here, as in Kong.
pub(super) fn assume(entity: &EntityType, sent: &mut Record) {
    for (field, target) in entity.references() {
        if let Some(value) = sent.get_mut(field)
            && let Reference::Id(id) = read(value, target)
        {
            *value = json!({ "id": id.to_string() });
        }
    }
}

enum Reference<'v> {
    Id(Uuid),
    /// A unique field of the target, and its value.
    Unique(&'static str, &'v str),
    /// Null, or something for the table to refuse.
    Other,
}

fn read<'v>(value: &'v Value, target: &str) -> Reference<'v> {
    let Value::Object(members) = value else {
        return Reference::Other;
    };
    if members.get("id").is_some_and(|id| !id.is_null()) {
        return uuid_of(members.get("id")).map_or(Reference::Other, Reference::Id);
    }
    let fields = entity_type(target)
        .into_iter()
        .flat_map(|entity| &entity.schema().fields);
    let named = fields
        .filter(|field| field.unique)
        .find_map(|field| Some((field.name, members.get(field.name)?.as_str()?)));
    named.map_or(Reference::Other, |(by, name)| Reference::Unique(by, name))
}
