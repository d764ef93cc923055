//! Properties: facts of a request, its connection and the gateway, by path.
//!
//! Names and types are Envoy's; `kong.*`, `ngx.*` and `wasmx.*` are those of Kong's Wasm support and are always text.

mod envoy;
mod kong;

use super::ineffective;
use crate::abi::guest::{Guest, Out, Span};
use crate::abi::maps::Scratch;
use crate::abi::pairs;
use crate::abi::state::State;
use crate::abi::status::{Answer, Status};
use crate::generation::Generation;
use crate::options::PropertyEncoding;
use crate::scope;
use bytes::Bytes;
use http::HeaderMap;
use smallvec::SmallVec;
use std::borrow::Cow;
use std::str;
use tidegate_plugin::Exchange;

/// A property's value before it is written.
pub(super) enum Value<'x> {
    Text(Cow<'x, [u8]>),
    Int(i64),
    Uint(u64),
    Bool(bool),
    Fields(&'x HeaderMap),
}

impl<'x> Value<'x> {
    fn text(text: &'x str) -> Self {
        Self::Text(Cow::Borrowed(text.as_bytes()))
    }

    fn owned(text: String) -> Self {
        Self::Text(Cow::Owned(text.into_bytes()))
    }

    fn write(&self, encoding: PropertyEncoding, into: &mut Vec<u8>) {
        match (self, encoding) {
            (Self::Text(text), _) => into.extend_from_slice(text),
            (Self::Int(number), PropertyEncoding::Envoy) => into.extend_from_slice(&number.to_le_bytes()),
            (Self::Uint(number), PropertyEncoding::Envoy) => into.extend_from_slice(&number.to_le_bytes()),
            (Self::Bool(flag), PropertyEncoding::Envoy) => into.push(u8::from(*flag)),
            (Self::Int(number), PropertyEncoding::Text) => {
                into.extend_from_slice(number.to_string().as_bytes())
            }
            (Self::Uint(number), PropertyEncoding::Text) => {
                into.extend_from_slice(number.to_string().as_bytes())
            }
            (Self::Bool(flag), PropertyEncoding::Text) => into.extend_from_slice(flag.to_string().as_bytes()),
            (Self::Fields(map), _) => {
                let entries = map
                    .iter()
                    .map(|(name, value)| (name.as_str().as_bytes(), value.as_bytes()));
                into.extend_from_slice(&pairs::encode(&entries.collect::<Vec<_>>()));
            }
        }
    }
}

type Path<'p> = SmallVec<[&'p str; 6]>;

/// Longest path that is looked at.
const MAX_PATH: usize = 1_024;

/// The segments of a path, joined by NUL bytes; a trailing one is tolerated, and a single dotted string too. Header
/// names may hold dots: of those only the first two are taken apart.
fn parse(path: &[u8]) -> Option<Path<'_>> {
    let text = str::from_utf8(path.strip_suffix(&[0]).unwrap_or(path)).ok()?;
    if text.is_empty() || text.len() > MAX_PATH {
        return None;
    }
    if text.contains('\0') {
        return Some(text.split('\0').collect());
    }
    let limit = if text.starts_with("kong.") { usize::MAX } else { 3 };
    Some(text.splitn(limit, '.').collect())
}

pub(crate) fn get(guest: &mut Guest<'_, '_>, path: Span, out: Out) -> Answer {
    let (memory, state) = guest.parts();
    let path = path.of(memory)?;
    let mut value = std::mem::take(&mut state.scratch);
    value.clear();
    let is_found = find(state, path, &mut value);
    state.scratch = value;
    if !is_found {
        return Err(Status::NotFound.into());
    }
    guest.give_scratch(out)
}

fn find(state: &State, raw: &[u8], into: &mut Vec<u8>) -> bool {
    let Some(path) = parse(raw) else {
        return false;
    };
    let generation = &state.generation;
    let in_stream = scope::exchange(state.current, |x| {
        let stored = x
            .find_slot::<Scratch>()
            .and_then(|scratch| stored(scratch, raw, &path));
        if let Some(stored) = stored {
            into.extend_from_slice(stored);
            return true;
        }
        look_up(x, generation, &path, into)
    });
    in_stream.unwrap_or_else(|| {
        let value = of_plugin(generation, &path);
        if let Some(value) = &value {
            value.write(generation.options.property_encoding, into);
        }
        value.is_some()
    })
}

/// A property of an exchange as text, by a dotted path. `false`: there is none.
pub(crate) fn find_text(x: &Exchange, generation: &Generation, path: &str, into: &mut Vec<u8>) -> bool {
    let Some(path_parts) = parse(path.as_bytes()) else {
        return false;
    };
    let scratch = x.find_slot::<Scratch>();
    if let Some(stored) = scratch.and_then(|scratch| stored(scratch, path.as_bytes(), &path_parts)) {
        into.extend_from_slice(stored);
        return true;
    }
    let value = kong::get(x, generation, &path_parts)
        .or_else(|| envoy::get(x, &path_parts))
        .or_else(|| of_plugin(generation, &path_parts));
    if let Some(value) = &value {
        value.write(PropertyEncoding::Text, into);
    }
    value.is_some()
}

fn look_up(x: &Exchange, generation: &Generation, path: &[&str], into: &mut Vec<u8>) -> bool {
    if let Some(value) = kong::get(x, generation, path) {
        value.write(PropertyEncoding::Text, into);
        return true;
    }
    let value = envoy::get(x, path).or_else(|| of_plugin(generation, path));
    if let Some(value) = &value {
        value.write(generation.options.property_encoding, into);
    }
    value.is_some()
}

/// Facts that need no request.
fn of_plugin<'g>(generation: &'g Generation, path: &[&str]) -> Option<Value<'g>> {
    Some(match path {
        ["plugin_name"] => Value::text(&generation.name),
        ["plugin_root_id"] => Value::text(&generation.options.root_id),
        ["plugin_vm_id"] => Value::text(&generation.vm_id),
        ["listener_direction"] => Value::Int(1),
        ["node", "id"] | ["kong", "node", "id"] => Value::owned(generation.host.services.node_id.to_string()),
        ["kong", "version"] => Value::text(env!("CARGO_PKG_VERSION")),
        ["kong", "nginx", "subsystem"] => Value::text("http"),
        _ => return None,
    })
}

/// What a filter set, under the path itself and, as Envoy does it, under `wasm.<path>` and `filter_state.<path>`.
fn stored<'s>(scratch: &'s Scratch, raw: &[u8], path: &[&str]) -> Option<&'s [u8]> {
    if scratch.properties.is_empty() {
        return None;
    }
    let wanted = match path {
        ["wasm" | "filter_state" | "metadata", rest @ ..] if !rest.is_empty() => rest.join("."),
        _ => dotted(raw),
    };
    let find = |name: &str| {
        scratch
            .properties
            .iter()
            .find(|(key, _)| **key == *name.as_bytes())
    };
    find(&wanted).map(|(_, value)| &**value)
}

fn dotted(raw: &[u8]) -> String {
    String::from_utf8_lossy(raw.strip_suffix(&[0]).unwrap_or(raw)).replace('\0', ".")
}

pub(crate) fn set(guest: &mut Guest<'_, '_>, path: Span, value: Span) -> Answer {
    let (memory, state) = guest.parts();
    let (raw, value) = (path.of(memory)?, value.of(memory)?);
    let max = state.generation.options.max_header_bytes;
    let Some(path) = parse(raw) else {
        return Err(Status::BadArgument.into());
    };
    let done = scope::exchange(state.current, |x| match kong::set(x, &path, value) {
        Some(done) => done.map_err(Into::into),
        None => store(x, raw, value, max),
    });
    drop(path);
    match done {
        Some(done) => done,
        None => ineffective(guest, "proxy_set_property"),
    }
}

fn store(x: &mut Exchange, raw: &[u8], value: &[u8], max: usize) -> Answer {
    const MAX_PROPERTIES: usize = 256;
    let name = dotted(raw);
    let properties = &mut x.slot::<Scratch>().properties;
    let held: usize = properties
        .iter()
        .map(|(key, value)| key.len() + value.len())
        .sum();
    if held + name.len() + value.len() > max {
        return Err(Status::BadArgument.into());
    }
    if let Some(entry) = properties.iter_mut().find(|(key, _)| **key == *name.as_bytes()) {
        entry.1 = Bytes::copy_from_slice(value);
        return Ok(());
    }
    if properties.len() >= MAX_PROPERTIES {
        return Err(Status::BadArgument.into());
    }
    properties.push((Bytes::from(name), Bytes::copy_from_slice(value)));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn paths_are_joined_by_nul_or_dots() {
        let segments = |path: &[u8]| parse(path).map(|path| path.to_vec().join("/"));
        assert_eq!(segments(b"request\0path"), Some("request/path".to_owned()));
        assert_eq!(segments(b"request\0path\0"), Some("request/path".to_owned()));
        assert_eq!(
            segments(b"request.headers.x.y"),
            Some("request/headers/x.y".to_owned())
        );
        assert_eq!(
            segments(b"kong.service.response.status"),
            Some("kong/service/response/status".to_owned())
        );
        assert_eq!(segments(b"metadata\0a.b"), Some("metadata/a.b".to_owned()));
        assert_eq!(segments(b""), None);
        assert_eq!(segments(&[0xff]), None);
        assert_eq!(segments(&[b'a'; MAX_PATH + 1]), None);
    }

    proptest! {
        #[test]
        fn any_path_is_taken_apart_or_refused(path in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = parse(&path);
        }
    }
}
