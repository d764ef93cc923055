//! What a row of the settings table says about one setting.

use super::choice::one_of;
use super::value::Value;

/// One setting.
#[derive(Debug, Clone, Copy)]
pub struct Definition {
    /// Name in the file; upper-case after `TIDEGATE_` or `KONG_` in the environment.
    pub name: &'static str,
    /// Title of the group it belongs to.
    pub group: &'static str,
    /// Text of the manual, one line each.
    pub doc: &'static [&'static str],
    /// Type, range, default and marks.
    pub spec: Spec,
    /// Tells whether a text is a legal value; the message says what is expected.
    pub check: fn(&str, &Spec) -> Result<(), String>,
}

impl Definition {
    /// The text of the manual as one paragraph.
    #[must_use]
    pub fn text(&self) -> String {
        self.doc
            .iter()
            .map(|line| line.trim())
            .collect::<Vec<_>>()
            .join(" ")
    }

    /// The first sentence of the text.
    #[must_use]
    pub fn summary(&self) -> String {
        let text = self.text();
        let end = text.find(". ").map_or(text.len(), |at| at + 1);
        text.get(..end).unwrap_or(&text).trim_end_matches('.').to_owned()
    }

    /// The name and every alias.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        std::iter::once(self.name).chain(self.spec.aliases.iter().copied())
    }
}

/// Type, range, default and marks of a setting.
#[derive(Debug, Clone, Copy)]
pub struct Spec {
    /// What the text means.
    pub kind: Kind,
    /// Text of the default; empty when there is none.
    pub default: &'static str,
    /// Other names, usually Kong's.
    pub aliases: &'static [&'static str],
    /// What `0` means when it is not simply a number of the range.
    pub zero: Option<&'static str>,
    /// Whether the value may be shown.
    pub secrecy: Secrecy,
    /// Whether this version acts on it.
    pub effect: Effect,
    /// Whether it bounds what somebody else may send, hold or take; the page of limits lists those.
    pub is_limit: bool,
}

/// What the text of a setting means.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// `on`, `off`, `true` or `false`.
    Switch,
    /// A whole number within bounds.
    Count(u64, u64),
    /// `auto` or a whole number within bounds.
    AutoOrCount(u64, u64),
    /// A number of bytes within bounds, with an optional `k`, `m` or `g`.
    Size(u64, u64),
    /// A time between bounds that are given in the unit, which is also the unit of a bare number.
    Time(TimeUnit, u64, u64),
    /// A number from 0 to 1.
    Ratio,
    /// One of the words.
    Choice(&'static [&'static str]),
    /// Any text; the manual shows the word.
    Text(&'static str),
    /// A list of such texts, separated by commas.
    List(&'static str),
    /// Addresses with flags, or `off`.
    Listen {
        /// Listeners of raw TCP, TLS and UDP traffic instead of HTTP.
        stream: bool,
    },
}

/// Unit of a time without suffix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeUnit {
    /// Milliseconds.
    Milliseconds,
    /// Seconds.
    Seconds,
}

/// Whether the value of a setting may be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Secrecy {
    /// Shown.
    Open,
    /// Shown when it is the path of a file, masked when it is the key itself.
    KeyMaterial,
    /// Never shown.
    Secret,
}

/// Whether this version acts on a setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// It does.
    Now,
    /// The name and value are checked; a later version acts on it.
    Later,
    /// The name and value are checked; Tidegate has no use for it.
    Never,
}

impl Effect {
    /// The sentence of the manual about it; empty when there is nothing to say.
    #[must_use]
    pub fn note(self) -> &'static str {
        match self {
            Self::Now => "",
            Self::Later => "Accepted, used by a later version.",
            Self::Never => "Accepted for compatibility, without effect.",
        }
    }
}

impl Spec {
    /// A setting of this kind with a default and no marks.
    #[must_use]
    pub const fn new(kind: Kind, default: &'static str) -> Self {
        Self {
            kind,
            default,
            aliases: &[],
            zero: None,
            secrecy: Secrecy::Open,
            effect: Effect::Now,
            is_limit: false,
        }
    }

    /// Adds other names.
    #[must_use]
    pub const fn alias(self, aliases: &'static [&'static str]) -> Self {
        Self { aliases, ..self }
    }

    /// Allows `0` with a meaning of its own.
    #[must_use]
    pub const fn zero(self, meaning: &'static str) -> Self {
        Self {
            zero: Some(meaning),
            ..self
        }
    }

    /// Marks a value that is never shown.
    #[must_use]
    pub const fn secret(self) -> Self {
        Self {
            secrecy: Secrecy::Secret,
            ..self
        }
    }

    /// Marks a value that is a key or the path of one.
    #[must_use]
    pub const fn key_material(self) -> Self {
        Self {
            secrecy: Secrecy::KeyMaterial,
            ..self
        }
    }

    /// Marks a bound on what somebody else may send, hold or take.
    #[must_use]
    pub const fn limit(self) -> Self {
        Self {
            is_limit: true,
            ..self
        }
    }

    /// Marks a setting for a later version.
    #[must_use]
    pub const fn later(self) -> Self {
        Self {
            effect: Effect::Later,
            ..self
        }
    }

    /// Marks a setting that is accepted only because Kong has it.
    #[must_use]
    pub const fn never(self) -> Self {
        Self {
            effect: Effect::Never,
            ..self
        }
    }

    /// What a value looks like, for messages and the manual: `a size from 1k to 1m, or 0 for no limit`.
    #[must_use]
    pub fn expectation(&self) -> String {
        let main = match self.kind {
            Kind::Switch => "`on` or `off`".to_owned(),
            Kind::Count(min, max) => format!("a whole number from {min} to {max}"),
            Kind::AutoOrCount(min, max) => format!("`auto` or a whole number from {min} to {max}"),
            Kind::Size(min, max) => format!(
                "a size in bytes from {} to {}, such as `8k` or `10m`",
                bytes(min),
                bytes(max)
            ),
            Kind::Time(unit, min, max) => time_expectation(unit, min, max),
            Kind::Ratio => "a number from 0 to 1".to_owned(),
            Kind::Choice(words) => one_of(words),
            Kind::Text(what) => what.to_owned(),
            Kind::List(what) => format!("{what}, separated by commas"),
            Kind::Listen { .. } => "`address:port [flag ...]`, separated by commas, or `off`".to_owned(),
        };
        match self.zero {
            Some(meaning) => format!("{main}, or 0 for {meaning}"),
            None => main,
        }
    }
}

impl Spec {
    /// The message for a text that does not fit; it shows the text unless it may be a secret.
    pub(super) fn refuse(&self, text: &str) -> String {
        match self.secrecy {
            Secrecy::Open => format!("expected {}, found `{text}`", self.expectation()),
            Secrecy::KeyMaterial | Secrecy::Secret => format!("expected {}", self.expectation()),
        }
    }
}

/// `size` with the largest unit that loses nothing: `8k`, `10m`, `1000`.
pub(super) fn bytes(size: u64) -> String {
    for (unit, suffix) in [(1 << 30, "g"), (1 << 20, "m"), (1 << 10, "k")] {
        if size >= unit && size.is_multiple_of(unit) {
            return format!("{}{suffix}", size / unit);
        }
    }
    size.to_string()
}

fn time_expectation(unit: TimeUnit, min: u64, max: u64) -> String {
    let name = match unit {
        TimeUnit::Milliseconds => "milliseconds",
        TimeUnit::Seconds => "seconds",
    };
    format!("{name} from {min} to {max}, or a time with a unit such as `500ms` or `1h`")
}

pub(super) const fn switch(default: &'static str) -> Spec {
    Spec::new(Kind::Switch, default)
}

pub(super) const fn count(default: &'static str, min: u64, max: u64) -> Spec {
    Spec::new(Kind::Count(min, max), default)
}

pub(super) const fn size(default: &'static str, min: u64, max: u64) -> Spec {
    Spec::new(Kind::Size(min, max), default)
}

pub(super) const fn seconds(default: &'static str, min: u64, max: u64) -> Spec {
    Spec::new(Kind::Time(TimeUnit::Seconds, min, max), default)
}

pub(super) const fn millis(default: &'static str, min: u64, max: u64) -> Spec {
    Spec::new(Kind::Time(TimeUnit::Milliseconds, min, max), default)
}

pub(super) const fn choice(default: &'static str, words: &'static [&'static str]) -> Spec {
    Spec::new(Kind::Choice(words), default)
}

pub(super) const fn text(default: &'static str, what: &'static str) -> Spec {
    Spec::new(Kind::Text(what), default)
}

pub(super) const fn path(default: &'static str) -> Spec {
    Spec::new(Kind::Text("the path of a file"), default)
}

pub(super) const fn list(default: &'static str, what: &'static str) -> Spec {
    Spec::new(Kind::List(what), default)
}

pub(super) const fn listen(default: &'static str) -> Spec {
    Spec::new(Kind::Listen { stream: false }, default)
}

/// The `check` of a definition whose field has type `T`.
pub(super) fn check<T: Value>(text: &str, spec: &Spec) -> Result<(), String> {
    T::read(text, spec).map(|_| ())
}
