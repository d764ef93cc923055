//! What filters do outside of exchanges: one task per filter and worker, as long as a snapshot in use holds it.

use std::rc::Rc;
use std::sync::Arc;
use tidegate_plan::Snapshot;
use tidegate_plugin::Filter;
use tokio::task::JoinHandle;

/// A filter's task on this worker; it ends with the last snapshot that holds it.
pub(crate) struct Task {
    filter: Arc<dyn Filter>,
    running: Option<JoinHandle<()>>,
}

impl Drop for Task {
    fn drop(&mut self) {
        if let Some(running) = &self.running {
            running.abort();
        }
    }
}

/// The tasks of a snapshot; filters that were in service before go on with theirs.
pub(crate) fn tasks(snapshot: &Snapshot, before: &[Rc<Task>], worker: usize) -> Vec<Rc<Task>> {
    let filters = snapshot
        .instances()
        .filter_map(|instance| instance.filter.as_ref());
    filters
        .map(|filter| {
            let known = before.iter().find(|task| Arc::ptr_eq(&task.filter, filter));
            known.map_or_else(|| Rc::new(start(filter, worker)), Rc::clone)
        })
        .collect()
}

fn start(filter: &Arc<dyn Filter>, worker: usize) -> Task {
    let work = Arc::clone(filter).background(worker);
    Task {
        filter: Arc::clone(filter),
        running: work.map(tokio::task::spawn_local),
    }
}
