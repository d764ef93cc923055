//! A fan with the edits since it was built.
//!
//! Splitting ten thousand candidates takes many milliseconds, an edit of one route must not. So a fan stays as it was
//! for a while: what came later is walked beside it, what is gone is passed over. After some edits it is built anew.

use super::fan::Fan;
use super::lists::Item;
use std::cmp::Ordering;
use std::sync::Arc;

/// Edits that a fan takes before it is built anew; also the most candidates that are walked beside it.
const MAX_EDITS: usize = 16;

/// A fan, and how it differs from the list that it stands for.
#[derive(Debug, Clone)]
pub(crate) struct Patched {
    pub(crate) fan: Arc<Fan>,
    /// Items that the fan does not have, best first.
    pub(crate) late: Arc<[Item]>,
    /// Routes whose items in the fan no longer count, in order.
    pub(crate) gone: Arc<[u32]>,
}

/// An edit of the list of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Edit {
    /// All items of a route went.
    Gone(u32),
    /// An item came.
    Late(Item),
}

impl Patched {
    pub(crate) fn new(fan: Fan) -> Self {
        Self {
            fan: Arc::new(fan),
            late: Arc::new([]),
            gone: Arc::new([]),
        }
    }

    /// The same with further edits: first everything gone, then everything late. `None` when there are too many.
    pub(crate) fn with(&self, edits: &[Edit], order: impl Fn(&Item, &Item) -> Ordering) -> Option<Self> {
        let mut gone = self.gone.to_vec();
        let mut now = Vec::new();
        let mut late = Vec::new();
        for edit in edits {
            match edit {
                Edit::Gone(slot) => now.push(*slot),
                Edit::Late(item) => late.push(*item),
            }
        }
        late.extend(self.late.iter().filter(|item| !now.contains(&item.slot)));
        gone.append(&mut now);
        gone.sort_unstable();
        gone.dedup();
        if late.len().max(gone.len()) > MAX_EDITS {
            return None;
        }
        late.sort_by(order);
        Some(Self {
            fan: Arc::clone(&self.fan),
            late: late.into(),
            gone: gone.into(),
        })
    }

    /// Bytes besides this value itself.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.fan.memory_bytes() + size_of_val(&*self.late) + size_of_val(&*self.gone)
    }
}
