//! Classes of bytes in a request head.

/// Nothing special.
pub(super) const PLAIN: u8 = 0;

/// Part of a token, but not of a header name that nginx forwards.
pub(super) const NAME_IGNORED: u8 = 1;
/// Never part of a header name.
pub(super) const NAME_BAD: u8 = 2;

/// Must be percent-encoded in one part of a target at least.
pub(super) const TARGET_ENCODE: u8 = 1;
/// A control byte.
pub(super) const TARGET_BAD: u8 = 2;
/// `%`, `.` or `#`: a closer look is needed.
pub(super) const TARGET_LOOK: u8 = 4;

const NAMES: [u8; 256] = names();
const TARGETS: [u8; 256] = targets();

/// All classes that occur in a header name, joined.
pub(super) fn name_classes(name: &[u8]) -> u8 {
    classes(&NAMES, name)
}

/// All classes that occur in a request target, joined.
pub(super) fn target_classes(target: &[u8]) -> u8 {
    classes(&TARGETS, target)
}

/// Part of a method as nginx reads it: upper-case letters, `_` and `-`.
pub(super) const fn is_method_byte(byte: u8) -> bool {
    matches!(byte, b'A'..=b'Z' | b'_' | b'-')
}

/// Part of a token (RFC 9110 section 5.6.2).
pub(super) const fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'!' | b'#'
                | b'$'
                | b'%'
                | b'&'
                | b'\''
                | b'*'
                | b'+'
                | b'-'
                | b'.'
                | b'^'
                | b'_'
                | b'`'
                | b'|'
                | b'~'
        )
}

/// A field value holds no control byte except the tab (RFC 9110 section 5.5).
pub(super) fn is_clean_value(value: &[u8]) -> bool {
    // Without a branch per byte, so that the loop becomes vector instructions.
    let mut bad = false;
    for &byte in value {
        bad |= ((byte < 0x20) & (byte != b'\t')) | (byte == 0x7f);
    }
    !bad
}

/// May stand as it is in the path of a URI that the HTTP library represents.
pub(super) const fn is_path_byte(byte: u8) -> bool {
    matches!(byte, 0x21 | 0x24..=0x3b | 0x3d | 0x40..=0x5f | 0x61..=0x7a | b'|' | b'~' | b'"' | b'{' | b'}')
}

/// May stand as it is in the query of a URI that the HTTP library represents.
pub(super) const fn is_query_byte(byte: u8) -> bool {
    matches!(byte, 0x21 | 0x24..=0x3b | 0x3d | 0x3f..=0x7e)
}

#[allow(clippy::indexing_slicing, reason = "a u8 cannot point past 256 entries")]
fn classes(table: &[u8; 256], bytes: &[u8]) -> u8 {
    bytes
        .iter()
        .fold(PLAIN, |seen, &byte| seen | table[usize::from(byte)])
}

#[allow(clippy::indexing_slicing, reason = "evaluated at compile time")]
const fn names() -> [u8; 256] {
    let mut table = [NAME_BAD; 256];
    let mut index = 0_u8;
    loop {
        if index.is_ascii_alphanumeric() || matches!(index, b'-' | b'_') {
            table[index as usize] = PLAIN;
        } else if is_token_byte(index) {
            table[index as usize] = NAME_IGNORED;
        }
        if index == u8::MAX {
            return table;
        }
        index += 1;
    }
}

#[allow(clippy::indexing_slicing, reason = "evaluated at compile time")]
const fn targets() -> [u8; 256] {
    let mut table = [TARGET_ENCODE; 256];
    let mut index = 0_u8;
    loop {
        table[index as usize] = match index {
            0..=0x20 | 0x7f => TARGET_BAD,
            b'%' | b'.' | b'#' => TARGET_LOOK,
            b'?' => PLAIN,
            _ if is_path_byte(index) && is_query_byte(index) => PLAIN,
            _ => TARGET_ENCODE,
        };
        if index == u8::MAX {
            return table;
        }
        index += 1;
    }
}
