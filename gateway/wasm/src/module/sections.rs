//! Looks into custom sections, as far as they tell who made a module.

/// Whether the `producers` section names Rust as a language. Reads as far as the sections are well formed.
pub(super) fn is_made_by_rustc(wasm: &[u8]) -> bool {
    let Some(mut rest) = wasm.get(8..) else {
        return false;
    };
    while let Some((&id, after)) = rest.split_first() {
        let Some((length, after)) = unsigned(after) else {
            return false;
        };
        let Some((section, next)) = after.split_at_checked(length) else {
            return false;
        };
        if id == 0
            && let Some((name, body)) = text(section)
            && name == b"producers"
        {
            return names_rust(body).unwrap_or(false);
        }
        rest = next;
    }
    false
}

/// `producers`: fields, each with values, each with a version.
fn names_rust(body: &[u8]) -> Option<bool> {
    let (fields, mut rest) = unsigned(body)?;
    for _ in 0..fields {
        let (field, after) = text(rest)?;
        let (values, after) = unsigned(after)?;
        rest = after;
        for _ in 0..values {
            let (value, after) = text(rest)?;
            let (_version, after) = text(after)?;
            if field == b"language" && value == b"Rust" {
                return Some(true);
            }
            rest = after;
        }
    }
    Some(false)
}

fn text(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = unsigned(bytes)?;
    rest.split_at_checked(length)
}

/// An LEB128 number of 32 bits.
fn unsigned(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut value = 0_u64;
    for (index, byte) in bytes.iter().take(5).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Some((usize::try_from(value).ok()?, bytes.get(index + 1..)?));
        }
    }
    None
}
