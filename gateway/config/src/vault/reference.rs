//! The grammar `{vault://<vault>/<resource>[/<key>][?option=value...][#version]}`.

const OPENING: &str = "{vault://";

/// Whether a document may hold a reference. A quick look: most hold none, and need no copy with secrets filled in.
#[must_use]
pub fn may_refer(document: &str) -> bool {
    document.contains(OPENING)
}

/// A parsed reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// Type of vault, or prefix of a vault entity.
    pub vault: String,
    /// What the vault is asked for.
    pub resource: String,
    /// Member of the secret, which is then a JSON object.
    pub key: Option<String>,
    /// Options that override the vault's own.
    pub options: Vec<(String, String)>,
    /// Version; 2 is the previous one.
    pub version: Option<u32>,
}

impl Reference {
    /// `None` when the text is no reference at all, an error when it is a malformed one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Result<Self, String>> {
        let inner = text.strip_prefix(OPENING)?.strip_suffix('}')?;
        Some(Self::parse_inner(inner).map_err(|reason| format!("{text} is not a valid reference: {reason}")))
    }

    fn parse_inner(inner: &str) -> Result<Self, &'static str> {
        let (rest, version) = match inner.split_once('#') {
            None => (inner, None),
            Some((rest, version)) => (
                rest,
                Some(version.parse().map_err(|_| "the version must be an integer")?),
            ),
        };
        let (address, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (vault, path) = address.split_once('/').ok_or("it names no resource")?;
        if vault.is_empty() {
            return Err("it names no vault");
        }
        let (resource, key) = match path.strip_suffix('/') {
            Some(resource) => (resource, None),
            None => match path.rsplit_once('/') {
                Some((resource, key)) => (resource, Some(decode(key)?)),
                None => (path, None),
            },
        };
        if resource.is_empty() {
            return Err("it names no resource");
        }
        let options = query
            .split('&')
            .filter(|option| !option.is_empty())
            .map(|option| {
                let (name, value) = option.split_once('=').unwrap_or((option, ""));
                Ok((decode(name)?, decode(value)?))
            });
        Ok(Self {
            vault: vault.to_owned(),
            resource: decode(resource)?,
            key,
            options: options.collect::<Result<_, &'static str>>()?,
            version,
        })
    }

    /// The value of an option.
    #[must_use]
    pub fn option(&self, name: &str) -> Option<&str> {
        self.options
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }
}

/// Undoes `%XX`.
fn decode(text: &str) -> Result<String, &'static str> {
    const BAD: &str = "a % must be followed by two hexadecimal digits";
    if !text.contains('%') {
        return Ok(text.to_owned());
    }
    let mut parts = text.split('%');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let (digits, rest) = part.split_at_checked(2).ok_or(BAD)?;
        if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(BAD);
        }
        bytes.push(u8::from_str_radix(digits, 16).map_err(|_| BAD)?);
        bytes.extend_from_slice(rest.as_bytes());
    }
    String::from_utf8(bytes).map_err(|_| "it is not UTF-8")
}

/// The first thing inside a text that looks like a reference, with what stands before and after it.
pub(super) fn next(text: &str) -> Option<(&str, &str, &str)> {
    let start = text.find(OPENING)?;
    let (before, rest) = text.split_at_checked(start)?;
    let (reference, after) = rest.split_at_checked(rest.find('}')? + 1)?;
    Some((before, reference, after))
}
