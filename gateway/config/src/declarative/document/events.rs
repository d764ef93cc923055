//! What YAML and JSON have in common: a stream of events with byte offsets.

use std::borrow::Cow;

/// How a scalar was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    /// Unquoted: its text decides whether it is a number, a boolean, null or text.
    Plain,
    /// Quoted or block: text.
    Text,
}

/// Which type an explicit tag asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tag {
    Text,
    Integer,
    Float,
    Boolean,
    Null,
}

/// One step through a document. Anchor 0 means none.
#[derive(Debug)]
pub(super) enum Event<'s> {
    Map {
        anchor: usize,
    },
    MapEnd,
    List {
        anchor: usize,
    },
    ListEnd,
    Scalar {
        text: Cow<'s, str>,
        style: Style,
        tag: Option<Tag>,
        anchor: usize,
    },
    Alias {
        anchor: usize,
    },
    /// An alias without an anchor before it; it stands for a value.
    UnknownAlias {
        name: Cow<'s, str>,
    },
    /// The document is over; nothing but blanks and comments may follow.
    End,
}

/// Something wrong with the text itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::declarative) struct ParseFault {
    /// Byte offset into the text.
    pub offset: usize,
    pub message: String,
    pub hint: Option<String>,
    /// For a repeated key: where it stands first, when positions are recorded.
    pub first_offset: Option<usize>,
}

impl ParseFault {
    pub(super) fn new(offset: usize, message: impl Into<String>) -> Self {
        Self {
            offset,
            message: message.into(),
            hint: None,
            first_offset: None,
        }
    }

    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// A parser. An error ends the stream.
pub(super) trait Events<'s> {
    /// The next event and the byte offset at which it starts.
    fn next_event(&mut self) -> Result<(Event<'s>, usize), ParseFault>;
}
