//! Request headers by a configured name, as Kong finds them: `_` in the name also stands for `-`.

use http::{HeaderMap, HeaderName, HeaderValue};

/// A configured header name, parsed once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeaderLookup {
    name: HeaderName,
    /// The name with dashes, when it was written with underscores.
    dashed: Option<HeaderName>,
}

impl HeaderLookup {
    /// The name in any case; `None` when it is not a header name.
    #[must_use]
    pub fn new(name: &str) -> Option<Self> {
        let dashed = match name.contains('_') {
            true => Some(name.replace('_', "-").parse().ok()?),
            false => None,
        };
        Some(Self {
            name: name.parse().ok()?,
            dashed,
        })
    }

    /// The values of the header, in order.
    pub fn values<'h>(&self, headers: &'h HeaderMap) -> impl Iterator<Item = &'h HeaderValue> + use<'h> {
        let name = match &self.dashed {
            Some(dashed) if !headers.contains_key(&self.name) => dashed,
            _ => &self.name,
        };
        headers.get_all(name).into_iter()
    }

    /// Removes the header, under both spellings.
    pub fn remove(&self, headers: &mut HeaderMap) {
        headers.remove(&self.name);
        if let Some(dashed) = &self.dashed {
            headers.remove(dashed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn underscore_in_the_configured_name_also_finds_and_removes_the_dashed_header() {
        let lookup = HeaderLookup::new("Api_Key").unwrap();
        for sent in ["api-key", "api_key"] {
            let mut headers = HeaderMap::new();
            headers.append(HeaderName::try_from(sent).unwrap(), HeaderValue::from_static("k"));
            assert_eq!(lookup.values(&headers).count(), 1, "{sent}");
            lookup.remove(&mut headers);
            assert!(headers.is_empty(), "{sent}");
        }
        let dashed = HeaderLookup::new("api-key").unwrap();
        let headers =
            HeaderMap::from_iter([(HeaderName::from_static("api_key"), HeaderValue::from_static("k"))]);
        assert_eq!(dashed.values(&headers).count(), 0);
    }

    #[test]
    fn text_that_is_no_header_name_is_refused() {
        assert_eq!(HeaderLookup::new("hello\\world"), None);
    }
}
