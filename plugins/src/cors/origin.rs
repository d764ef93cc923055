//! Which origins are allowed.

use http::HeaderValue;
use regex::Regex;
use std::borrow::Cow;
use tidegate_plugin::BuildError;
use tidegate_plugin::headers::private_copy;

/// The configured origins.
#[derive(Debug)]
pub(super) enum Origins {
    /// None configured, or `*` alone.
    All,
    /// One plain entry: named in every response, whoever asks.
    Fixed(HeaderValue),
    /// Anything else: the origin of the request decides.
    Listed(List),
}

/// Entries in order.
#[derive(Debug)]
pub(super) struct List(Vec<Entry>);

/// One entry of a list.
#[derive(Debug)]
pub(super) enum Entry {
    /// `*`.
    Any,
    /// A plain origin in normal form.
    Literal(String),
    /// A regular expression; without a colon it concerns the host alone.
    Regex { regex: Regex, is_about_host: bool },
}

/// An entry matched.
pub(super) enum Match {
    /// It was `*`.
    Any,
    /// The origin of the request in normal form.
    Origin(HeaderValue),
}

impl Origins {
    pub(super) fn new(entries: &[String]) -> Result<Self, BuildError> {
        let is_plain = |entry: &String| entry.bytes().all(is_plain_byte);
        match entries {
            [] => Ok(Self::All),
            [entry] if entry == "*" => Ok(Self::All),
            [entry] if is_plain(entry) => match HeaderValue::from_str(entry) {
                Ok(value) => Ok(Self::Fixed(value)),
                Err(_) => Err(refused(0, entry)),
            },
            entries => {
                let compiled = entries
                    .iter()
                    .enumerate()
                    .map(|(index, entry)| Entry::new(entry).map_err(|_| refused(index, entry)));
                Ok(Self::Listed(List(compiled.collect::<Result<_, _>>()?)))
            }
        }
    }
}

fn refused(index: usize, entry: &str) -> BuildError {
    BuildError {
        path: format!("config.origins[{index}]"),
        message: format!("'{entry}' is not a valid regex"),
    }
}

fn is_plain_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b':' | b'/' | b'-')
}

impl Entry {
    pub(super) fn new(entry: &str) -> Result<Self, regex::Error> {
        if entry == "*" {
            return Ok(Self::Any);
        }
        if entry.bytes().all(is_plain_byte) {
            return Ok(Self::Literal(Origin::parse(entry).normal.into_owned()));
        }
        let pattern = entry.strip_prefix('^').unwrap_or(entry);
        let regex = Regex::new(&format!(r"\A(?:{pattern})\z"))?;
        Ok(Self::Regex {
            regex,
            is_about_host: !entry.contains(':'),
        })
    }
}

impl List {
    /// The first entry that allows the origin.
    pub(super) fn find(&self, header: &HeaderValue) -> Option<Match> {
        let text = header.to_str().ok()?;
        let origin = Origin::parse(text);
        for entry in &self.0 {
            let matches = match entry {
                Entry::Any => return Some(Match::Any),
                Entry::Literal(literal) => *literal == origin.normal,
                Entry::Regex {
                    regex,
                    is_about_host: true,
                } => origin.host.is_some_and(|host| regex.is_match(host)),
                Entry::Regex {
                    regex,
                    is_about_host: false,
                } => regex.is_match(&origin.normal),
            };
            if matches {
                return Some(Match::Origin(match origin.normal {
                    Cow::Borrowed(_) => private_copy(header),
                    Cow::Owned(normal) => HeaderValue::try_from(normal).ok()?,
                }));
            }
        }
        None
    }
}

/// An origin taken apart.
struct Origin<'a> {
    /// `scheme://host[:port]` without the default port of http and https; without a host the text itself.
    normal: Cow<'a, str>,
    host: Option<&'a str>,
}

impl<'a> Origin<'a> {
    fn parse(text: &'a str) -> Self {
        let whole = Self {
            normal: Cow::Borrowed(text),
            host: None,
        };
        let Some((scheme, rest)) = text.split_once("://") else {
            return whole;
        };
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let authority = authority.rsplit('@').next().unwrap_or_default();
        let port_colon = match authority.rfind(']') {
            Some(bracket) => authority
                .get(bracket..)
                .and_then(|tail| tail.find(':'))
                .map(|colon| bracket + colon),
            None => authority.rfind(':'),
        };
        let (host, port) = match port_colon {
            Some(colon) => (
                authority.get(..colon).unwrap_or_default(),
                authority.get(colon + 1..),
            ),
            None => (authority, None),
        };
        if host.is_empty() || scheme.is_empty() {
            return whole;
        }
        let port = port.filter(|port| {
            let is_default = (scheme == "http" && *port == "80") || (scheme == "https" && *port == "443");
            !port.is_empty() && !is_default
        });
        let normal = match port {
            Some(port) => format!("{scheme}://{host}:{port}"),
            None => format!("{scheme}://{host}"),
        };
        let normal = if normal == text {
            Cow::Borrowed(text)
        } else {
            Cow::Owned(normal)
        };
        Self {
            normal,
            host: Some(host),
        }
    }
}
