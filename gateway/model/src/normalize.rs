//! Path normalisation of kong-core C.3, shared by validation, router and proxy.

use std::borrow::Cow;

#[cfg(test)]
mod tests;

/// Normalises a request path: decodes what is not reserved, removes dot segments, merges slashes. Works on bytes, since
/// decoded paths need not be UTF-8. Borrows when nothing changes.
///
/// The result is a fixed point. Kong's is not for stray `%` signs: there `%%41B` becomes `%AB`, which the next reader
/// decodes again; here a triplet stays as it is when decoding it would make a new one.
#[must_use]
pub fn normalize_path(path: &[u8]) -> Cow<'_, [u8]> {
    if is_normal(path) {
        return Cow::Borrowed(path);
    }
    let decoded = if path.contains(&b'%') {
        Cow::Owned(decode(path))
    } else {
        Cow::Borrowed(path)
    };
    if segments_are_normal(&decoded) {
        decoded
    } else {
        Cow::Owned(remove_segments(&decoded))
    }
}

/// Escapes a normalised path for the request line to the upstream (kong-core C.3, last paragraph).
#[must_use]
pub fn escape_path(path: &[u8]) -> Cow<'_, [u8]> {
    let mut bytes = path.iter().enumerate();
    let Some((first, _)) = bytes.find(|(_, byte)| !is_forwarded(**byte)) else {
        return Cow::Borrowed(path);
    };
    let mut escaped = Vec::with_capacity(path.len() + 16);
    let (clean, rest) = path.split_at(first);
    escaped.extend_from_slice(clean);
    for byte in rest {
        if is_forwarded(*byte) {
            escaped.push(*byte);
        } else {
            escaped.extend_from_slice(&[b'%', hex_digit(byte >> 4), hex_digit(byte & 0xf)]);
        }
    }
    Cow::Owned(escaped)
}

const fn hex_digit(nibble: u8) -> u8 {
    if nibble < 10 {
        b'0' + nibble
    } else {
        b'A' + nibble - 10
    }
}

/// RFC 3986 section 2.2 together with `%`: decoding one of these would change what the path means.
const fn is_reserved(byte: u8) -> bool {
    matches!(
        byte,
        b'!' | b'*'
            | b'\''
            | b'('
            | b')'
            | b';'
            | b':'
            | b'@'
            | b'&'
            | b'='
            | b'+'
            | b'$'
            | b','
            | b'/'
            | b'?'
            | b'%'
            | b'#'
            | b'['
            | b']'
    )
}

/// Bytes that go into the request line as they are.
#[allow(clippy::indexing_slicing, reason = "a byte cannot exceed a table of 256")]
const fn is_forwarded(byte: u8) -> bool {
    FORWARDED[byte as usize]
}

#[allow(clippy::indexing_slicing, reason = "a byte cannot exceed a table of 256")]
static FORWARDED: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0_u8;
    loop {
        table[byte as usize] =
            byte.is_ascii_alphanumeric() || is_reserved(byte) || matches!(byte, b'-' | b'_' | b'.' | b'~');
        if byte == u8::MAX {
            break;
        }
        byte += 1;
    }
    table
};

/// Whether the path needs no change: no `%`, no `//`, no dot segment.
///
/// The two folds have no early exit so that they compile to vector code; most paths end here.
fn is_normal(path: &[u8]) -> bool {
    let rest = path.get(1..).unwrap_or_default();
    let triplets = path.iter().fold(false, |any, byte| any | (*byte == b'%'));
    let suspects = path.iter().zip(rest).fold(false, |any, (byte, next)| {
        any | ((*byte == b'/') & ((*next == b'/') | (*next == b'.')))
    });
    !triplets && ((!suspects && path.first() == Some(&b'/')) || segments_are_normal(path))
}

/// Whether no segment is empty or made of dots. Targets such as `*` and `a/b` reach this function too: they have a first
/// segment ahead of the first slash. The empty segment at the very end is the trailing slash, which stays.
fn segments_are_normal(path: &[u8]) -> bool {
    let mut segments = path.split(|byte| *byte == b'/');
    if segments.next().is_some_and(is_dots) {
        return false;
    }
    let mut segments = segments.peekable();
    while let Some(segment) = segments.next() {
        if is_dots(segment) || (segment.is_empty() && segments.peek().is_some()) {
            return false;
        }
    }
    true
}

fn is_dots(segment: &[u8]) -> bool {
    matches!(segment, b"." | b"..")
}

/// One pass over the triplets: those of reserved bytes stay, in upper case.
fn decode(path: &[u8]) -> Vec<u8> {
    let mut output = Vec::with_capacity(path.len());
    let mut rest = path;
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        let value = match after {
            [high, low, ..] if *byte == b'%' => hex_value(*high).zip(hex_value(*low)),
            _ => None,
        };
        let Some((high, low)) = value else {
            output.push(*byte);
            continue;
        };
        let decoded = high << 4 | low;
        if is_reserved(decoded) || would_complete_triplet(&output, decoded) {
            output.extend_from_slice(&[b'%', hex_digit(high), hex_digit(low)]);
        } else {
            output.push(decoded);
        }
        rest = after.get(2..).unwrap_or_default();
    }
    output
}

/// Whether the byte stands where a `%` that belongs to no triplet would take it for one of its digits. Triplets that
/// were kept are three bytes long, so a `%` among the last two is such a stray one.
fn would_complete_triplet(output: &[u8], byte: u8) -> bool {
    byte.is_ascii_hexdigit() && matches!(output, [.., b'%'] | [.., b'%', _])
}

const fn hex_value(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

/// Drops `.` and empty segments; `..` takes the segment before it along. Nothing climbs above the root.
fn remove_segments(path: &[u8]) -> Vec<u8> {
    let mut output = Vec::with_capacity(path.len());
    let mut segments = path.split(|byte| *byte == b'/').peekable();
    // What stands before the first slash: nothing, or the first segment of a relative path.
    let mut lead = segments.next().unwrap_or_default();
    while is_dots(lead) {
        lead = segments.next().unwrap_or_default();
    }
    output.extend_from_slice(lead);
    while let Some(segment) = segments.next() {
        let is_last = segments.peek().is_none();
        match segment {
            b"." => {}
            b".." => output.truncate(output.iter().rposition(|byte| *byte == b'/').unwrap_or(0)),
            b"" if !is_last => continue,
            _ => {
                output.push(b'/');
                output.extend_from_slice(segment);
                continue;
            }
        }
        if is_last {
            output.push(b'/');
        }
    }
    output
}
