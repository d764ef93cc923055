//! Byte offsets to lines and columns.

use super::Excerpt;

/// Characters of a line that are shown at most.
const EXCERPT_WIDTH: usize = 110;
/// Of those, before the column that is meant.
const EXCERPT_BEFORE: usize = 70;

/// An index of the lines of a text. Made once for all faults of a file.
pub(crate) struct Lines<'t> {
    text: &'t [u8],
    starts: Vec<usize>,
}

impl<'t> Lines<'t> {
    pub(crate) fn new(text: &'t [u8]) -> Self {
        let breaks = text
            .iter()
            .enumerate()
            .filter(|(_, byte)| **byte == b'\n')
            .map(|(at, _)| at + 1);
        Self {
            text,
            starts: std::iter::once(0).chain(breaks).collect(),
        }
    }

    /// The line number from 0 and the bytes before the offset in it.
    fn line_of(&self, offset: usize) -> (usize, &'t [u8]) {
        let offset = offset.min(self.text.len());
        let line = self
            .starts
            .partition_point(|start| *start <= offset)
            .saturating_sub(1);
        let start = self.starts.get(line).copied().unwrap_or(0);
        (line, self.text.get(start..offset).unwrap_or_default())
    }

    /// Line and column in characters, both from 1.
    pub(crate) fn line_column(&self, offset: usize) -> (u32, u32) {
        let (line, before) = self.line_of(offset);
        let column = before.iter().filter(|byte| !is_continuation(**byte)).count() + 1;
        (number(line + 1), number(column))
    }

    /// The line around an offset, for showing.
    pub(crate) fn excerpt(&self, offset: usize) -> Option<Excerpt> {
        let (line, before) = self.line_of(offset);
        let start = self.starts.get(line).copied()?;
        let rest = self.text.get(start + before.len()..)?;
        let after = rest.split(|byte| *byte == b'\n').next().unwrap_or_default();
        // Only the bytes that can be shown are decoded: a line may be as long as the file.
        let head = before
            .get(before.len().saturating_sub(EXCERPT_BEFORE * 4)..)
            .unwrap_or_default();
        let tail = after
            .get(..after.len().min(EXCERPT_WIDTH * 4))
            .unwrap_or_default();
        let head: Vec<char> = String::from_utf8_lossy(head).chars().map(printable).collect();
        let shown_head: String = head
            .get(head.len().saturating_sub(EXCERPT_BEFORE)..)
            .unwrap_or_default()
            .iter()
            .collect();
        let is_cut = before.len() > shown_head.len();
        let caret = shown_head.chars().count() + if is_cut { 1 } else { 0 };
        let shown_tail: String = String::from_utf8_lossy(tail)
            .chars()
            .map(printable)
            .take(EXCERPT_WIDTH.saturating_sub(caret))
            .collect();
        let prefix = if is_cut { "…" } else { "" };
        Some(Excerpt {
            text: format!("{prefix}{shown_head}{}", shown_tail.trim_end()),
            caret,
        })
    }
}

const fn is_continuation(byte: u8) -> bool {
    byte & 0b1100_0000 == 0b1000_0000
}

fn printable(c: char) -> char {
    if c.is_control() { ' ' } else { c }
}

fn number(value: usize) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}
