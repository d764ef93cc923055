//! Which of several given values wins, and where each came from.

use super::environment::{Family, is_service_link, setting_of};
use super::fault::Fault;
use super::spec::{Definition, Effect, Secrecy};
use super::value::Value;
use super::values::holds_key_material;
use super::{Settings, file, table};
use crate::vault::{Resolved, Vaults, resolve};
use std::collections::HashMap;
use std::fmt;

/// Everything that may give settings.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// The settings file: its name for messages, and its text.
    pub file: Option<(String, String)>,
    /// The environment. Variables without one of our prefixes matter only to references.
    pub environment: Vec<(String, String)>,
    /// `name=value` pairs of the command line.
    pub flags: Vec<(String, String)>,
}

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// The table.
    Default,
    /// A line of the settings file.
    File {
        /// Name of the file.
        name: String,
        /// Line, from 1.
        line: usize,
    },
    /// An environment variable.
    Environment {
        /// Its name.
        variable: String,
    },
    /// The command line.
    Flag,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { name, line } => write!(f, "{name}, line {line}"),
            Self::Environment { variable } => write!(f, "environment variable {variable}"),
            Self::Flag => f.write_str("command line"),
        }
    }
}

/// The text that won for one setting.
#[derive(Clone)]
pub struct Effective {
    /// The setting.
    pub definition: &'static Definition,
    /// Where the text came from.
    pub origin: Origin,
    /// The text as written: a reference, not what it stands for.
    text: String,
}

impl Effective {
    /// The text as it may be shown: secrets are masked, references are not followed.
    #[must_use]
    pub fn shown(&self) -> &str {
        let is_reference = self.text.starts_with("{vault://");
        let masked = !self.text.is_empty()
            && !is_reference
            && match self.definition.spec.secrecy {
                Secrecy::Open => false,
                Secrecy::KeyMaterial => holds_key_material(&self.text),
                Secrecy::Secret => true,
            };
        if masked { "******" } else { &self.text }
    }
}

impl fmt::Debug for Effective {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} = {} ({})", self.definition.name, self.shown(), self.origin)
    }
}

/// One value that was given for a setting. Greater rank wins.
struct Given {
    definition: &'static Definition,
    rank: (Tier, bool),
    value: String,
    origin: Origin,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Tier {
    File,
    Kong,
    Tidegate,
    Flag,
}

/// The result of merging, from which the groups read their fields.
pub(super) struct Merged {
    pub(super) effective: Vec<Effective>,
    pub(super) faults: Vec<Fault>,
    pub(super) warnings: Vec<String>,
    /// Texts with references followed.
    resolved: HashMap<&'static str, String>,
}

impl Merged {
    /// Reads the winning text of a setting; a fault is kept when it does not fit.
    pub(super) fn take<T: Value>(&mut self, name: &'static str) -> Option<T> {
        let entry = self
            .effective
            .iter()
            .find(|entry| entry.definition.name == name)?;
        let text = self.resolved.get(name)?;
        match T::read(text, &entry.definition.spec) {
            Ok(value) => Some(value),
            Err(message) => {
                self.faults.push(Fault {
                    setting: name.to_owned(),
                    origin: entry.origin.clone(),
                    message,
                    hint: None,
                });
                None
            }
        }
    }
}

/// Collects what all sources give and picks the winner of each setting.
pub(super) fn merge(sources: &Sources) -> Merged {
    let mut collector = Collector::new();
    collector.file(sources);
    collector.environment(sources);
    for (name, value) in &sources.flags {
        collector.give(name, value, Tier::Flag, Origin::Flag);
    }
    let mut merged = collector.pick();
    follow_references(&mut merged, sources);
    warn_of_no_effect(&mut merged);
    merged
}

struct Collector {
    known: HashMap<&'static str, &'static Definition>,
    given: Vec<Given>,
    faults: Vec<Fault>,
    warnings: Vec<String>,
}

impl Collector {
    fn new() -> Self {
        let known = Settings::definitions()
            .flat_map(|d| d.names().map(move |name| (name, d)))
            .collect();
        Self {
            known,
            given: Vec::new(),
            faults: Vec::new(),
            warnings: Vec::new(),
        }
    }

    fn file(&mut self, sources: &Sources) {
        let Some((name, text)) = &sources.file else { return };
        let (assignments, bad) = file::parse(text);
        for bad in bad {
            self.faults.push(Fault {
                setting: bad.text,
                origin: Origin::File {
                    name: name.clone(),
                    line: bad.line,
                },
                message: "expected `name = value`".to_owned(),
                hint: None,
            });
        }
        for assignment in assignments {
            let origin = Origin::File {
                name: name.clone(),
                line: assignment.line,
            };
            self.give(&assignment.name, &assignment.value, Tier::File, origin);
        }
    }

    fn environment(&mut self, sources: &Sources) {
        for (variable, value) in &sources.environment {
            let Some((family, name)) = setting_of(variable) else {
                continue;
            };
            let is_known = self.known.contains_key(name.as_str()) || table::expand(&name, value).is_some();
            let origin = Origin::Environment {
                variable: variable.clone(),
            };
            match family {
                _ if is_known => {
                    let tier = if family == Family::Kong {
                        Tier::Kong
                    } else {
                        Tier::Tidegate
                    };
                    self.give(&name, value, tier, origin);
                }
                _ if is_service_link(&name, value) => {}
                Family::Tidegate => self.faults.push(unknown(&name, origin)),
                Family::Kong => {
                    let hint = nearest(&name)
                        .map(|near| format!("; did you mean `{near}`?"))
                        .unwrap_or_default();
                    self.warnings
                        .push(format!("{origin} names no setting and is ignored{hint}"));
                }
            }
        }
    }

    fn give(&mut self, name: &str, value: &str, tier: Tier, origin: Origin) {
        if let Some(expanded) = table::expand(name, value) {
            match expanded {
                Ok(parts) => {
                    for (part, value) in parts {
                        self.give_known(part, &value, (tier, false), origin.clone());
                    }
                }
                Err(message) => self.faults.push(Fault {
                    setting: name.to_owned(),
                    origin,
                    message,
                    hint: None,
                }),
            }
        } else if self.known.contains_key(name) {
            let is_own_name = self
                .known
                .get(name)
                .is_some_and(|definition| definition.name == name);
            self.give_known(name, value, (tier, is_own_name), origin);
        } else {
            self.faults.push(unknown(name, origin));
        }
    }

    fn give_known(&mut self, name: &str, value: &str, rank: (Tier, bool), origin: Origin) {
        let Some(definition) = self.known.get(name) else {
            return;
        };
        if !value.is_empty() {
            self.given.push(Given {
                definition,
                rank,
                value: value.to_owned(),
                origin,
            });
        }
    }

    fn pick(self) -> Merged {
        let mut winners: HashMap<&'static str, Given> = HashMap::new();
        let mut warnings = self.warnings;
        for given in self.given {
            let name = given.definition.name;
            if let Some(other) = winners.get(name) {
                if other.rank.0 == given.rank.0 && other.value != given.value {
                    let (kept, lost) = if given.rank >= other.rank {
                        (&given, other)
                    } else {
                        (other, &given)
                    };
                    warnings.push(format!(
                        "`{name}` is given twice: {} wins over {}",
                        kept.origin, lost.origin
                    ));
                }
                if given.rank < other.rank {
                    continue;
                }
            }
            winners.insert(name, given);
        }
        let mut effective = Vec::new();
        for definition in Settings::definitions() {
            effective.push(match winners.remove(definition.name) {
                Some(given) => Effective {
                    definition,
                    origin: given.origin,
                    text: given.value,
                },
                None => Effective {
                    definition,
                    origin: Origin::Default,
                    text: definition.spec.default.to_owned(),
                },
            });
        }
        Merged {
            effective,
            faults: self.faults,
            warnings,
            resolved: HashMap::new(),
        }
    }
}

/// Values may be references to environment variables (kong-core B.5); other vaults are entities, which come later.
fn follow_references(merged: &mut Merged, sources: &Sources) {
    let env_prefix = merged
        .effective
        .iter()
        .find(|entry| entry.definition.name == "vault_env_prefix");
    let env_prefix = env_prefix.map(|entry| entry.text.clone()).unwrap_or_default();
    let lookup = |variable: &str| {
        let mut all = sources.environment.iter();
        all.find(|(name, _)| name == variable)
            .map(|(_, value)| value.clone())
    };
    let vaults = Vaults::environment_only(&lookup).with_env_prefix(&env_prefix);
    for entry in &merged.effective {
        let name = entry.definition.name;
        let text = match resolve(&entry.text, &vaults) {
            Resolved::Plain => entry.text.clone(),
            Resolved::Secret(secret) => secret,
            Resolved::Missing(message) => {
                merged.faults.push(Fault {
                    setting: name.to_owned(),
                    origin: entry.origin.clone(),
                    message,
                    hint: None,
                });
                continue;
            }
        };
        merged.resolved.insert(name, text);
    }
}

/// A value that asks for something this version does not do deserves a word; `off` asks for nothing.
fn warn_of_no_effect(merged: &mut Merged) {
    for entry in &merged.effective {
        let spec = &entry.definition.spec;
        let asks = entry.text != spec.default && entry.text != "off";
        if spec.effect == Effect::Later && entry.origin != Origin::Default && asks {
            let name = entry.definition.name;
            merged.warnings.push(format!(
                "`{name}` ({}) is accepted, but has no effect in this version",
                entry.origin
            ));
        }
    }
}

fn unknown(name: &str, origin: Origin) -> Fault {
    let hint = match nearest(name) {
        Some(near) => Some(format!("did you mean `{near}`?")),
        None if name.starts_with("nginx_") => Some("raw nginx directives are not supported".to_owned()),
        None => None,
    };
    Fault {
        setting: name.to_owned(),
        origin,
        message: "there is no such setting".to_owned(),
        hint,
    }
}

/// The known name closest to `name`, when it is close enough to be a slip of the pen.
fn nearest(name: &str) -> Option<&'static str> {
    let tolerated = (name.len() / 4).clamp(1, 4);
    Settings::definitions()
        .flat_map(Definition::names)
        .map(|known| (strsim::damerau_levenshtein(name, known), known))
        .filter(|(distance, _)| *distance <= tolerated)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, known)| known)
}
