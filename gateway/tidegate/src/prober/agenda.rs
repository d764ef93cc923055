//! Which upstream is to be looked at next.

use super::manner::Manner;
use super::{Assignment, LONGEST_PAUSE};
use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;
use tidegate_upstream::Upstream;

/// Upstreams with active checks by the moment at which something of them may be due.
pub(super) struct Agenda(BinaryHeap<Reverse<Planned>>);

/// An upstream and how it is probed.
pub(super) struct Entry {
    pub(super) upstream: Arc<Upstream>,
    pub(super) manner: Rc<Manner>,
}

struct Planned {
    at: Instant,
    entry: Entry,
}

impl Agenda {
    /// Everything that is assigned, to be looked at now.
    pub(super) fn of(assignment: &Assignment) -> Self {
        let now = Instant::now();
        let upstreams = assignment.upstreams.iter();
        let probed = upstreams.filter(|upstream| upstream.spec().is_probed());
        let planned = probed.map(|upstream| {
            let manner = Rc::new(Manner::of(&upstream.spec().entity, &assignment.tls));
            let upstream = Arc::clone(upstream);
            Reverse(Planned {
                at: now,
                entry: Entry { upstream, manner },
            })
        });
        Self(planned.collect())
    }

    /// Takes the first one that is due.
    pub(super) fn take_due(&mut self, now: Instant) -> Option<Entry> {
        self.next().filter(|next| *next <= now)?;
        self.0.pop().map(|Reverse(planned)| planned.entry)
    }

    pub(super) fn put_back(&mut self, entry: Entry, at: Instant) {
        debug_assert!(
            at <= Instant::now() + LONGEST_PAUSE,
            "nothing is out of sight for long"
        );
        self.0.push(Reverse(Planned { at, entry }));
    }

    /// The moment at which the next one is due.
    pub(super) fn next(&self) -> Option<Instant> {
        self.0.peek().map(|Reverse(planned)| planned.at)
    }
}

impl Ord for Planned {
    fn cmp(&self, other: &Self) -> Ordering {
        self.at.cmp(&other.at)
    }
}

impl PartialOrd for Planned {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Planned {
    fn eq(&self, other: &Self) -> bool {
        self.at == other.at
    }
}

impl Eq for Planned {}
