//! Bodies on their way through the filter.

use super::fields;
use crate::component::bindings::exchange::HostBody;
use crate::component::bindings::types::{Failure, Field};
use crate::component::desk::{self, Wait};
use crate::component::handles::Body;
use crate::component::lane::{Lane, TooLarge};
use crate::component::state::State;
use bytes::Bytes;
use std::future::poll_fn;
use std::result::Result as StdResult;
use std::task::Poll;
use tidegate_plugin::Direction;
use wasmtime::Result;
use wasmtime::component::Resource;

type Handle = Resource<Body>;
type Answer<T> = Result<StdResult<T, Failure>>;

fn direction(handle: &Handle) -> Direction {
    if handle.rep() == Direction::Request as u32 {
        Direction::Request
    } else {
        Direction::Response
    }
}

fn act<R>(handle: &Handle, act: impl FnOnce(&mut Lane) -> R) -> Option<R> {
    desk::with(|desk| act(desk.lane(direction(handle))))
}

/// Waits for the lane. It is looked at whenever the run is polled: no waker is needed.
async fn wait<R>(
    direction: Direction,
    reason: Wait,
    mut poll: impl FnMut(&mut Lane) -> Poll<R>,
) -> StdResult<R, Failure> {
    poll_fn(|_| {
        let polled = desk::with(|desk| {
            let polled = poll(desk.lane(direction));
            if polled.is_pending() {
                desk.call.wait = reason;
            }
            polled
        });
        polled.map_or(Poll::Ready(Err(Failure::Closed)), |polled| polled.map(Ok))
    })
    .await
}

impl HostBody for State {
    fn size_hint(&mut self, body: Handle) -> Result<Option<u64>> {
        Ok(act(&body, |lane| lane.size_hint()).flatten())
    }

    async fn read(&mut self, body: Handle, max: u32) -> Answer<Option<Vec<u8>>> {
        let max = usize::try_from(max).unwrap_or(usize::MAX);
        let read = wait(direction(&body), Wait::Body, |lane| lane.poll_read(max)).await;
        Ok(read.map(|bytes| bytes.map(Vec::from)))
    }

    async fn read_all(&mut self, body: Handle, limit: u64) -> Answer<Vec<u8>> {
        let max = self.generation.options.max_body_bytes;
        let limit = usize::try_from(limit).unwrap_or(usize::MAX).min(max);
        let read = wait(direction(&body), Wait::Body, |lane| lane.poll_read_all(limit)).await;
        Ok(read.and_then(|read| read.map(Vec::from).map_err(|TooLarge| Failure::TooLarge)))
    }

    async fn write(&mut self, body: Handle, bytes: Vec<u8>) -> Answer<()> {
        let mut bytes = Bytes::from(bytes);
        let written = wait(direction(&body), Wait::Room, |lane| lane.poll_write(&mut bytes)).await;
        Ok(written.and_then(|written| written.map_err(|TooLarge| Failure::TooLarge)))
    }

    fn forward_rest(&mut self, body: Handle) -> Answer<()> {
        Ok(act(&body, Lane::forward_rest).ok_or(Failure::Closed))
    }

    async fn trailers(&mut self, body: Handle) -> Answer<Vec<Field>> {
        let trailers = wait(direction(&body), Wait::Body, |lane| {
            lane.poll_trailers().map(fields::all)
        });
        Ok(trailers.await)
    }

    fn set_trailers(&mut self, body: Handle, fields: Vec<Field>) -> Answer<()> {
        Ok(match fields::map(fields, &self.generation.options) {
            Ok(trailers) => act(&body, |lane| lane.new_trailers = Some(trailers)).ok_or(Failure::Closed),
            Err(_) => Err(Failure::Invalid("a trailer is no field".to_owned())),
        })
    }

    fn drop(&mut self, _: Handle) -> Result<()> {
        Ok(())
    }
}
