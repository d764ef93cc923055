//! References in entities: found by the tables, which say where they are allowed.

use super::{Environment, Resolved, Vaults, resolve, resolve_embedded};
use crate::declarative::{PluginSchemas, password_hash};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use std::fmt;
use tidegate_model::entities::{BasicAuthCredential, EntitySet};
use tidegate_model::schema::{Declared, Kind, PathSegment, RecordSchema, Rule, Shape, is_reference};

/// A reference that could not be resolved. Holds no secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// Collection of the entity.
    pub collection: &'static str,
    /// Its position in the collection.
    pub index: usize,
    /// Id of the entity.
    pub id: String,
    /// Steps from the entity to the field.
    pub path: Vec<PathSegment>,
    /// Why there is no value.
    pub reason: String,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = crate::declarative::show_path(&self.path);
        write!(f, "{} {}: {path}: {}", self.collection, self.id, self.reason)
    }
}

/// Where the references of entities lead.
#[derive(Clone, Copy)]
pub struct Secrets<'e> {
    /// How environment variables are read.
    pub environment: &'e Environment<'e>,
    /// The setting `vault_env_prefix`.
    pub env_prefix: &'e str,
    /// The setting `vaults` lists `env`.
    pub is_enabled: bool,
}

impl<'e> Secrets<'e> {
    /// Variables without a prefix.
    #[must_use]
    pub fn of(environment: &'e Environment<'e>) -> Self {
        Self {
            environment,
            env_prefix: "",
            is_enabled: true,
        }
    }
}

/// Replaces the references in certificates, keys, credentials and plugin configurations by their values. One that
/// cannot be resolved becomes an empty text, with a warning. Passwords of basic-auth are hashed on the way.
///
/// Kong replaces only values that are a reference as a whole. Here, elements of lists and values of maps may also hold
/// references inside: `Authorization:Bearer {vault://env/token}`.
#[must_use]
pub fn resolve_references(
    entities: &mut EntitySet,
    schemas: &dyn PluginSchemas,
    secrets: &Secrets<'_>,
) -> Vec<Warning> {
    let mut warnings = Vec::new();
    let mut vaults = Vaults::new(secrets.environment, &entities.vaults).with_env_prefix(secrets.env_prefix);
    if !secrets.is_enabled {
        vaults = vaults.disabled();
    }
    macro_rules! collections {
        ($($name:ident),+ $(,)?) => {
            $( collection(stringify!($name), &mut entities.$name, &vaults, &mut warnings); )+
        };
    }
    let passwords: Vec<bool> = entities
        .basicauth_credentials
        .iter()
        .map(|credential| is_reference(&credential.password))
        .collect();
    collections!(
        certificates,
        keys,
        keyauth_credentials,
        basicauth_credentials,
        jwt_secrets,
        hmacauth_credentials,
        oauth2_credentials,
    );
    let resolved = entities
        .basicauth_credentials
        .iter_mut()
        .zip(passwords)
        .filter(|(_, was_reference)| *was_reference);
    resolved.for_each(|(credential, _)| hash(credential));

    for (index, plugin) in entities.plugins.iter_mut().enumerate() {
        if !mentions_vault(&plugin.config) {
            continue;
        }
        if let (Some(schema), Value::Object(config)) = (schemas.get(&plugin.name), &mut plugin.config) {
            let mut walk = Walk::new(&vaults);
            walk.path.push(PathSegment::Key("config".to_owned()));
            walk.record(schema.config, config);
            walk.finish("plugins", index, &plugin.id, &mut warnings);
        }
    }
    warnings
}

/// An empty password stays empty: nobody may log in with it.
fn hash(credential: &mut BasicAuthCredential) {
    if !credential.password.is_empty() {
        credential.password = password_hash(&credential.password, &credential.consumer.id.to_string());
    }
}

fn collection<T: Declared + Serialize + DeserializeOwned>(
    name: &'static str,
    entities: &mut [T],
    vaults: &Vaults<'_>,
    warnings: &mut Vec<Warning>,
) {
    for (index, entity) in entities.iter_mut().enumerate() {
        let Ok(Value::Object(mut record)) = serde_json::to_value(&*entity) else {
            continue;
        };
        if !record.values().any(mentions_vault) {
            continue;
        }
        let mut walk = Walk::new(vaults);
        walk.record(T::schema(), &mut record);
        let id = record
            .get("id")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned();
        walk.finish(name, index, &id, warnings);
        if let Ok(resolved) = serde_json::from_value(Value::Object(record)) {
            *entity = resolved;
        }
    }
}

fn mentions_vault(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains("{vault://"),
        Value::Array(list) => list.iter().any(mentions_vault),
        Value::Object(members) => members.values().any(mentions_vault),
        _ => false,
    }
}

/// A walk through one record along its table.
struct Walk<'w> {
    vaults: &'w Vaults<'w>,
    path: Vec<PathSegment>,
    found: Vec<(Vec<PathSegment>, String)>,
}

impl<'w> Walk<'w> {
    const fn new(vaults: &'w Vaults<'w>) -> Self {
        Self {
            vaults,
            path: Vec::new(),
            found: Vec::new(),
        }
    }

    fn finish(self, collection: &'static str, index: usize, id: &impl ToString, warnings: &mut Vec<Warning>) {
        let id = id.to_string();
        warnings.extend(self.found.into_iter().map(|(path, reason)| Warning {
            collection,
            index,
            id: id.clone(),
            path,
            reason,
        }));
    }

    fn record(&mut self, schema: &RecordSchema, record: &mut Map<String, Value>) {
        for field in &schema.fields {
            if let Some(value) = record.get_mut(field.name) {
                self.path.push(PathSegment::Key(field.name.to_owned()));
                self.value(&field.kind, value, field.referenceable, false);
                self.path.pop();
            }
        }
    }

    /// `allowed` is inherited: a list that is referenceable has referenceable elements.
    fn value(&mut self, kind: &Kind, value: &mut Value, allowed: bool, is_element: bool) {
        let allowed = allowed || kind.rules.iter().any(|rule| matches!(rule, Rule::Referenceable));
        match (&kind.shape, value) {
            (Shape::Record(source), Value::Object(record)) => self.record((source.0)(), record),
            (Shape::Array(element) | Shape::Set(element), Value::Array(list)) => {
                for (index, value) in list.iter_mut().enumerate() {
                    self.path.push(PathSegment::Index(index));
                    self.value(element, value, allowed, true);
                    self.path.pop();
                }
            }
            (Shape::Map { values, .. }, Value::Object(members)) => {
                for (name, value) in members.iter_mut() {
                    self.path.push(PathSegment::Entry(name.clone()));
                    self.value(values, value, allowed, true);
                    self.path.pop();
                }
            }
            (_, Value::String(text)) if allowed => self.text(text, is_element),
            _ => {}
        }
    }

    fn text(&mut self, text: &mut String, is_element: bool) {
        match resolve(text, self.vaults) {
            Resolved::Secret(secret) => *text = secret,
            // Two references side by side look like one that is malformed.
            Resolved::Missing(reason) if !is_element => {
                self.found.push((self.path.clone(), reason));
                text.clear();
            }
            Resolved::Plain | Resolved::Missing(_) if is_element => {
                if let Some((resolved, reasons)) = resolve_embedded(text, self.vaults) {
                    *text = resolved;
                    self.found
                        .extend(reasons.into_iter().map(|reason| (self.path.clone(), reason)));
                }
            }
            Resolved::Plain | Resolved::Missing(_) => {}
        }
    }
}
