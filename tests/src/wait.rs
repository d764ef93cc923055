//! Waiting for a condition instead of for a time.

use std::time::{Duration, Instant};

/// How long anything that should happen soon may take on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Calls `attempt` until it gives something; panics with `what` after `deadline`.
pub async fn eventually<T>(what: &str, deadline: Duration, mut attempt: impl AsyncFnMut() -> Option<T>) -> T {
    let end = Instant::now() + deadline;
    loop {
        if let Some(found) = attempt().await {
            return found;
        }
        assert!(Instant::now() < end, "still not true after {deadline:?}: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
