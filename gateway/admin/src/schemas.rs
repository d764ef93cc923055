//! `/schemas`: the tables that entities are held against, and the test of an entity against them.

use crate::errors::ApiError;
use crate::node::Node;
use crate::records::{self, Record};
use crate::writing::Desk;
use http::StatusCode;
use serde_json::{Value, json};
use tidegate_config::declarative::PluginSchemas;
use tidegate_model::entity_table::{EntityType, entity_type};
use tidegate_model::schema::Context;

fn unknown(what: &str, name: &str) -> ApiError {
    ApiError::Message(StatusCode::NOT_FOUND, format!("No {what} named '{name}'"))
}

/// `GET /schemas/{name}`
pub(crate) fn of_entity(context: &Context, name: &str) -> Result<Value, ApiError> {
    let entity = entity(name)?;
    let mut table = entity.schema().describe();
    // A client that fills in the defaults of fields that this gateway does not have would have all its routes refused.
    if let Some(Value::Array(fields)) = table.get_mut("fields") {
        let own = |name: &String| entity.schema().fields.iter().find(|field| field.name == name);
        let exists = |name: &String| own(name).is_none_or(|field| field.exists_with(context));
        fields.retain(|field| field.as_object().is_none_or(|field| field.keys().all(exists)));
    }
    // What stands there is up to the kind that the entity names.
    if matches!(entity.collection, "plugins" | "vaults") {
        let fields = table.get_mut("fields").and_then(Value::as_array_mut);
        if let Some(config) = fields
            .into_iter()
            .flatten()
            .find_map(|field| field.get_mut("config"))
        {
            *config = json!({ "type": "record", "abstract": true });
        }
    }
    Ok(table)
}

/// The table of a collection, by its name.
pub(crate) fn entity(name: &str) -> Result<&'static EntityType, ApiError> {
    entity_type(name).ok_or_else(|| unknown("entity", name))
}

/// `GET /schemas/plugins/{name}`
pub(crate) fn of_plugin(plugins: &dyn PluginSchemas, name: &str) -> Result<Value, ApiError> {
    let schema = plugins.get(name).ok_or_else(|| unknown("plugin", name))?;
    let refused: Vec<(&str, &str)> = schema
        .scopes
        .refused()
        .filter_map(|scope| {
            let table = entity_type("plugins")?;
            table.references().find(|(field, _)| *field == scope)
        })
        .collect();
    let protocols = (schema.protocols, schema.default_protocols);
    Ok(schema
        .config
        .describe_plugin(&refused, protocols, schema.takes_any_config))
}

/// `GET /schemas/vaults/{name}`
pub(crate) fn of_vault(context: &Context, name: &str) -> Result<Value, ApiError> {
    if !context.vault_types.contains(&name) {
        return Err(unknown("vault", name));
    }
    let options = match name {
        "env" => json!([{ "prefix": {
            "type": "string",
            "description": "What stands before the name of every environment variable.",
        } }]),
        _ => json!([]),
    };
    let config = json!({ "type": "record", "required": true, "fields": options });
    Ok(json!({ "fields": [{ "config": config }], "entity_checks": [] }))
}

/// `GET /schemas/filters/{name}`
pub(crate) fn of_filter(node: &dyn Node, name: &str) -> Result<Value, ApiError> {
    let missing = || ApiError::Message(StatusCode::NOT_FOUND, format!("Filter '{name}' not found"));
    node.filter_schema(name).ok_or_else(missing)
}

/// `POST /schemas/{name}/validate`
pub(crate) fn validate(desk: &Desk, entity: &EntityType, sent: Record) -> Result<Value, ApiError> {
    let violations = records::violations(desk, entity, sent);
    match ApiError::from_violations(&violations) {
        Some(refusal) => Err(refusal),
        None => Ok(json!({ "message": "schema validation successful" })),
    }
}
