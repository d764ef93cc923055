//! Active health checks: one prober per process, on a thread of its own.
//!
//! There is one agenda of upstreams, ordered by when something of them is due, and one timer: the agenda's next moment.
//! What is due and what a finding does to health is decided in `tidegate-upstream`; here it is asked for and carried out.

mod agenda;
mod manner;

use crate::tls::ProbeTlsSource;
use agenda::Agenda;
use anyhow::{Context, Result};
use manner::Manner;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tidegate_net::dns::{Dns, DnsSettings, NameService, SystemLookup};
use tidegate_net::probe::{Finding, ask};
use tidegate_plan::Snapshot;
use tidegate_proxy::{names, peer, tell};
use tidegate_upstream::{Outcome, Probe, Upstream};
use tokio::runtime::LocalOptions;
use tokio::sync::{Semaphore, watch};

/// Probes at a time, over all upstreams. It bounds the sockets that targets can hold which do not answer.
const MAX_AT_A_TIME: usize = 512;
/// An upstream whose health may have been changed by traffic is looked at again after this time.
const LONGEST_PAUSE: Duration = Duration::from_millis(250);
/// Nothing is looked at again sooner: what falls due within this time is carried out together, which costs fewer
/// wake-ups than each by itself.
const SHORTEST_PAUSE: Duration = Duration::from_millis(10);

/// What is to be probed, and how TLS is set up for it.
pub(crate) struct Assignment {
    /// By name.
    upstreams: Arc<[Arc<Upstream>]>,
    tls: Box<ProbeTlsSource>,
}

impl Assignment {
    /// What a snapshot has to be probed.
    pub(crate) fn of(snapshot: &Snapshot, tls: Box<ProbeTlsSource>) -> Self {
        let mut upstreams: Vec<Arc<Upstream>> = snapshot.upstreams().iter().map(Arc::clone).collect();
        upstreams.sort_by(|one, other| one.spec().name.cmp(&other.spec().name));
        Self {
            upstreams: upstreams.into(),
            tls,
        }
    }
}

/// Gives the prober its work. The prober ends when this is dropped.
pub(crate) struct Prober(watch::Sender<Arc<Assignment>>);

impl Prober {
    /// Starts the prober's thread.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub(crate) fn start(assignment: Assignment, names: Arc<NameService>, cache: DnsSettings) -> Result<Self> {
        let (sender, receiver) = watch::channel(Arc::new(assignment));
        let run = move || {
            let outcome = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build_local(LocalOptions::default())
                .context("cannot make the prober's runtime")
                .and_then(|runtime| runtime.block_on(run(receiver, names, cache)));
            if let Err(error) = outcome {
                tracing::error!(error = format!("{error:#}"), "there are no health checks");
            }
        };
        std::thread::Builder::new()
            .name("prober".to_owned())
            .spawn(run)
            .context("cannot start the prober's thread")?;
        Ok(Self(sender))
    }

    /// The upstreams in service, by name.
    pub(crate) fn upstreams(&self) -> Arc<[Arc<Upstream>]> {
        Arc::clone(&self.0.borrow().upstreams)
    }

    /// Replaces what is to be probed. Targets that are not part of it are not probed again.
    pub(crate) fn assign(&self, assignment: Assignment) {
        self.0.send_replace(Arc::new(assignment));
    }
}

/// Works until nobody can give another assignment.
async fn run(
    mut assignments: watch::Receiver<Arc<Assignment>>,
    name_service: Arc<NameService>,
    cache: DnsSettings,
) -> Result<()> {
    let lookup = SystemLookup::new(name_service).context("cannot set up name resolution")?;
    let resolver = Dns::new(lookup, cache);
    let slots = Arc::new(Semaphore::new(MAX_AT_A_TIME));
    let mut agenda = Agenda::of(&assignments.borrow_and_update().clone());
    loop {
        let now = Instant::now();
        while let Some(entry) = agenda.take_due(now) {
            // Without traffic nobody else asks for them.
            if entry.upstream.has_names() && names::is_due(&entry.upstream) {
                let (resolver, upstream) = (resolver.clone(), Arc::clone(&entry.upstream));
                tokio::task::spawn_local(async move { names::renew(&resolver, &upstream).await });
            }
            for probe in entry.upstream.probes(now) {
                tokio::task::spawn_local(carry_out(probe, Rc::clone(&entry.manner), Arc::clone(&slots)));
            }
            let next = entry.upstream.next_probe(now);
            let next = next.unwrap_or(now + LONGEST_PAUSE);
            agenda.put_back(entry, next.clamp(now + SHORTEST_PAUSE, now + LONGEST_PAUSE));
        }
        let changed = match agenda.next() {
            Some(next) => {
                let next = next.max(now + SHORTEST_PAUSE);
                tokio::time::timeout_at(next.into(), assignments.changed()).await
            }
            None => Ok(assignments.changed().await),
        };
        match changed {
            Ok(Ok(())) => agenda = Agenda::of(&assignments.borrow_and_update().clone()),
            Ok(Err(_)) => return Ok(()),
            Err(_) => {}
        }
    }
}

async fn carry_out(probe: Probe, manner: Rc<Manner>, slots: Arc<Semaphore>) {
    // The semaphore is never closed.
    let Ok(_slot) = slots.acquire_owned().await else {
        return;
    };
    let host = String::from_utf8_lossy(probe.host());
    let tls = match manner.tls(&host) {
        Ok(tls) => tls,
        Err(error) => {
            let name = &probe.upstream().spec().name;
            tracing::warn!(upstream = %name, address = %probe.address(), error, "cannot set up TLS of a health check");
            return conclude(&probe, Outcome::TcpFailure, error);
        }
    };
    let message = manner.message(&probe);
    let question = manner.question(&message);
    let finding = ask(peer(probe.address()), manner.timeout, tls, question).await;
    let (outcome, detail) = match finding {
        Finding::Alive => (Outcome::Connected, String::new()),
        Finding::Status(status) => (Outcome::Status(status), format!("status {status}")),
        // A server that says so itself is no matter of status lists.
        Finding::NotServing(word) => (Outcome::Status(0), word.into()),
        Finding::Failed(error) => (Outcome::TcpFailure, error.to_string()),
        Finding::Timeout => (Outcome::Timeout, "no answer in time".to_owned()),
    };
    conclude(&probe, outcome, &detail);
}

fn conclude(probe: &Probe, outcome: Outcome, detail: &str) {
    tracing::debug!(upstream = %probe.upstream().spec().name, address = %probe.address(), ?outcome, detail, "health check");
    if let Some(event) = probe.upstream().probed(probe, outcome, Instant::now()) {
        tell(&event, Some(detail));
    }
}
