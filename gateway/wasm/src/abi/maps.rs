//! Header maps as guests know them: with pseudo-headers, over the exchange's own types.

use super::names;
use super::state::{Delivery, Head, Moment, State};
use super::status::{Answer, Status};
use crate::scope;
use bytes::Bytes;
use http::header::HOST;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use std::borrow::Cow;
use tidegate_plugin::Exchange;

/// What filters keep in an exchange.
#[derive(Default)]
pub(crate) struct Scratch {
    /// `:path` was written: what goes upstream is what filters see.
    pub(crate) is_path_written: bool,
    /// Properties that filters set, by path.
    pub(crate) properties: Vec<(Bytes, Bytes)>,
    /// Details of a local response.
    pub(crate) details: Option<String>,
}

/// One of the ABI's maps.
pub(crate) enum Map<'x> {
    Request(&'x mut Exchange),
    Response(&'x mut Exchange),
    Fields(&'x mut HeaderMap),
    /// Headers of an answer: status, fields, and how the call failed.
    Answer(Option<StatusCode>, Option<&'x HeaderMap>, Option<&'static str>),
    Absent,
}

const REQUEST_HEADERS: i32 = 0;
const REQUEST_TRAILERS: i32 = 1;
const RESPONSE_HEADERS: i32 = 2;
const RESPONSE_TRAILERS: i32 = 3;
const GRPC_INITIAL_METADATA: i32 = 4;
const GRPC_TRAILING_METADATA: i32 = 5;
const CALL_HEADERS: i32 = 6;
const CALL_TRAILERS: i32 = 7;

/// Runs `act` on a map for reading.
pub(crate) fn read<R>(state: &mut State, map: i32, act: impl FnOnce(Map<'_>) -> R) -> Answer<R> {
    let current = state.current;
    Ok(match map {
        REQUEST_HEADERS | RESPONSE_HEADERS if has_head(state, map) => {
            let mut act = Some(act);
            let found = scope::exchange(current, |x| {
                let map = if map == REQUEST_HEADERS {
                    Map::Request(x)
                } else {
                    Map::Response(x)
                };
                act.take().map(|act| act(map))
            });
            match (found.flatten(), act) {
                (Some(result), _) => result,
                (None, Some(act)) => act(Map::Absent),
                (None, None) => return Err(Status::InternalFailure.into()),
            }
        }
        REQUEST_HEADERS | RESPONSE_HEADERS => act(Map::Absent),
        REQUEST_TRAILERS | RESPONSE_TRAILERS => act(trailers(state, map).map_or(Map::Absent, Map::Fields)),
        GRPC_INITIAL_METADATA..=CALL_TRAILERS => act(delivered(state.delivery.as_mut(), map)),
        _ => return Err(Status::BadArgument.into()),
    })
}

/// Whether the message of a map has begun. A stream that is over may be asked for the response that there was.
fn has_head(state: &mut State, map: i32) -> bool {
    let is_over = matches!(state.moment, Moment::Done | Moment::Log | Moment::Delete);
    state
        .current_stream()
        .is_some_and(|stream| map == REQUEST_HEADERS || is_over || stream.response.head != Head::Unseen)
}

/// Runs `act` on a map for writing. `None`: a write can have no effect in this moment.
pub(crate) fn write<R>(state: &mut State, map: i32, act: impl FnOnce(Map<'_>) -> R) -> Answer<Option<R>> {
    if !(REQUEST_HEADERS..=CALL_TRAILERS).contains(&map) {
        return Err(Status::BadArgument.into());
    }
    let Some(stream) = state.current_stream() else {
        return Ok(None);
    };
    let is_effective = match map {
        REQUEST_HEADERS => stream.request.head == Head::Held,
        RESPONSE_HEADERS => stream.response.head == Head::Held,
        REQUEST_TRAILERS | RESPONSE_TRAILERS => {
            let lane = if map == REQUEST_TRAILERS {
                &mut stream.request
            } else {
                &mut stream.response
            };
            let may_add = lane.is_body_open && lane.is_complete;
            if may_add && lane.trailers.is_none() {
                lane.trailers = Some(Box::default());
            }
            may_add || lane.is_trailers_open
        }
        _ => false,
    };
    if is_effective {
        read(state, map, act).map(Some)
    } else {
        Ok(None)
    }
}

fn trailers(state: &mut State, map: i32) -> Option<&mut HeaderMap> {
    let stream = state.current_stream()?;
    let lane = if map == REQUEST_TRAILERS {
        &mut stream.request
    } else {
        &mut stream.response
    };
    lane.trailers.as_deref_mut()
}

fn delivered(delivery: Option<&mut Delivery>, map: i32) -> Map<'_> {
    match (delivery, map) {
        (Some(Delivery::Http { response, error }), CALL_HEADERS) => match response {
            Some(response) => Map::Answer(Some(response.status), Some(&response.headers), None),
            None => Map::Answer(
                None,
                None,
                error
                    .as_ref()
                    .copied()
                    .map(super::calls::callouts::dispatch_status),
            ),
        },
        (Some(Delivery::Http { response, .. }), CALL_TRAILERS) => response
            .as_mut()
            .and_then(|response| response.trailers.as_mut())
            .map_or(Map::Absent, Map::Fields),
        (Some(Delivery::Grpc { metadata, .. }), GRPC_INITIAL_METADATA) => Map::Fields(metadata),
        (Some(Delivery::Grpc { trailers, .. }), GRPC_TRAILING_METADATA) => Map::Fields(trailers),
        _ => Map::Absent,
    }
}

impl Map<'_> {
    /// Calls `each` with every entry, pseudo-headers first.
    pub(crate) fn for_each(&self, mut each: impl FnMut(&[u8], &[u8])) {
        match self {
            Self::Request(x) => {
                each(b":authority", authority(x));
                each(b":scheme", x.request.scheme.as_bytes());
                each(b":method", x.upstream_method().as_str().as_bytes());
                each(b":path", path(x).as_bytes());
                for (name, value) in &x.request.headers {
                    if name != HOST {
                        each(name.as_str().as_bytes(), value.as_bytes());
                    }
                }
            }
            Self::Response(x) => {
                each(b":status", x.response.status.as_str().as_bytes());
                for (name, value) in &x.response.headers {
                    each(name.as_str().as_bytes(), value.as_bytes());
                }
            }
            Self::Fields(map) => {
                for (name, value) in &**map {
                    each(name.as_str().as_bytes(), value.as_bytes());
                }
            }
            Self::Answer(status, headers, failure) => {
                if let Some(status) = status {
                    each(b":status", status.as_str().as_bytes());
                }
                if let Some(failure) = failure {
                    each(b":dispatch_status", failure.as_bytes());
                }
                for (name, value) in headers.iter().copied().flatten() {
                    each(name.as_str().as_bytes(), value.as_bytes());
                }
            }
            Self::Absent => {}
        }
    }

    /// Entries and length of their encoding.
    pub(crate) fn measure(&self) -> (usize, usize) {
        let (mut count, mut length) = (0, 0);
        self.for_each(|key, value| {
            count += 1;
            length += 8 + key.len() + 1 + value.len() + 1;
        });
        (count, if count == 0 { 0 } else { length + 4 })
    }

    /// Appends the first value of a key to `into`. `false`: there is none.
    pub(crate) fn get(&self, key: &[u8], into: &mut Vec<u8>) -> bool {
        let value = match (self, key) {
            (Self::Request(x), b":authority" | b"host" | b"Host") => Cow::Borrowed(authority(x)),
            (Self::Request(x), b":scheme") => Cow::Borrowed(x.request.scheme.as_bytes()),
            (Self::Request(x), b":method") => Cow::Borrowed(x.upstream_method().as_str().as_bytes()),
            (Self::Request(x), b":path") => match path(x) {
                Cow::Borrowed(path) => Cow::Borrowed(path.as_bytes()),
                Cow::Owned(path) => Cow::Owned(path.into_bytes()),
            },
            (Self::Request(x), _) => return field(&x.request.headers, key, into),
            (Self::Response(x), b":status") => Cow::Borrowed(x.response.status.as_str().as_bytes()),
            (Self::Response(x), _) => return field(&x.response.headers, key, into),
            (Self::Fields(map), _) => return field(map, key, into),
            (Self::Answer(Some(status), ..), b":status") => Cow::Borrowed(status.as_str().as_bytes()),
            (Self::Answer(_, _, Some(failure)), b":dispatch_status") => Cow::Borrowed(failure.as_bytes()),
            (Self::Answer(_, Some(headers), _), _) => return field(headers, key, into),
            (Self::Answer(..) | Self::Absent, _) => return false,
        };
        into.extend_from_slice(&value);
        true
    }

    /// Adds a value, or puts it in place of all others of its key.
    pub(crate) fn put(&mut self, key: &[u8], value: &[u8], replaces: bool) -> Answer {
        if key.first() == Some(&b':')
            || (matches!(self, Self::Request(_)) && key.eq_ignore_ascii_case(b"host"))
        {
            return self.put_pseudo(key, value);
        }
        let name = names::parse(key).ok_or(Status::BadArgument)?;
        let value = HeaderValue::from_bytes(value).map_err(|_| Status::BadArgument)?;
        let Some(fields) = self.fields_mut() else {
            return Ok(());
        };
        let is_kept = if replaces {
            fields.try_insert(name, value).is_ok()
        } else {
            fields.try_append(name, value).is_ok()
        };
        if is_kept {
            Ok(())
        } else {
            Err(Status::BadArgument.into())
        }
    }

    fn put_pseudo(&mut self, key: &[u8], value: &[u8]) -> Answer {
        let text = || std::str::from_utf8(value).map_err(|_| Status::BadArgument);
        match (self, key) {
            (Self::Request(x), b":method") => {
                x.upstream.method = Some(Method::from_bytes(value).map_err(|_| Status::BadArgument)?);
            }
            (Self::Request(x), b":path") => set_path(x, text()?)?,
            // Which scheme goes upstream is the service's; a filter that writes it back unchanged is common.
            (Self::Request(_), b":scheme") => {}
            (Self::Request(x), _) if key == b":authority" || key.eq_ignore_ascii_case(b"host") => {
                x.upstream.host_header =
                    Some(HeaderValue::from_bytes(value).map_err(|_| Status::BadArgument)?);
            }
            (Self::Response(x), b":status") => {
                x.response.status = StatusCode::from_bytes(value).map_err(|_| Status::BadArgument)?;
            }
            _ => return Err(Status::BadArgument.into()),
        }
        Ok(())
    }

    /// Removes all values of a key; pseudo-headers stay.
    pub(crate) fn remove(&mut self, key: &[u8]) {
        if let (Some(fields), Ok(key)) = (self.fields_mut(), std::str::from_utf8(key)) {
            fields.remove(key);
        }
    }

    /// Puts `pairs` in place of all fields. Pseudo-headers that are not among them stay.
    pub(crate) fn replace(&mut self, pairs: &[(&[u8], &[u8])]) -> Answer {
        let mut checked = HeaderMap::new();
        let mut pseudo = Vec::new();
        let is_request = matches!(self, Self::Request(_));
        for (key, value) in pairs {
            if key.first() == Some(&b':') || (is_request && key.eq_ignore_ascii_case(b"host")) {
                pseudo.push((key, value));
            } else {
                Map::Fields(&mut checked).put(key, value, false)?;
            }
        }
        for (key, value) in pseudo {
            self.put_pseudo(key, value)?;
        }
        if let Some(fields) = self.fields_mut() {
            if is_request && let Some(host) = fields.remove(HOST) {
                checked.insert(HOST, host);
            }
            *fields = checked;
        }
        Ok(())
    }

    fn fields_mut(&mut self) -> Option<&mut HeaderMap> {
        match self {
            Self::Request(x) => Some(&mut x.request.headers),
            Self::Response(x) => Some(&mut x.response.headers),
            Self::Fields(map) => Some(map),
            Self::Answer(..) | Self::Absent => None,
        }
    }
}

fn field(map: &HeaderMap, key: &[u8], into: &mut Vec<u8>) -> bool {
    let value = std::str::from_utf8(key).ok().and_then(|key| map.get(key));
    if let Some(value) = value {
        into.extend_from_slice(value.as_bytes());
    }
    value.is_some()
}

pub(crate) fn authority(x: &Exchange) -> &[u8] {
    let host = x.upstream.host_header.as_ref().or(x.request.raw_host.as_ref());
    host.map_or(x.request.host.as_bytes(), HeaderValue::as_bytes)
}

/// Path and query: as received, or as a filter wrote them.
pub(crate) fn path(x: &Exchange) -> Cow<'_, str> {
    if !x
        .find_slot::<Scratch>()
        .is_some_and(|scratch| scratch.is_path_written)
    {
        return Cow::Borrowed(x.request.target.as_str());
    }
    match x.query() {
        Some(query) => Cow::Owned(format!("{}?{query}", x.upstream.path)),
        None => Cow::Borrowed(&x.upstream.path),
    }
}

pub(crate) fn set_path(x: &mut Exchange, target: &str) -> Answer {
    let is_target = target.starts_with('/') && target.parse::<http::uri::PathAndQuery>().is_ok();
    if !is_target {
        return Err(Status::BadArgument.into());
    }
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    x.set_upstream_path(path.to_owned());
    x.set_query(query.to_owned());
    x.slot::<Scratch>().is_path_written = true;
    Ok(())
}
