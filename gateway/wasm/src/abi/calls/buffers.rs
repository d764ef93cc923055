//! Bodies, messages, configuration and arguments.

use super::ineffective;
use crate::abi::guest::{Guest, Out, Span};
use crate::abi::state::{Delivery, State};
use crate::abi::status::{Answer, Status};
use bytes::Bytes;
use tidegate_plugin::Direction;

const REQUEST_BODY: i32 = 0;
const RESPONSE_BODY: i32 = 1;
const DOWNSTREAM_DATA: i32 = 2;
const UPSTREAM_DATA: i32 = 3;
const CALL_BODY: i32 = 4;
const GRPC_MESSAGE: i32 = 5;
const VM_CONFIGURATION: i32 = 6;
const PLUGIN_CONFIGURATION: i32 = 7;
const FOREIGN_ARGUMENTS: i32 = 8;

/// The bytes of a buffer; sharing them costs no copy.
fn find(state: &mut State, buffer: i32) -> Answer<Bytes> {
    let bytes = match buffer {
        REQUEST_BODY | RESPONSE_BODY => {
            let direction = direction(buffer);
            let lane = state.current_stream().map(|stream| stream.lane(direction));
            lane.filter(|lane| lane.is_body_open)
                .map(|lane| lane.body.clone())
        }
        DOWNSTREAM_DATA | UPSTREAM_DATA => None,
        CALL_BODY => match &state.delivery {
            Some(Delivery::Http { response, .. }) => Some(
                response
                    .as_ref()
                    .map(|response| response.body.clone())
                    .unwrap_or_default(),
            ),
            _ => None,
        },
        GRPC_MESSAGE => match &state.delivery {
            Some(Delivery::Grpc { message, .. }) => Some(message.clone()),
            _ => None,
        },
        VM_CONFIGURATION => Some(state.generation.vm_configuration.clone()),
        PLUGIN_CONFIGURATION => Some(state.generation.configuration.clone()),
        FOREIGN_ARGUMENTS => Some(state.foreign_arguments.clone()),
        _ => return Err(Status::BadArgument.into()),
    };
    bytes.ok_or_else(|| Status::NotFound.into())
}

fn direction(buffer: i32) -> Direction {
    if buffer == REQUEST_BODY {
        Direction::Request
    } else {
        Direction::Response
    }
}

pub(crate) fn get(guest: &mut Guest<'_, '_>, buffer: i32, start: u32, max: u32, out: Out) -> Answer {
    let bytes = find(guest.state(), buffer)?;
    start.checked_add(max).ok_or(Status::BadArgument)?;
    let start = (start as usize).min(bytes.len());
    let end = start.saturating_add(max as usize).min(bytes.len());
    guest.give(bytes.get(start..end).unwrap_or_default(), out)
}

pub(crate) fn status(guest: &mut Guest<'_, '_>, buffer: i32, out_length: u32, out_flags: u32) -> Answer {
    let length = find(guest.state(), buffer)?.len();
    guest.write_u32(out_length, u32::try_from(length).unwrap_or(u32::MAX))?;
    guest.write_u32(out_flags, 0)
}

pub(crate) fn set(guest: &mut Guest<'_, '_>, buffer: i32, start: u32, size: u32, value: Span) -> Answer {
    if !(REQUEST_BODY..=FOREIGN_ARGUMENTS).contains(&buffer) {
        return Err(Status::BadArgument.into());
    }
    let (memory, state) = guest.parts();
    let value = value.of(memory)?;
    let max = state.generation.options.max_body_bytes;
    if matches!(buffer, REQUEST_BODY | RESPONSE_BODY)
        && let Some(lane) = state
            .current_stream()
            .map(|stream| stream.lane(direction(buffer)))
        && lane.is_body_open
    {
        let start = (start as usize).min(lane.body.len());
        let removed = (size as usize).min(lane.body.len() - start);
        if lane.body.len() - removed + value.len() > max {
            return Err(Status::BadArgument.into());
        }
        lane.splice(start, removed, value);
        return Ok(());
    }
    ineffective(guest, "proxy_set_buffer_bytes")
}

/// `proxy_get_configuration` of 0.1.0: the VM's while it starts, the plugin's otherwise.
pub(crate) fn configuration(guest: &mut Guest<'_, '_>, out: Out) -> Answer {
    let state = guest.state();
    let bytes = if state.moment == crate::abi::state::Moment::VmStart {
        state.generation.vm_configuration.clone()
    } else {
        state.generation.configuration.clone()
    };
    guest.give(&bytes, out)
}
