//! What changed, by number.

use crate::row::Row;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::Arc;
use uuid::Uuid;

/// One row that was written or deleted.
#[derive(Debug, Clone)]
pub struct RowChange {
    /// Where.
    pub collection: &'static str,
    /// Its id.
    pub id: Uuid,
    /// What it is now; None when it is gone.
    pub row: Option<Arc<Row>>,
}

/// Everything that came in with one version. Each row is in it once.
#[derive(Debug, Clone)]
pub struct Change {
    /// The number.
    pub version: u64,
    /// The rows; deletes of children and parents come in any order.
    pub rows: Arc<[RowChange]>,
}

/// Versions that are remembered at most.
const MOST_VERSIONS: usize = 4_096;
/// Rows that are remembered at most, so that history does not outweigh the entities.
const MOST_ROWS: usize = 20_000;

/// The newest changes.
#[derive(Debug)]
pub(crate) struct History {
    kept: Mutex<Kept>,
}

#[derive(Debug)]
struct Kept {
    /// What is not in `changes` any longer, or was there from the start.
    base: u64,
    newest: u64,
    changes: VecDeque<Change>,
    rows: usize,
}

impl History {
    pub(crate) fn starting_at(version: u64) -> Self {
        Self {
            kept: Mutex::new(Kept {
                base: version,
                newest: version,
                changes: VecDeque::new(),
                rows: 0,
            }),
        }
    }

    pub(crate) fn push(&self, change: Change) {
        let mut kept = self.kept.lock();
        kept.newest = change.version;
        kept.rows += change.rows.len();
        kept.changes.push_back(change);
        while kept.changes.len() > MOST_VERSIONS || kept.rows > MOST_ROWS {
            let Some(oldest) = kept.changes.pop_front() else {
                break;
            };
            kept.rows -= oldest.rows.len();
            kept.base = oldest.version;
        }
    }

    /// Everything after this version. None when that is not known any more, or the version is none of this history.
    pub(crate) fn since(&self, version: u64) -> Option<Vec<Change>> {
        let kept = self.kept.lock();
        if !(kept.base..=kept.newest).contains(&version) {
            return None;
        }
        let start = kept.changes.partition_point(|change| change.version <= version);
        Some(kept.changes.range(start..).cloned().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::{Change, History, MOST_VERSIONS};

    fn versions(history: &History, since: u64) -> Option<Vec<u64>> {
        let changes = history.since(since)?;
        Some(changes.iter().map(|change| change.version).collect())
    }

    #[test]
    fn what_is_too_old_or_not_of_this_history_asks_for_a_full_read() {
        let history = History::starting_at(7);
        assert_eq!(versions(&history, 7), Some(vec![]));
        assert_eq!(versions(&history, 6), None);
        assert_eq!(versions(&history, 8), None);
        let count = MOST_VERSIONS as u64 + 1;
        for version in 8..8 + count {
            let rows = [].into();
            history.push(Change { version, rows });
        }
        assert_eq!(versions(&history, 7), None);
        assert_eq!(
            versions(&history, 8).map(|known| known.len()),
            Some(MOST_VERSIONS)
        );
        assert_eq!(versions(&history, 6 + count), Some(vec![7 + count]));
    }
}
