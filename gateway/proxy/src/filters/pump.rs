//! Moves parts on: calls the filters, obeys their answers, listens to their events.

use super::channel::Part;
use super::{End, Filters};
use crate::bodies::{BodyFault, ResponseBrokenReason};
use bytes::Bytes;
use http::HeaderMap;
use hyper::body::Frame;
use std::task::{Context, Poll};
use tidegate_plugin::{Direction, Exchange, FilterEvent, FilterNeeds, Flow};

impl Filters {
    /// Moves the request as far as it goes. A filter's end is kept.
    pub(crate) fn poll_request(&mut self, x: &mut Exchange, cx: &mut Context<'_>) {
        self.poll(x, cx, |filters, x, cx| filters.feed_request(x, cx));
    }

    /// Moves the response as far as it goes, and what is left of the request.
    pub(crate) fn poll_response(
        &mut self,
        x: &mut Exchange,
        cx: &mut Context<'_>,
    ) -> Result<(), ResponseBrokenReason> {
        let mut broken = None;
        self.poll(x, cx, |filters, x, cx| {
            let moved = filters.feed_request(x, cx)?;
            match filters.feed_response(x, cx) {
                Ok(also) => Ok(moved | also?),
                Err(reason) => {
                    broken = Some(reason);
                    Ok(false)
                }
            }
        });
        broken.map_or(Ok(()), Err)
    }

    fn poll(
        &mut self,
        x: &mut Exchange,
        cx: &mut Context<'_>,
        mut feed: impl FnMut(&mut Self, &mut Exchange, &mut Context<'_>) -> Result<bool, End>,
    ) {
        while self.end.is_none() {
            let moved = self
                .listen(x, cx)
                .and_then(|resumed| Ok(feed(self, x, cx)? | resumed));
            match moved {
                Ok(true) => {}
                Ok(false) => return,
                Err(end) => self.end = Some(end),
            }
        }
    }

    /// Takes what happened to the filters. `true`: one goes on.
    fn listen(&mut self, x: &mut Exchange, cx: &mut Context<'_>) -> Result<bool, End> {
        let mut resumed = false;
        let mut left = self.listening;
        for place in 0..self.slots.len() {
            if left == 0 {
                break;
            }
            if !self.slots.get(place).is_some_and(|slot| slot.listens) {
                continue;
            }
            left -= 1;
            while let Some(slot) = self.slots.get_mut(place)
                && let Poll::Ready(event) = slot.run.poll_event(x, cx)
            {
                self.take_event(place, event)?;
                resumed = true;
            }
            self.ask_whether_it_listens(place);
        }
        Ok(resumed)
    }

    fn take_event(&mut self, place: usize, event: FilterEvent) -> Result<(), End> {
        match event {
            FilterEvent::Resume(direction) => {
                if let Some(stage) = self.lane(direction).stages.get_mut(place) {
                    stage.pause = None;
                }
                if let Some(part) = self.emit(place, direction) {
                    self.lane(direction).put(place + 1, part);
                }
            }
            FilterEvent::Pause(direction, hold) => {
                if let Some(stage) = self.lane(direction).stages.get_mut(place) {
                    stage.pause = Some(hold);
                    stage.has_bytes = true;
                }
                self.flushes = true;
            }
            FilterEvent::Reply(reply) => return Err(End::Reply(reply)),
            FilterEvent::Close => return Err(End::Close),
            FilterEvent::Fail(fault) => return Err(End::Fail(fault)),
        }
        Ok(())
    }

    fn ask_whether_it_listens(&mut self, place: usize) {
        let Some(slot) = self.slots.get_mut(place) else {
            return;
        };
        let listens = slot.run.listens();
        match (std::mem::replace(&mut slot.listens, listens), listens) {
            (false, true) => self.listening += 1,
            (true, false) => self.listening -= 1,
            _ => {}
        }
    }

    fn feed_request(&mut self, x: &mut Exchange, cx: &mut Context<'_>) -> Result<bool, End> {
        let moved = self.advance(x, Direction::Request)? | self.flush(cx, Direction::Request);
        if !self.request.is_clear() || !self.request.out.has_room(cx.waker()) {
            return Ok(moved);
        }
        let Some(client) = &mut self.client else {
            return Ok(moved);
        };
        let Poll::Ready(next) = client.poll_chunk(cx) else {
            return Ok(moved);
        };
        let ends = client.is_end();
        match next {
            Some(Err(fault)) => {
                self.client = None;
                self.request.out.fail(fault);
                return Ok(moved);
            }
            next => {
                if ends || next.is_none() {
                    self.client = None;
                }
                self.request.put(0, part(next.and_then(Result::ok), ends));
            }
        }
        Ok(true)
    }

    fn feed_response(
        &mut self,
        x: &mut Exchange,
        cx: &mut Context<'_>,
    ) -> Result<Result<bool, End>, ResponseBrokenReason> {
        let moved = match self.advance(x, Direction::Response) {
            Ok(moved) => moved | self.flush(cx, Direction::Response),
            Err(end) => return Ok(Err(end)),
        };
        if !self.response.is_clear() || !self.response.out.has_room(cx.waker()) {
            return Ok(Ok(moved));
        }
        let Some(upstream) = &mut self.upstream else {
            return Ok(Ok(moved));
        };
        let Poll::Ready(next) = upstream.poll_frame(cx) else {
            return Ok(Ok(moved));
        };
        let next = match next.transpose() {
            Ok(next) => next,
            Err(broken) => {
                self.upstream = None;
                return Err(broken);
            }
        };
        let ends = upstream.is_end();
        if ends || next.is_none() {
            self.upstream = None;
        }
        self.response.put(0, part(next, ends));
        Ok(Ok(true))
    }

    /// Takes bytes of filters that pause, if there is room for them. `true`: there were some.
    fn flush(&mut self, cx: &Context<'_>, direction: Direction) -> bool {
        if !self.flushes {
            return false;
        }
        let mut moved = false;
        for place in 0..self.slots.len() {
            let lane = match direction {
                Direction::Request => &mut self.request,
                Direction::Response => &mut self.response,
            };
            let is_clear = lane
                .stages
                .iter()
                .skip(place + 1)
                .all(|stage| stage.inbox.is_empty());
            let (Some(stage), Some(slot)) = (lane.stages.get_mut(place), self.slots.get_mut(place)) else {
                continue;
            };
            let may_flush = stage.has_bytes && !stage.holds_head && !stage.has_passed_end;
            if !may_flush || !is_clear || !lane.out.has_room(cx.waker()) {
                continue;
            }
            stage.has_bytes = false;
            let bytes = slot.run.take_body(direction);
            if !bytes.is_empty() {
                lane.put(place + 1, Part::Body { bytes, ends: false });
                moved = true;
            }
        }
        moved
    }

    /// Gives every part that waits to its filter. `true`: there was one.
    fn advance(&mut self, x: &mut Exchange, direction: Direction) -> Result<bool, End> {
        let mut moved = false;
        for place in 0..self.slots.len() {
            if self.lane(direction).is_empty() {
                break;
            }
            while let Some(part) = self.next(place, direction) {
                moved = true;
                self.pass(x, place, direction, part)?;
            }
        }
        Ok(moved)
    }

    fn next(&mut self, place: usize, direction: Direction) -> Option<Part> {
        let slot = self.slots.get(place)?;
        let (needs, has_seen_request) = (slot.needs, slot.has_seen_request);
        self.lane(direction)
            .next(place, |part| wants(needs, has_seen_request, direction, part))
    }

    /// Gives a part to a filter, and what becomes of it to those that follow, as far as they take it at once.
    fn pass(
        &mut self,
        x: &mut Exchange,
        mut place: usize,
        direction: Direction,
        mut part: Part,
    ) -> Result<(), End> {
        self.fetch(place);
        loop {
            self.fetch(place + 1);
            let Some(next) = self.deliver(x, place, direction, part)? else {
                break;
            };
            place += 1;
            match self.lane(direction).put_unless_free(place, next) {
                Some(next) => part = next,
                None => break,
            }
        }
        Ok(())
    }

    fn fetch(&self, place: usize) {
        if let Some(slot) = self.slots.get(place) {
            slot.hints.fetch();
        }
    }

    /// Gives the part that goes on in its place, if there is exactly one.
    fn deliver(
        &mut self,
        x: &mut Exchange,
        place: usize,
        direction: Direction,
        part: Part,
    ) -> Result<Option<Part>, End> {
        let lane = match direction {
            Direction::Request => &mut self.request,
            Direction::Response => &mut self.response,
        };
        let (Some(slot), Some(stage)) = (self.slots.get_mut(place), lane.stages.get_mut(place)) else {
            return Ok(None);
        };
        if stage.has_passed_end {
            return Ok(None);
        }
        stage.has_ended |= part.ends();
        if !wants(slot.needs, slot.has_seen_request, direction, &part) {
            stage.has_passed_end |= part.ends();
            return Ok(Some(part));
        }
        stage.holds_head |= matches!(part, Part::Head { .. });
        slot.has_seen_request |= direction == Direction::Request;
        let run = &mut slot.run;
        let flow = match part {
            Part::Head { ends } => run.head(x, direction, ends),
            Part::Body { bytes, ends } => run.body(x, direction, bytes, ends),
            Part::Trailers(trailers) => run.trailers(x, direction, trailers),
        };
        stage.pause = None;
        match flow {
            Flow::Continue => {}
            Flow::ContinueAndEnd => stage.has_ended = true,
            Flow::Pause(hold) => stage.pause = Some(hold),
            Flow::Reply(reply) => return Err(End::Reply(reply)),
            Flow::Close => return Err(End::Close),
            Flow::Fail(fault) => return Err(End::Fail(fault)),
        }
        let pauses = stage.pause.is_some();
        self.ask_whether_it_listens(place);
        Ok(if pauses { None } else { self.emit(place, direction) })
    }

    /// Takes what a filter lets go on: a single part, or several that wait in front of the next filter.
    fn emit(&mut self, place: usize, direction: Direction) -> Option<Part> {
        let lane = match direction {
            Direction::Request => &mut self.request,
            Direction::Response => &mut self.response,
        };
        let (slot, stage) = (self.slots.get_mut(place)?, lane.stages.get_mut(place)?);
        let bytes = slot.run.take_body(direction);
        let trailers = slot.run.take_trailers(direction);
        if stage.has_passed_end {
            return None;
        }
        let ends = stage.has_ended;
        stage.has_passed_end = ends || trailers.is_some();
        let is_whole = ends && bytes.is_empty() && trailers.is_none();
        let has_head = std::mem::take(&mut stage.holds_head);
        let head = has_head.then_some(Part::Head { ends: is_whole });
        let ends = ends && trailers.is_none();
        let has_body = !bytes.is_empty() || (ends && !(has_head && is_whole));
        let body = has_body.then_some(Part::Body { bytes, ends });
        let mut parts = [head, body, trailers.map(Part::Trailers)].into_iter().flatten();
        let first = parts.next();
        let Some(second) = parts.next() else {
            return first;
        };
        for part in first.into_iter().chain([second]).chain(parts) {
            lane.put(place + 1, part);
        }
        None
    }

    /// The next piece of the response for the client.
    pub(crate) fn poll_client_frame(
        &self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyFault>>> {
        self.response.out.poll_frame(cx)
    }
}

fn wants(needs: FilterNeeds, has_seen_request: bool, direction: Direction, part: &Part) -> bool {
    match (direction, part) {
        (Direction::Request, Part::Body { .. }) => needs.request_body,
        (Direction::Request, Part::Trailers(_)) => needs.request_trailers,
        (Direction::Response, _) if !has_seen_request => false,
        (_, Part::Head { .. }) => true,
        (Direction::Response, Part::Body { .. }) => needs.response_body,
        (Direction::Response, Part::Trailers(_)) => needs.response_trailers,
    }
}

/// A frame as a part; none is the end.
fn part(frame: Option<Frame<Bytes>>, ends: bool) -> Part {
    let Some(frame) = frame else {
        return Part::Body {
            bytes: Bytes::new(),
            ends: true,
        };
    };
    match frame.into_data() {
        Ok(bytes) => Part::Body { bytes, ends },
        Err(frame) => Part::Trailers(frame.into_trailers().unwrap_or_else(|_| HeaderMap::new())),
    }
}
