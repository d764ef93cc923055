//! Host names and addresses with an optional port, as Kong reads them (kong-core A.1).

use std::net::Ipv6Addr;

/// A host with an optional port, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostPort {
    /// What the host is.
    pub kind: HostKind,
    /// A name as it was written; an IPv4 address without leading zeros; an IPv6 address in full, without brackets.
    pub host: String,
    /// The port, when there is one.
    pub port: Option<u16>,
}

/// What a host is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostKind {
    /// A name.
    Name,
    /// An IPv4 address.
    Ipv4,
    /// An IPv6 address.
    Ipv6,
}

/// Why a text is not a host. The display form is the text shown to the user.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HostError {
    /// The port is above 65535.
    #[error("invalid port number")]
    Port,
    /// Not a host name.
    #[error("invalid hostname: {0}")]
    Name(String),
    /// Digits and dots only, yet not an address.
    #[error("invalid ipv4 address: {0}")]
    Ipv4(String),
    /// More than one colon, yet not an address.
    #[error("invalid ipv6 address: {0}")]
    Ipv6(String),
}

impl HostPort {
    /// Takes `name`, `name:port`, `1.2.3.4`, `1.2.3.4:port`, `::1`, `[::1]` or `[::1]:port` apart.
    ///
    /// # Errors
    /// When it is none of these.
    pub fn parse(text: &str) -> Result<Self, HostError> {
        if text.bytes().filter(|byte| *byte == b':').count() > 1 {
            return ipv6(text);
        }
        let is_digits = |byte: u8| byte.is_ascii_digit() || byte == b'.';
        let mut without_colon = text.bytes().filter(|byte| *byte != b':').peekable();
        if without_colon.peek().is_some() && without_colon.all(is_digits) {
            return ipv4(text);
        }
        name(text)
    }

    /// The form in which targets are stored: the given port added when there is none, IPv6 in full and bracketed.
    #[must_use]
    pub fn with_default_port(&self, port: u16) -> String {
        let port = self.port.unwrap_or(port);
        match self.kind {
            HostKind::Ipv6 => format!("[{}]:{port}", self.host),
            HostKind::Name | HostKind::Ipv4 => format!("{}:{port}", self.host),
        }
    }
}

fn ipv4(text: &str) -> Result<HostPort, HostError> {
    let invalid = || HostError::Ipv4(text.to_owned());
    let (address, port) = match text.split_once(':') {
        Some((address, digits)) => (address, Some(digits)),
        None => (text, None),
    };
    let mut octets = [0_u8; 4];
    let mut parts = address.split('.');
    for octet in &mut octets {
        let part = parts
            .next()
            .filter(|part| (1..=3).contains(&part.len()))
            .ok_or_else(invalid)?;
        *octet = part.parse().map_err(|_| invalid())?;
    }
    if parts.next().is_some() || port.is_some_and(|digits| !is_digits(digits)) {
        return Err(invalid());
    }
    let [a, b, c, d] = octets;
    Ok(HostPort {
        kind: HostKind::Ipv4,
        host: format!("{a}.{b}.{c}.{d}"),
        port: port.map(parse_port).transpose()?,
    })
}

fn ipv6(text: &str) -> Result<HostPort, HostError> {
    let invalid = || HostError::Ipv6(text.to_owned());
    let (address, port) = match text.strip_prefix('[') {
        None => (text, None),
        Some(rest) => {
            let (address, after) = rest.split_once(']').ok_or_else(invalid)?;
            match after.strip_prefix(':') {
                Some(digits) if is_digits(digits) => (address, Some(digits)),
                None if after.is_empty() => (address, None),
                _ => return Err(invalid()),
            }
        }
    };
    // The form with an embedded IPv4 address is not one of Kong's.
    let parsed: Ipv6Addr = Some(address)
        .filter(|address| !address.contains('.'))
        .ok_or_else(invalid)?
        .parse()
        .map_err(|_| invalid())?;
    let groups: Vec<String> = parsed
        .segments()
        .iter()
        .map(|group| format!("{group:04x}"))
        .collect();
    Ok(HostPort {
        kind: HostKind::Ipv6,
        host: groups.join(":"),
        port: port.map(parse_port).transpose()?,
    })
}

fn name(text: &str) -> Result<HostPort, HostError> {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, digits)) if is_digits(digits) => (host, Some(parse_port(digits)?)),
        _ => (text, None),
    };
    let is_name_byte = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    // Only the last label may be empty: a full name ends in a dot.
    let labels = host.strip_suffix('.').unwrap_or(host);
    let labels_hold = labels
        .split('.')
        .all(|label| !label.is_empty() && !label.ends_with('-'));
    if !host.bytes().all(is_name_byte) || !labels_hold {
        return Err(HostError::Name(text.to_owned()));
    }
    Ok(HostPort {
        kind: HostKind::Name,
        host: host.to_owned(),
        port,
    })
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn parse_port(digits: &str) -> Result<u16, HostError> {
    let significant = digits.trim_start_matches('0');
    if significant.is_empty() {
        Ok(0)
    } else {
        significant.parse().map_err(|_| HostError::Port)
    }
}

#[cfg(test)]
mod tests {
    use super::{HostKind, HostPort};

    fn parsed(text: &str) -> (HostKind, String, Option<u16>) {
        let host = HostPort::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        (host.kind, host.host, host.port)
    }

    #[test]
    fn names_and_addresses_are_taken_apart() {
        assert_eq!(parsed("a.test"), (HostKind::Name, "a.test".into(), None));
        assert_eq!(
            parsed("a_b-c.test.:80"),
            (HostKind::Name, "a_b-c.test.".into(), Some(80))
        );
        assert_eq!(
            parsed("-a.test"),
            (HostKind::Name, "-a.test".into(), None),
            "a label may begin with a hyphen"
        );
        assert_eq!(
            parsed("001.2.3.4:0080"),
            (HostKind::Ipv4, "1.2.3.4".into(), Some(80))
        );
        assert_eq!(
            parsed("::1"),
            (
                HostKind::Ipv6,
                "0000:0000:0000:0000:0000:0000:0000:0001".into(),
                None
            )
        );
        assert_eq!(
            parsed("[2001:DB8::1]:65535").1,
            "2001:0db8:0000:0000:0000:0000:0000:0001"
        );
        assert_eq!(parsed("[::1]").2, None);
    }

    #[test]
    fn what_is_no_host_is_refused_with_its_text() {
        let cases = [
            ("", "invalid hostname: "),
            ("a b", "invalid hostname: a b"),
            (".", "invalid ipv4 address: ."),
            ("a.:", "invalid hostname: a.:"),
            ("a..b", "invalid hostname: a..b"),
            ("a-.b", "invalid hostname: a-.b"),
            ("a:b", "invalid hostname: a:b"),
            ("a:", "invalid hostname: a:"),
            ("a.test:65536", "invalid port number"),
            ("1.2.3", "invalid ipv4 address: 1.2.3"),
            ("1.2.3.256", "invalid ipv4 address: 1.2.3.256"),
            ("1.2.3.4.5", "invalid ipv4 address: 1.2.3.4.5"),
            ("1.2.3.4:99999", "invalid port number"),
            ("1.2.3.4:", "invalid ipv4 address: 1.2.3.4:"),
            ("1:2:3", "invalid ipv6 address: 1:2:3"),
            ("::ffff:1.2.3.4", "invalid ipv6 address: ::ffff:1.2.3.4"),
            ("[::1", "invalid ipv6 address: [::1"),
            ("[::1]x", "invalid ipv6 address: [::1]x"),
            ("[::1]:70000", "invalid port number"),
        ];
        for (text, message) in cases {
            let error = HostPort::parse(text).expect_err(text);
            assert_eq!(error.to_string(), message, "{text}");
        }
    }

    #[test]
    fn the_stored_form_has_a_port_and_brackets() {
        let stored = |text| {
            HostPort::parse(text)
                .map(|host| host.with_default_port(8000))
                .unwrap()
        };
        assert_eq!(stored("a.test"), "a.test:8000");
        assert_eq!(stored("1.2.3.4:80"), "1.2.3.4:80");
        assert_eq!(stored("[::1]:80"), "[0000:0000:0000:0000:0000:0000:0000:0001]:80");
        assert_eq!(stored(&stored("::1")), stored("::1"));
    }
}
