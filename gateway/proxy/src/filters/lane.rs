//! One direction: a stage for each filter, and what left the last one.

use super::channel::{Channel, Part};
use std::collections::VecDeque;
use std::rc::Rc;
use tidegate_plugin::Hold;

/// One way through the filters.
pub(super) struct Lane {
    pub(super) stages: Vec<Stage>,
    pub(super) out: Rc<Channel>,
    /// Parts in all inboxes.
    waiting: usize,
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
    /// Whether a part may be given to the filter at once.
    fn is_free(&self) -> bool {
        self.pause.is_none() && self.inbox.is_empty()
    }
}

impl Lane {
    pub(super) fn new(count: usize) -> Self {
        Self {
            stages: (0..count).map(|_| Stage::default()).collect(),
            out: Channel::new(),
            waiting: 0,
        }
    }

    /// Puts a part in front of a stage; behind the last one it leaves.
    pub(super) fn put(&mut self, place: usize, part: Part) {
        match self.stages.get_mut(place) {
            Some(stage) => {
                stage.inbox.push_back(part);
                self.waiting += 1;
            }
            None => self.out.push(part),
        }
    }

    /// Gives the part back when the filter there may have it at once; otherwise it waits, or leaves.
    pub(super) fn put_unless_free(&mut self, place: usize, part: Part) -> Option<Part> {
        if self.stages.get(place).is_some_and(Stage::is_free) {
            return Some(part);
        }
        self.put(place, part);
        None
    }

    /// The next part that the filter takes; `wants` tells whether its callback for a part runs.
    pub(super) fn next(&mut self, place: usize, wants: impl Fn(&Part) -> bool) -> Option<Part> {
        let stage = self.stages.get_mut(place)?;
        let part = match stage.pause {
            None => stage.inbox.pop_front(),
            Some(Hold::Body) if stage.inbox.front().is_some_and(wants) => stage.inbox.pop_front(),
            Some(_) => None,
        }?;
        self.waiting -= 1;
        Some(part)
    }

    /// Whether no part waits in front of a filter.
    pub(super) const fn is_empty(&self) -> bool {
        self.waiting == 0
    }

    /// Whether nothing is on its way, and the first filter takes more.
    pub(super) fn is_clear(&self) -> bool {
        self.is_empty()
            && self
                .stages
                .first()
                .is_none_or(|stage| stage.pause != Some(Hold::All))
    }
}
