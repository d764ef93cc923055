//! Obeys what a callback decided.

use super::super::bindings::types::{self, BodyDecision, BodyMode, Decision};
use super::super::instance::{Answer, mistake};
use super::super::lane::Mode;
use super::super::phases::Phase;
use super::super::reply;
use super::{ComponentRun, End, Step};
use crate::abi::state::Head;
use tidegate_plugin::{Direction, Exchange, Hold};

impl ComponentRun {
    pub(super) fn obey(
        &mut self,
        x: &mut Exchange,
        direction: Direction,
        phase: Phase,
        answer: Answer,
    ) -> Step {
        match answer {
            Answer::Head(Decision::Next(mode)) => {
                let (mode, limit) = match mode {
                    BodyMode::Skip => (Mode::Pass, 0),
                    BodyMode::Stream => (Mode::Stream, 0),
                    BodyMode::Hold(limit) => (Mode::Hold, limit),
                };
                self.choose_body(x, direction, mode, limit)
            }
            Answer::Body(BodyDecision::Next) => {
                self.desk.lane(direction).let_pass();
                self.release(x, direction)
            }
            Answer::Head(Decision::Respond(reply)) | Answer::Body(BodyDecision::Respond(reply)) => {
                self.respond(x, direction, phase, reply)
            }
            Answer::Head(Decision::Abort) | Answer::Body(BodyDecision::Abort) => Step::End(End::Close),
            Answer::Done => Step::Go,
        }
    }

    /// What becomes of the body behind a head that goes on.
    pub(super) fn choose_body(
        &mut self,
        x: &mut Exchange,
        direction: Direction,
        mode: Mode,
        limit: u64,
    ) -> Step {
        let max = self.generation().options.max_body_bytes;
        let is_seen = self.phases.has(Phase::body(direction));
        let lane = self.desk.lane(direction);
        match mode {
            Mode::Hold if is_seen => {
                lane.mode = Mode::Hold;
                lane.limit = usize::try_from(limit).unwrap_or(usize::MAX).min(max);
                if lane
                    .announced
                    .is_some_and(|announced| announced > lane.limit as u64)
                    && !lane.has_ended
                {
                    return self.overflow(x, direction);
                }
                if lane.has_ended {
                    return self.begin(x, direction, Phase::body(direction));
                }
                Step::Pause(Hold::Body)
            }
            Mode::Stream if is_seen && !lane.has_ended => {
                lane.mode = Mode::Stream;
                self.release(x, direction)
            }
            Mode::Hold | Mode::Stream | Mode::Pass => {
                lane.mode = Mode::Pass;
                self.release(x, direction)
            }
        }
    }

    fn respond(
        &mut self,
        x: &mut Exchange,
        direction: Direction,
        phase: Phase,
        answer: types::Reply,
    ) -> Step {
        let is_late = self.desk.response.head == Head::Released;
        if is_late {
            tracing::error!(
                filter = &*self.generation().name,
                request_id = ?x.request_id,
                "late_response: a filter responds when the response head is gone; the stream is reset"
            );
            return Step::End(End::Close);
        }
        let max = self.generation().options.max_body_bytes;
        match reply::reply(x, answer, max) {
            Ok(reply) => {
                // Whatever it held of the messages is not sent; its response callbacks run for the answer.
                self.calls = [None, None];
                let lane = self.desk.lane(direction);
                lane.let_pass();
                let _ = lane.take_outgoing();
                self.desk.request.head = Head::Released;
                if direction == Direction::Response {
                    self.desk.response.head = Head::Released;
                }
                Step::End(End::Reply(Box::new(reply)))
            }
            Err(report) => self.failed(x, direction, mistake(phase, report)),
        }
    }
}
