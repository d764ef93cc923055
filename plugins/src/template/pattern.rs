//! Lua patterns as regular expressions that run in linear time.

use regex::bytes::{Regex, RegexBuilder};

/// A compiled pattern.
#[derive(Debug, Clone)]
pub(super) struct Pattern {
    pub(super) regex: Regex,
}

impl Pattern {
    /// Compiles a Lua pattern. The error names the form that is not supported.
    pub(super) fn new(pattern: &[u8]) -> Result<Self, String> {
        let mut out = String::from("(?s-u)");
        let mut rest = match pattern.strip_prefix(b"^") {
            Some(rest) => {
                out.push_str(r"\A");
                rest
            }
            None => pattern,
        };
        let mut open = 0_usize;
        while let Some((first, tail)) = rest.split_first() {
            rest = tail;
            match first {
                b'(' if rest.first() == Some(&b')') => return Err("position captures".to_owned()),
                b'(' => {
                    open += 1;
                    out.push('(');
                }
                b')' if open == 0 => return Err("an unmatched ')' in a pattern".to_owned()),
                b')' => {
                    open -= 1;
                    out.push(')');
                }
                b'$' if rest.is_empty() => out.push_str(r"\z"),
                first => {
                    rest = single(*first, rest, &mut out)?;
                    rest = quantifier(rest, &mut out);
                }
            }
        }
        if open > 0 {
            return Err("an unfinished capture in a pattern".to_owned());
        }
        let regex = RegexBuilder::new(&out).unicode(false).size_limit(1 << 20).build();
        regex
            .map(|regex| Self { regex })
            .map_err(|_| "a pattern of this size".to_owned())
    }
}

/// One character, class or set.
fn single<'p>(first: u8, rest: &'p [u8], out: &mut String) -> Result<&'p [u8], String> {
    match first {
        b'.' => out.push('.'),
        b'%' => {
            let Some((class, tail)) = rest.split_first() else {
                return Err("a pattern that ends in %".to_owned());
            };
            escaped(*class, out)?;
            return Ok(tail);
        }
        b'[' => return set(rest, out),
        literal => byte(literal, out),
    }
    Ok(rest)
}

fn quantifier<'p>(rest: &'p [u8], out: &mut String) -> &'p [u8] {
    match rest.split_first() {
        Some((b'-', tail)) => {
            out.push_str("*?");
            tail
        }
        Some((sign @ (b'*' | b'+' | b'?'), tail)) => {
            out.push(char::from(*sign));
            tail
        }
        _ => rest,
    }
}

fn escaped(class: u8, out: &mut String) -> Result<(), String> {
    match (class, members(class.to_ascii_lowercase())) {
        (b'b' | b'f', _) => return Err(format!("'%{}' in a pattern", char::from(class))),
        (digit, _) if digit.is_ascii_digit() => return Err("back references in a pattern".to_owned()),
        (class, Some(members)) if class.is_ascii_uppercase() => {
            out.push_str("[^");
            out.push_str(members);
            out.push(']');
        }
        (_, Some(members)) => {
            out.push('[');
            out.push_str(members);
            out.push(']');
        }
        (literal, None) => byte(literal, out),
    }
    Ok(())
}

/// Members of a character class such as `%a`.
fn members(class: u8) -> Option<&'static str> {
    Some(match class {
        b'a' => "A-Za-z",
        b'd' => "0-9",
        b'l' => "a-z",
        b's' => r" \t\n\r\x0b\x0c",
        b'u' => "A-Z",
        b'w' => "A-Za-z0-9",
        b'x' => "A-Fa-f0-9",
        b'p' => r"!-/:-@\[-`{-~",
        b'c' => r"\x00-\x1f\x7f",
        _ => return None,
    })
}

/// `[set]`, after its opening bracket. A bracket directly after it is a member, as in Lua.
fn set<'p>(rest: &'p [u8], out: &mut String) -> Result<&'p [u8], String> {
    out.push('[');
    let mut rest = match rest.strip_prefix(b"^") {
        Some(tail) => {
            out.push('^');
            tail
        }
        None => rest,
    };
    let mut is_first = true;
    loop {
        let Some((member, tail)) = rest.split_first() else {
            return Err("an unfinished set in a pattern".to_owned());
        };
        rest = tail;
        match (member, rest) {
            (b']', _) if !is_first => break,
            (b'%', [class, tail @ ..]) => {
                rest = tail;
                match members(class.to_ascii_lowercase()) {
                    Some(_) if class.is_ascii_uppercase() => {
                        escaped(*class, out)?;
                    }
                    Some(members) => out.push_str(members),
                    None => byte(*class, out),
                }
            }
            (low, [b'-', high, tail @ ..]) if *high != b']' => {
                if low > high {
                    return Err("an empty range in a pattern".to_owned());
                }
                byte(*low, out);
                out.push('-');
                byte(*high, out);
                rest = tail;
            }
            (literal, _) => byte(*literal, out),
        }
        is_first = false;
    }
    out.push(']');
    Ok(rest)
}

fn byte(literal: u8, out: &mut String) {
    if literal.is_ascii_alphanumeric() {
        out.push(char::from(literal));
    } else {
        out.push_str(&format!(r"\x{literal:02x}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lua_patterns_match_what_lua_matches() {
        for (pattern, text, expected) in [
            ("^Bearer%s+(.+)$", "Bearer  x.y", Some("x.y")),
            ("[^/]+$", "a/b/c", Some("c")),
            ("(%a+)=", "k1 key=v", Some("key")),
            ("<(.-)>", "<a><b>", Some("a")),
            ("-", "a-b", Some("-")),
            ("[]x]", "a]", Some("]")),
            ("[%w_-]+", "!a_b-c!", Some("a_b-c")),
            ("a.c", "a\nc", Some("a\nc")),
            ("%.", "a.b", Some(".")),
            ("x*", "abc", Some("")),
            ("^b", "ab", None),
            ("a$b", "a$b", Some("a$b")),
        ] {
            let pattern = Pattern::new(pattern.as_bytes()).expect(pattern);
            let found = pattern.regex.captures(text.as_bytes()).map(|captures| {
                captures
                    .get(1)
                    .or_else(|| captures.get(0))
                    .expect("group 0")
                    .as_bytes()
                    .to_vec()
            });
            assert_eq!(found.as_deref(), expected.map(str::as_bytes), "{text:?}");
        }
    }

    #[test]
    fn forms_outside_the_subset_are_named() {
        for (pattern, form) in [
            ("%b()", "'%b' in a pattern"),
            ("%f[%w]", "'%f' in a pattern"),
            ("(a)%1", "back references in a pattern"),
            ("()", "position captures"),
            ("[a", "an unfinished set in a pattern"),
            ("(a", "an unfinished capture in a pattern"),
            ("a%", "a pattern that ends in %"),
        ] {
            assert_eq!(Pattern::new(pattern.as_bytes()).expect_err(pattern), form);
        }
    }
}
