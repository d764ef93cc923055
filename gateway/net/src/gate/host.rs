//! The Host field and the authority of an absolute target.

use std::net::Ipv6Addr;

/// Whether `host` is a usable `uri-host [ ":" port ]` (RFC 9110 section 7.2), without user information.
///
/// Stricter than nginx where it lets odd bytes through: percent-encoding, bytes from 0x80 on and ports that are no
/// number from 0 to 65,535 are refused. Two dots in a row are refused as by nginx.
pub(super) fn is_valid_host(host: &[u8]) -> bool {
    if let Some(literal) = host.strip_prefix(b"[") {
        let Some(close) = memchr::memchr(b']', literal) else {
            return false;
        };
        let (address, rest) = literal.split_at(close);
        return is_ipv6(address) && is_port_part(rest.get(1..).unwrap_or_default());
    }
    let name_len = memchr::memchr(b':', host).unwrap_or(host.len());
    let (name, rest) = host.split_at(name_len);
    !name.is_empty()
        && name.iter().all(|&byte| is_name_byte(byte))
        && !has_empty_label(name)
        && is_port_part(rest)
}

const fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'-' | b'.'
                | b'_'
                | b'~'
                | b'!'
                | b'$'
                | b'&'
                | b'\''
                | b'('
                | b')'
                | b'*'
                | b'+'
                | b','
                | b';'
                | b'='
        )
}

fn has_empty_label(name: &[u8]) -> bool {
    name.windows(2).any(|pair| pair == b"..")
}

fn is_ipv6(address: &[u8]) -> bool {
    str::from_utf8(address).is_ok_and(|text| text.parse::<Ipv6Addr>().is_ok())
}

/// Nothing, `:` or `:digits`.
fn is_port_part(rest: &[u8]) -> bool {
    let Some(digits) = rest.strip_prefix(b":") else {
        return rest.is_empty();
    };
    digits.len() <= 5
        && digits.iter().all(u8::is_ascii_digit)
        && digits
            .iter()
            .fold(0_u32, |port, digit| port * 10 + u32::from(digit - b'0'))
            <= 65_535
}

#[cfg(test)]
mod tests {
    use super::is_valid_host;

    #[test]
    fn names_addresses_and_ports_are_accepted() {
        for host in [
            "x.test",
            "x.test:",
            "x.test:65535",
            "1.2.3.4:80",
            "[::1]",
            "[2001:db8::1]:8000",
            "a_b",
            "x.test.",
        ] {
            assert!(is_valid_host(host.as_bytes()), "{host} is a host");
        }
    }

    #[test]
    fn empty_odd_and_user_carrying_hosts_are_refused() {
        for host in [
            "",
            ":80",
            "a b",
            "u@x.test",
            "x.test:65536",
            "x.test:8a",
            "x.test:1:2",
            "[::1",
            "[::g]",
            "[]",
            "[::1]x",
            "x..test",
            "x/y",
            "x?y",
            "x#y",
            "x\\y",
            "%41.test",
            "é.test",
            "x\ty",
            "x.test:000080",
        ] {
            assert!(!is_valid_host(host.as_bytes()), "{host:?} is no host");
        }
    }
}
