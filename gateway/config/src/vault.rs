//! Vault references: `{vault://env/my-secret}` in configuration, replaced by the secret when a snapshot is planned
//! (kong-core B.5).
//!
//! Secrets live in environment variables. A reference names the vault `env` or a vault entity of that type, and a
//! resource: the variable is the vault's prefix and the resource in upper case, with `_` for `-`.

mod entities;
mod reference;

pub use entities::{Secrets, Warning, resolve_references};
pub use reference::{Reference, may_refer};

use serde_json::Value;
use std::collections::HashMap;
use tidegate_model::entities::Vault;

/// The only type of vault that this gateway has.
const ENV: &str = "env";

/// How environment variables are read; the process environment in production, a map in tests.
pub type Environment<'e> = dyn Fn(&str) -> Option<String> + 'e;

/// The vaults that references can name.
pub struct Vaults<'e> {
    environment: &'e Environment<'e>,
    /// Prefix of variables by prefix of the vault entity; `Err` holds the type of a vault that is not supported.
    by_prefix: HashMap<String, Result<String, String>>,
    is_enabled: bool,
}

impl<'e> Vaults<'e> {
    /// Only the vault `env`: for settings, which are read before any entity.
    #[must_use]
    pub fn environment_only(environment: &'e Environment<'e>) -> Self {
        Self {
            environment,
            by_prefix: HashMap::new(),
            is_enabled: true,
        }
    }

    /// The vault `env` and vault entities.
    #[must_use]
    pub fn new(environment: &'e Environment<'e>, entities: &[Vault]) -> Self {
        let by_prefix = entities.iter().map(|vault| {
            let prefix = vault
                .config
                .as_ref()
                .and_then(|config| config.get("prefix"))
                .and_then(Value::as_str);
            let prefix = if vault.name == ENV {
                Ok(prefix.unwrap_or_default().to_owned())
            } else {
                Err(vault.name.clone())
            };
            (vault.prefix.clone(), prefix)
        });
        Self {
            environment,
            by_prefix: by_prefix.collect(),
            is_enabled: true,
        }
    }

    /// Puts `prefix` in front of the variables of the vault `env`, unless a vault entity is called `env` too: the
    /// setting `vault_env_prefix`.
    #[must_use]
    pub fn with_env_prefix(mut self, prefix: &str) -> Self {
        self.by_prefix
            .entry(ENV.to_owned())
            .or_insert_with(|| Ok(prefix.to_owned()));
        self
    }

    /// Refuses every reference: the setting `vaults` does not list `env`.
    #[must_use]
    pub fn disabled(mut self) -> Self {
        self.is_enabled = false;
        self
    }

    /// The secret that a reference leads to.
    ///
    /// # Errors
    /// Why there is none, in words that hold no secret.
    pub fn fetch(&self, reference: &Reference) -> Result<String, String> {
        if !self.is_enabled {
            return Err("the vault 'env' is not enabled; add it to the `vaults` setting".to_owned());
        }
        let variable = self.variable(reference)?;
        let secret = (self.environment)(&variable)
            .ok_or_else(|| format!("environment variable {variable} is not set"))?;
        match &reference.key {
            None => Ok(secret),
            Some(key) => member(&secret, key).ok_or_else(|| {
                format!("environment variable {variable} is not a JSON object with the text '{key}'")
            }),
        }
    }

    fn variable(&self, reference: &Reference) -> Result<String, String> {
        let configured = match self.by_prefix.get(&reference.vault) {
            Some(Ok(prefix)) => prefix.as_str(),
            Some(Err(kind)) => return Err(format!("vaults of type '{kind}' are not supported")),
            None if reference.vault == ENV => "",
            None => return Err(format!("there is no vault '{}'", reference.vault)),
        };
        let prefix = reference.option("prefix").unwrap_or(configured);
        let mut variable = format!("{prefix}{}", reference.resource)
            .to_ascii_uppercase()
            .replace('-', "_");
        if reference.version == Some(2) {
            variable.push_str("_PREVIOUS");
        }
        Ok(variable)
    }
}

fn member(secret: &str, key: &str) -> Option<String> {
    match serde_json::from_str::<Value>(secret).ok()?.get(key)? {
        Value::String(text) => Some(text.clone()),
        _ => None,
    }
}

/// What became of a text that may be a reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resolved {
    /// The text is no reference: it stays.
    Plain,
    /// The secret.
    Secret(String),
    /// A reference that leads nowhere, and why; the reason holds no secret.
    Missing(String),
}

/// Resolves a text that is a reference as a whole.
#[must_use]
pub fn resolve(text: &str, vaults: &Vaults<'_>) -> Resolved {
    match Reference::parse(text) {
        None => Resolved::Plain,
        Some(Ok(reference)) => vaults
            .fetch(&reference)
            .map_or_else(Resolved::Missing, Resolved::Secret),
        Some(Err(reason)) => Resolved::Missing(reason),
    }
}

/// Replaces every reference inside a text; one that leads nowhere becomes empty, with a warning each. `None` when there
/// is none.
#[must_use]
pub fn resolve_embedded(text: &str, vaults: &Vaults<'_>) -> Option<(String, Vec<String>)> {
    let mut rest = text;
    let mut out = String::with_capacity(text.len());
    let mut reasons = Vec::new();
    let mut found = false;
    while let Some((before, candidate, after)) = reference::next(rest) {
        out.push_str(before);
        found = true;
        match resolve(candidate, vaults) {
            Resolved::Secret(secret) => out.push_str(&secret),
            Resolved::Missing(reason) => reasons.push(reason),
            Resolved::Plain => out.push_str(candidate),
        }
        rest = after;
    }
    out.push_str(rest);
    found.then_some((out, reasons))
}

#[cfg(test)]
mod tests;
