//! Rules for headers. Whether a header is there is asked of the response as it came, before any rule.

use super::Config;
use crate::entry;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue};
use smallvec::SmallVec;
use tidegate_plugin::headers::private_copy;
use tidegate_plugin::{BuildError, Source};

/// Header rules with interned names and finished values.
#[derive(Debug)]
pub(super) struct HeaderRules {
    remove: Vec<HeaderName>,
    rename: Vec<(HeaderName, HeaderName)>,
    replace: Vec<(HeaderName, HeaderValue)>,
    add: Vec<(HeaderName, HeaderValue)>,
    append: Vec<(HeaderName, HeaderValue)>,
    /// Some rule may set the content type, whose charset is then looked at.
    sets_content_type: bool,
}

type Lines = SmallVec<[HeaderValue; 1]>;

impl HeaderRules {
    pub(super) fn new(config: &Config) -> Result<Self, BuildError> {
        // A name that cannot be a header cannot be there either.
        let names = config
            .remove
            .headers
            .iter()
            .map(|entry| entry::split(entry).0.as_bytes());
        let mut rename = Vec::new();
        for entry in &config.rename.headers {
            if let (old, Some(new)) = entry::split(entry) {
                let path = "config.rename.headers";
                rename.push((entry::header_name(old, path)?, entry::header_name(new, path)?));
            }
        }
        let replace = pairs(&config.replace.headers, "config.replace.headers", false)?;
        let add = pairs(&config.add.headers, "config.add.headers", false)?;
        Ok(Self {
            remove: names
                .filter_map(|name| HeaderName::from_bytes(name).ok())
                .collect(),
            rename,
            sets_content_type: replace.iter().chain(&add).any(|(name, _)| name == CONTENT_TYPE),
            replace,
            add,
            append: pairs(&config.append.headers, "config.append.headers", true)?,
        })
    }

    pub(super) fn apply(&self, source: Source, headers: &mut HeaderMap) {
        let lines = |name: &HeaderName| headers.get_all(name).iter().cloned().collect::<Lines>();
        let renamed: SmallVec<[Lines; 2]> = self.rename.iter().map(|(old, _)| lines(old)).collect();
        let is_there = |(name, _): &(HeaderName, HeaderValue)| headers.contains_key(name);
        let replaced: SmallVec<[bool; 8]> = self.replace.iter().map(is_there).collect();
        let known: SmallVec<[bool; 8]> = self.add.iter().map(is_there).collect();
        let keeps_charset = self.sets_content_type && source == Source::Service;
        let charset = if keeps_charset { charset(headers) } else { None };

        for name in &self.remove {
            headers.remove(name);
        }
        for ((old, new), lines) in self
            .rename
            .iter()
            .zip(renamed)
            .filter(|(_, lines)| !lines.is_empty())
        {
            headers.remove(old);
            headers.remove(new);
            for line in lines {
                headers.append(new, line);
            }
        }
        for ((name, value), _) in self
            .replace
            .iter()
            .zip(replaced)
            .filter(|(_, is_there)| *is_there)
        {
            set(headers, name, value, charset.as_deref());
        }
        for ((name, value), _) in self.add.iter().zip(known).filter(|(_, is_there)| !is_there) {
            set(headers, name, value, charset.as_deref());
        }
        for (name, value) in &self.append {
            headers.append(name, private_copy(value));
        }
    }
}

/// A content type without parameters keeps the charset that the upstream named, as nginx does it for Kong.
fn set(headers: &mut HeaderMap, name: &HeaderName, value: &HeaderValue, charset: Option<&[u8]>) {
    let value = match charset {
        Some(charset) if name == CONTENT_TYPE && !value.as_bytes().contains(&b';') => {
            let full = [value.as_bytes(), b"; charset=", charset].concat();
            HeaderValue::from_maybe_shared(bytes::Bytes::from(full)).unwrap_or_else(|_| private_copy(value))
        }
        _ => private_copy(value),
    };
    headers.insert(name, value);
}

fn charset(headers: &HeaderMap) -> Option<Vec<u8>> {
    let value = headers.get(CONTENT_TYPE)?.as_bytes();
    value.split(|byte| *byte == b';').skip(1).find_map(|parameter| {
        let (name, value) = parameter.trim_ascii().split_at_checked("charset=".len())?;
        name.eq_ignore_ascii_case(b"charset=").then(|| value.to_vec())
    })
}

fn pairs(
    entries: &[String],
    path: &str,
    keeps_empty: bool,
) -> Result<Vec<(HeaderName, HeaderValue)>, BuildError> {
    let mut pairs = Vec::with_capacity(entries.len());
    for (index, entry) in entries.iter().enumerate() {
        let (name, value) = match entry::split(entry) {
            (name, Some(value)) => (name, value),
            (name, None) if keeps_empty => (name, ""),
            (_, None) => continue,
        };
        let path = format!("{path}[{index}]");
        let name = entry::header_name(name, &path)?;
        let value = HeaderValue::from_bytes(value.as_bytes()).map_err(|_| BuildError {
            path,
            message: "cannot be a header value".to_owned(),
        })?;
        pairs.push((name, value));
    }
    Ok(pairs)
}
