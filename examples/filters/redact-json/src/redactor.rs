//! Follows JSON byte by byte, however it is cut into chunks. Depth costs one bit on the heap per level, no stack.

use std::collections::BTreeSet;
use std::rc::Rc;

pub struct Redactor {
    members: Rc<BTreeSet<String>>,
    replacement: Rc<[u8]>,
    /// What is open around the place in hand: `true` for an object, `false` for an array.
    open: Vec<bool>,
    place: Place,
    /// The name in hand as it is written, without quotes.
    name: Vec<u8>,
}

#[derive(Clone, Copy)]
enum Place {
    /// Between tokens. `wants_name`: the next string is a member's name.
    Between { wants_name: bool },
    /// In a string, after a backslash or not.
    String { is_name: bool, is_escaped: bool },
    /// After the name of a member to be blanked, before its value.
    BeforeBlank,
    /// In the value that is left out: levels open in it, and whether in a string.
    Blank { depth: usize, string: Option<bool> },
    /// In a number or literal that is left out.
    BlankScalar,
}

/// More of a name is not looked at.
const MAX_NAME_BYTES: usize = 4_096;

impl Redactor {
    pub fn new(members: Rc<BTreeSet<String>>, replacement: Rc<[u8]>) -> Self {
        Self {
            members,
            replacement,
            open: Vec::new(),
            place: Place::Between { wants_name: false },
            name: Vec::new(),
        }
    }

    /// What goes on of a chunk.
    pub fn pass(&mut self, chunk: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(chunk.len());
        for &byte in chunk {
            self.place = match self.place {
                Place::Between { wants_name } => self.between(byte, wants_name, &mut out),
                Place::String { is_name, is_escaped } => self.string(byte, is_name, is_escaped, &mut out),
                Place::BeforeBlank => self.before_blank(byte, &mut out),
                Place::Blank { depth, string } => self.blank(byte, depth, string),
                Place::BlankScalar => match byte {
                    b',' | b'}' | b']' => self.between(byte, false, &mut out),
                    byte if byte.is_ascii_whitespace() => {
                        out.push(byte);
                        self.after_value()
                    }
                    _ => Place::BlankScalar,
                },
            };
        }
        out
    }

    fn between(&mut self, byte: u8, wants_name: bool, out: &mut Vec<u8>) -> Place {
        out.push(byte);
        let wants_name = match byte {
            b'{' => {
                self.open.push(true);
                true
            }
            b'[' => {
                self.open.push(false);
                false
            }
            b'}' | b']' => {
                self.open.pop();
                false
            }
            b',' => self.open.last() == Some(&true),
            b'"' => {
                self.name.clear();
                return Place::String {
                    is_name: wants_name,
                    is_escaped: false,
                };
            }
            _ => wants_name,
        };
        Place::Between { wants_name }
    }

    fn string(&mut self, byte: u8, is_name: bool, is_escaped: bool, out: &mut Vec<u8>) -> Place {
        out.push(byte);
        if byte == b'"' && !is_escaped {
            return if is_name && self.is_listed() {
                Place::BeforeBlank
            } else {
                self.after_value()
            };
        }
        if is_name && self.name.len() < MAX_NAME_BYTES {
            self.name.push(byte);
        }
        Place::String {
            is_name,
            is_escaped: byte == b'\\' && !is_escaped,
        }
    }

    /// Names may be written with escapes: `"p\u0061ssword"` is `password`.
    fn is_listed(&self) -> bool {
        let quoted = [b"\"", self.name.as_slice(), b"\""].concat();
        serde_json::from_slice::<String>(&quoted).is_ok_and(|name| self.members.contains(&name))
    }

    fn before_blank(&mut self, byte: u8, out: &mut Vec<u8>) -> Place {
        if byte == b':' || byte.is_ascii_whitespace() {
            out.push(byte);
            return Place::BeforeBlank;
        }
        out.extend_from_slice(&self.replacement);
        match byte {
            b'"' => Place::Blank {
                depth: 0,
                string: Some(false),
            },
            b'{' | b'[' => Place::Blank {
                depth: 1,
                string: None,
            },
            _ => Place::BlankScalar,
        }
    }

    /// `string`: in one, after a backslash or not.
    fn blank(&self, byte: u8, depth: usize, string: Option<bool>) -> Place {
        let (depth, string) = match (byte, string) {
            (b'"', Some(false)) => (depth, None),
            (_, Some(is_escaped)) => (depth, Some(byte == b'\\' && !is_escaped)),
            (b'"', None) => (depth, Some(false)),
            (b'{' | b'[', None) => (depth + 1, None),
            (b'}' | b']', None) => (depth.saturating_sub(1), None),
            (_, None) => (depth, None),
        };
        if depth == 0 && string.is_none() {
            self.after_value()
        } else {
            Place::Blank { depth, string }
        }
    }

    fn after_value(&self) -> Place {
        Place::Between { wants_name: false }
    }
}
