//! YAML 1.2 as events, on granit-parser.

use super::events::{Event, Events, ParseFault, Style, Tag};
use granit_parser::{Event as Raw, Parser, ScalarStyle, Span, StrInput};

/// A YAML reader of one document.
pub(super) struct YamlEvents<'s> {
    parser: Parser<'s, StrInput<'s>>,
    length: usize,
    documents: usize,
}

impl<'s> YamlEvents<'s> {
    /// `max_depth` bounds the parser's own stack too; one more, so that the builder's message is the one that is seen.
    pub(super) fn new(text: &'s str, max_depth: usize) -> Self {
        let mut options = granit_parser::options! {
            emit_unresolved_aliases: true,
            flow_nesting_limit: max_depth.saturating_add(1),
            block_nesting_limit: max_depth.saturating_add(1),
        };
        options.set_emit_comments(false);
        Self {
            parser: Parser::new_from_str_with_options(text, options),
            length: text.len(),
            documents: 0,
        }
    }

    fn offset(&self, span: &Span) -> usize {
        span.start.byte_offset().unwrap_or(self.length)
    }

    fn node(
        &mut self,
        raw: Raw<'s>,
        offset: usize,
        tag_offset: usize,
    ) -> Result<Option<Event<'s>>, ParseFault> {
        Ok(Some(match raw {
            Raw::MappingStart(_, anchor, tag) => {
                collection_tag(tag.as_deref(), "map", tag_offset)?;
                Event::Map { anchor }
            }
            Raw::SequenceStart(_, anchor, tag) => {
                collection_tag(tag.as_deref(), "seq", tag_offset)?;
                Event::List { anchor }
            }
            Raw::MappingEnd => Event::MapEnd,
            Raw::SequenceEnd => Event::ListEnd,
            Raw::Scalar(text, style, anchor, tag) => {
                let tag = scalar_tag(tag.as_deref(), tag_offset)?;
                let style = if style == ScalarStyle::Plain {
                    Style::Plain
                } else {
                    Style::Text
                };
                Event::Scalar {
                    text,
                    style,
                    tag,
                    anchor,
                }
            }
            Raw::Alias(anchor) => Event::Alias { anchor },
            Raw::UnresolvedAlias(name) => Event::UnknownAlias { name },
            Raw::StreamEnd => Event::End,
            Raw::DocumentStart(..) => {
                self.documents += 1;
                if self.documents > 1 {
                    let fault = ParseFault::new(offset, "more than one YAML document in the file");
                    return Err(fault
                        .hint("put all entities under one `_format_version`, or load the files one by one"));
                }
                return Ok(None);
            }
            _ => return Ok(None),
        }))
    }
}

impl<'s> Events<'s> for YamlEvents<'s> {
    fn next_event(&mut self) -> Result<(Event<'s>, usize), ParseFault> {
        loop {
            match self.parser.next_event() {
                None => return Ok((Event::End, self.length)),
                Some(Err(error)) => {
                    let offset = error.marker().byte_offset().unwrap_or(self.length);
                    return Err(ParseFault::new(offset, error.info()));
                }
                Some(Ok((raw, span))) => {
                    let offset = self.offset(&span);
                    let tag_offset = span
                        .tag_start()
                        .and_then(|start| start.byte_offset())
                        .unwrap_or(offset);
                    if let Some(event) = self.node(raw, offset, tag_offset)? {
                        return Ok((event, offset));
                    }
                }
            }
        }
    }
}

fn unsupported(tag: &granit_parser::Tag, offset: usize) -> ParseFault {
    ParseFault::new(offset, format!("unsupported YAML tag '{}'", tag.original()))
        .hint("only !!str, !!int, !!float, !!bool, !!null, !!map and !!seq have a meaning here")
}

fn collection_tag(tag: Option<&granit_parser::Tag>, wanted: &str, offset: usize) -> Result<(), ParseFault> {
    match tag {
        Some(tag) if tag.core_suffix() != Some(wanted) && tag.original() != "!" => {
            Err(unsupported(tag, offset))
        }
        _ => Ok(()),
    }
}

fn scalar_tag(tag: Option<&granit_parser::Tag>, offset: usize) -> Result<Option<Tag>, ParseFault> {
    let Some(tag) = tag else { return Ok(None) };
    match tag.core_suffix() {
        Some("str") => Ok(Some(Tag::Text)),
        Some("int") => Ok(Some(Tag::Integer)),
        Some("float") => Ok(Some(Tag::Float)),
        Some("bool") => Ok(Some(Tag::Boolean)),
        Some("null") => Ok(Some(Tag::Null)),
        _ if tag.original() == "!" => Ok(Some(Tag::Text)),
        _ => Err(unsupported(tag, offset)),
    }
}
