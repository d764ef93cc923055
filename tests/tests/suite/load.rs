//! Traffic that goes on while something is done to the gateway or its backends.

use parking_lot::Mutex;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::Instant;
use tidegate_tests::wait::PATIENCE;
use tidegate_tests::{RawClient, Request, eventually};

/// Clients at a time.
pub(crate) const CLIENTS: usize = 8;

/// Clients that send the same request again and again.
pub(crate) struct Load {
    is_over: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
    failed: Arc<Mutex<Vec<u16>>>,
    clients: tokio::task::JoinSet<()>,
    began: Instant,
}

impl Load {
    /// Clients on a kept connection each.
    pub(crate) fn start(proxy: SocketAddr, request: &Request) -> Self {
        let mut load = Self {
            is_over: Arc::default(),
            answered: Arc::default(),
            failed: Arc::default(),
            clients: tokio::task::JoinSet::new(),
            began: Instant::now(),
        };
        for _ in 0..CLIENTS {
            let (is_over, answered, failed) = (
                Arc::clone(&load.is_over),
                Arc::clone(&load.answered),
                Arc::clone(&load.failed),
            );
            let request = request.clone();
            load.clients.spawn(async move {
                let mut client = RawClient::connect(proxy).await;
                while !is_over.load(SeqCst) {
                    let status = client.call(&request).await.status;
                    if status != 200 {
                        failed.lock().push(status);
                    }
                    answered.fetch_add(1, SeqCst);
                }
            });
        }
        load
    }

    /// Waits until so many more were answered.
    pub(crate) async fn goes_on(&self, count: usize) {
        let before = self.answered.load(SeqCst);
        eventually("the clients are answered", PATIENCE, async || {
            (self.answered.load(SeqCst) >= before + count).then_some(())
        })
        .await;
    }

    /// Requests answered each second so far.
    pub(crate) fn rate(&self) -> f64 {
        self.answered.load(SeqCst) as f64 / self.began.elapsed().as_secs_f64()
    }

    /// Ends it; gives the statuses of requests that failed.
    pub(crate) async fn end(mut self) -> Vec<u16> {
        self.is_over.store(true, SeqCst);
        while let Some(ended) = self.clients.join_next().await {
            ended.unwrap();
        }
        std::mem::take(&mut *self.failed.lock())
    }
}
