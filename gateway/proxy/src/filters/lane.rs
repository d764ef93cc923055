//! One direction: a stage for each filter, and what left the last one.

use super::channel::{Channel, Part};
use std::collections::VecDeque;
use std::rc::Rc;
use tidegate_plugin::Hold;

/// One way through the filters.
pub(super) struct Lane {
    pub(super) stages: Vec<Stage>,
    pub(super) out: Rc<Channel>,
}

/// One filter's place on a lane.
#[derive(Default)]
pub(super) struct Stage {
    /// What waits for the filter.
    pub(super) inbox: VecDeque<Part>,
    pub(super) pause: Option<Hold>,
    /// Bytes may go on although it pauses.
    pub(super) has_bytes: bool,
    /// The head was given to the filter and has not gone on.
    pub(super) holds_head: bool,
    /// The last part was given to it.
    pub(super) has_ended: bool,
    /// The end went on: later parts are dropped.
    pub(super) has_passed_end: bool,
}

impl Stage {
    /// The next part that the filter takes; `wants` tells whether its callback for a part runs.
    pub(super) fn next(&mut self, wants: impl Fn(&Part) -> bool) -> Option<Part> {
        match self.pause {
            None => self.inbox.pop_front(),
            Some(Hold::Body) if self.inbox.front().is_some_and(wants) => self.inbox.pop_front(),
            Some(_) => None,
        }
    }
}

impl Lane {
    pub(super) fn new(count: usize) -> Self {
        Self {
            stages: (0..count).map(|_| Stage::default()).collect(),
            out: Channel::new(),
        }
    }

    /// Puts a part in front of a stage; behind the last one it leaves.
    pub(super) fn put(&mut self, place: usize, part: Part) {
        match self.stages.get_mut(place) {
            Some(stage) => stage.inbox.push_back(part),
            None => self.out.push(part),
        }
    }

    /// Whether nothing is on its way, and the first filter takes more.
    pub(super) fn is_clear(&self) -> bool {
        self.stages.iter().all(|stage| stage.inbox.is_empty())
            && self
                .stages
                .first()
                .is_none_or(|stage| stage.pause != Some(Hold::All))
    }
}
