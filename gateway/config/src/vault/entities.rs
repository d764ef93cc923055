//! References in entities: found by the tables, which say where they are allowed.

use super::{Environment, Resolved, Vaults, may_refer, resolve, resolve_embedded};
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
        let mut walk = Walk::new(&vaults);
        walk.plugin(
            (&plugin.name, &mut plugin.config, plugin.tidegate.as_mut()),
            schemas,
        );
        walk.finish("plugins", index, &plugin.id, &mut warnings);
    }
    for (index, chain) in entities.filter_chains.iter_mut().enumerate() {
        let mut walk = Walk::new(&vaults);
        walk.path.push(PathSegment::Key("filters".to_owned()));
        for (place, filter) in chain.filters.iter_mut().enumerate() {
            walk.path.push(PathSegment::Index(place));
            if let Some(config) = &mut filter.config {
                walk.within("config", |walk| walk.anything(config));
            }
            walk.granted(filter.tidegate.as_mut());
            walk.path.pop();
        }
        walk.finish("filter_chains", index, &chain.id, &mut warnings);
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
        Value::String(text) => may_refer(text),
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

    /// A plugin's configuration, and the secrets that it grants if it is a filter.
    fn plugin(
        &mut self,
        (name, config, options): (&str, &mut Value, Option<&mut Value>),
        schemas: &dyn PluginSchemas,
    ) {
        if mentions_vault(config) {
            let schema = schemas
                .get(name)
                .or_else(|| schemas.absent_filter().filter(|_| options.is_some()));
            self.within("config", |walk| match (schema, config) {
                (Some(schema), config) if schema.takes_any_config => walk.anything(config),
                (Some(schema), Value::Object(config)) => walk.record(schema.config, config),
                _ => {}
            });
        }
        self.granted(options);
    }

    /// The references in `tidegate.secrets`, which a filter may read: put beside their values, or beside null.
    fn granted(&mut self, options: Option<&mut Value>) {
        let secrets = options.and_then(|options| options.get_mut("secrets"));
        let Some(secrets) = secrets else {
            return;
        };
        let Value::Array(references) = &*secrets else {
            return;
        };
        let mut granted = Map::new();
        for (index, reference) in references.iter().enumerate() {
            // Whoever builds the filter refuses what is no reference.
            let Some(text) = reference.as_str() else {
                return;
            };
            let value = match resolve(text, self.vaults) {
                Resolved::Secret(secret) => Value::String(secret),
                Resolved::Plain => return,
                Resolved::Missing(reason) => {
                    let mut path = self.path.clone();
                    path.extend(["tidegate", "secrets"].map(|key| PathSegment::Key(key.to_owned())));
                    path.push(PathSegment::Index(index));
                    self.found.push((path, reason));
                    Value::Null
                }
            };
            granted.insert(text.to_owned(), value);
        }
        *secrets = Value::Object(granted);
    }

    fn within(&mut self, key: &str, act: impl FnOnce(&mut Self)) {
        self.path.push(PathSegment::Key(key.to_owned()));
        act(self);
        self.path.pop();
    }

    /// A value that no table describes: every text may be a reference.
    fn anything(&mut self, value: &mut Value) {
        match value {
            Value::String(text) => self.text(text, false),
            Value::Array(list) => {
                for (index, value) in list.iter_mut().enumerate() {
                    self.path.push(PathSegment::Index(index));
                    self.anything(value);
                    self.path.pop();
                }
            }
            Value::Object(members) => {
                for (name, value) in members.iter_mut() {
                    self.path.push(PathSegment::Entry(name.clone()));
                    self.anything(value);
                    self.path.pop();
                }
            }
            _ => {}
        }
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
            (Shape::Any, value) if allowed => self.anything(value),
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
