//! Header maps.

use super::ineffective;
use crate::abi::guest::{Guest, Out, Span};
use crate::abi::maps::{self, Map};
use crate::abi::pairs::{self, Encoder};
use crate::abi::state::State;
use crate::abi::status::{Answer, Fail, Status};
use crate::module::AbiVersion;

pub(crate) fn size(guest: &mut Guest<'_, '_>, map: i32, out: u32) -> Answer {
    let (_, length) = maps::read(guest.state(), map, |map| map.measure())?;
    guest.write_u32(out, u32::try_from(length).map_err(|_| Status::InternalFailure)?)
}

pub(crate) fn pairs(guest: &mut Guest<'_, '_>, map: i32, out: Out) -> Answer {
    let (count, length) = maps::read(guest.state(), map, |map| map.measure())?;
    guest.give_with(length, out, |memory, state| {
        maps::read(state, map, |map| encode(&map, memory, count))?
    })
}

/// Fails when the guest's allocator changed the map meanwhile.
fn encode(map: &Map<'_>, memory: &mut [u8], count: usize) -> Answer {
    let changed = || Fail::Trap("the allocator changed the map".to_owned());
    let mut encoder = Encoder::new(memory, count).ok_or_else(changed)?;
    let mut fits = true;
    map.for_each(|key, value| fits &= encoder.push(key, value).is_some());
    if fits { Ok(()) } else { Err(changed()) }
}

pub(crate) fn set_pairs(guest: &mut Guest<'_, '_>, map: i32, bytes: Span) -> Answer {
    let (memory, state) = guest.parts();
    let pairs = pairs::decode(bytes.of(memory)?).ok_or(Status::BadArgument)?;
    let size: usize = pairs.iter().map(|(key, value)| key.len() + value.len()).sum();
    let options = &state.generation.options;
    if pairs.len() > options.max_headers || size > options.max_header_bytes {
        return Err(Status::BadArgument.into());
    }
    match maps::write(state, map, |mut map| map.replace(&pairs))? {
        Some(done) => done,
        None => ineffective(guest, "proxy_set_header_map_pairs"),
    }
}

pub(crate) fn get(guest: &mut Guest<'_, '_>, map: i32, key: Span, out: Out) -> Answer {
    let (memory, state) = guest.parts();
    let key = key.of(memory)?;
    let mut value = std::mem::take(&mut state.scratch);
    value.clear();
    let is_found = maps::read(state, map, |map| map.get(key, &mut value));
    state.scratch = value;
    // 0.1.0 knows no missing value, only an empty one.
    if !is_found? && state.abi != AbiVersion::V0_1_0 {
        return Err(Status::NotFound.into());
    }
    guest.give_scratch(out)
}

pub(crate) fn add(guest: &mut Guest<'_, '_>, map: i32, key: Span, value: Span) -> Answer {
    put(guest, map, key, value, false)
}

pub(crate) fn replace(guest: &mut Guest<'_, '_>, map: i32, key: Span, value: Span) -> Answer {
    put(guest, map, key, value, true)
}

fn put(guest: &mut Guest<'_, '_>, map: i32, key: Span, value: Span, replaces: bool) -> Answer {
    let (memory, state) = guest.parts();
    state.last_key = key.start;
    let (key, value) = (key.of(memory)?, value.of(memory)?);
    let (max_headers, max_bytes) = bounds(state);
    let done = maps::write(state, map, |mut map| {
        if !has_room(&map, key.len() + value.len(), max_headers, max_bytes) {
            return Err(Status::BadArgument.into());
        }
        map.put(key, value, replaces)
    })?;
    let name = if replaces {
        "proxy_replace_header_map_value"
    } else {
        "proxy_add_header_map_value"
    };
    done.unwrap_or_else(|| ineffective(guest, name))
}

fn bounds(state: &State) -> (usize, usize) {
    let options = &state.generation.options;
    (options.max_headers, options.max_header_bytes)
}

/// The bytes of a map are only summed up where they could matter: when the addition is large or the map is long.
fn has_room(map: &Map<'_>, more: usize, max_headers: usize, max_bytes: usize) -> bool {
    const ALWAYS_FINE: usize = 64;
    let fields = match map {
        Map::Request(x) => &x.request.headers,
        Map::Response(x) => &x.response.headers,
        Map::Fields(fields) => &**fields,
        Map::Answer(..) | Map::Absent => return true,
    };
    if fields.len() >= max_headers || more > max_bytes {
        return false;
    }
    if fields.len() < ALWAYS_FINE && more <= 1_024 && max_bytes >= 1 << 20 {
        return true;
    }
    let held: usize = fields
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len())
        .sum();
    held + more <= max_bytes
}

pub(crate) fn remove(guest: &mut Guest<'_, '_>, map: i32, key: Span) -> Answer {
    let (memory, state) = guest.parts();
    let key = key.of(memory)?;
    match maps::write(state, map, |mut map| map.remove(key))? {
        Some(()) => Ok(()),
        None => ineffective(guest, "proxy_remove_header_map_value"),
    }
}
