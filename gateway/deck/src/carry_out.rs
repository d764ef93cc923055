//! Events carried out, several at a time within a stage, until the first that fails.

use crate::client::Client;
use crate::error::Error;
use crate::event::{Event, Op};
use crate::kinds::Kind;
use crate::plan::Stage;
use crate::report::{Report, Totals};
use crate::state::Entity;
use futures_util::{StreamExt, stream};
use serde_json::{Value, json};
use std::cell::RefCell;
use std::time::Duration;

/// How events are carried out.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    /// Requests at a time.
    pub parallelism: usize,
    /// Nothing is written.
    pub is_dry: bool,
    /// Waited after each stage, for databases that take their time to tell all nodes.
    pub delay: Duration,
    /// Waited, more or less, ahead of the first retry; three times as long ahead of each further one.
    pub retry_after: Duration,
    /// Passwords are hashes already.
    pub skips_password_hash: bool,
}

/// What came of it.
pub(crate) struct Carried {
    pub totals: Totals,
    pub errors: Vec<Error>,
}

struct Progress {
    totals: Totals,
    errors: Vec<Error>,
    done: usize,
}

/// Further tries of a request that the server failed at.
const RETRIES: u32 = 4;

pub(crate) async fn carry_out(
    client: &Client<'_>,
    stages: Vec<Stage>,
    pace: Pace,
    report: &Report<'_, '_>,
) -> Carried {
    let all = stages.iter().map(Vec::len).sum();
    let progress = RefCell::new(Progress {
        totals: Totals::default(),
        errors: Vec::new(),
        done: 0,
    });
    let mut dropped: Vec<Event> = Vec::new();
    for stage in stages {
        let left = RefCell::new(Vec::new());
        let one = |event: Event| async {
            if !progress.borrow().errors.is_empty() {
                left.borrow_mut().push(event);
                return;
            }
            let result = match report.begin(&event) {
                Ok(()) if pace.is_dry => Ok(()),
                Ok(()) => with_retries(client, &event, pace).await,
                Err(error) => Err(error),
            };
            let mut progress = progress.borrow_mut();
            match result {
                Ok(()) => progress.totals.count(event.op),
                Err(error) => progress.errors.push(error),
            }
            progress.done += 1;
            report.progress(progress.done, all);
        };
        let events = stream::iter(stage).map(one);
        events
            .buffer_unordered(pace.parallelism.max(1))
            .collect::<()>()
            .await;
        dropped.append(&mut left.borrow_mut());
        if !pace.is_dry && !pace.delay.is_zero() && progress.borrow().errors.is_empty() {
            tokio::time::sleep(pace.delay).await;
        }
    }
    let Progress {
        totals, mut errors, ..
    } = progress.into_inner();
    for event in &dropped {
        if let Err(error) = report.drop(event) {
            errors.push(error);
            break;
        }
    }
    Carried { totals, errors }
}

async fn with_retries(client: &Client<'_>, event: &Event, pace: Pace) -> Result<(), Error> {
    let mut wait = pace.retry_after;
    let mut tries = 0;
    loop {
        match request(client, event, pace).await {
            Err(error) if error.status() == Some(500) && tries < RETRIES => {
                tokio::time::sleep(wait.mul_f64(0.5 + fastrand::f64())).await;
                wait = wait.saturating_mul(3);
                tries += 1;
            }
            result => {
                let doing = format!(
                    "{} {} {} failed",
                    event.op.name(),
                    event.kind().row().label,
                    event.label
                );
                return result.map_err(|error| error.during(doing).during("while processing event"));
            }
        }
    }
}

async fn request(client: &Client<'_>, event: &Event, pace: Pace) -> Result<(), Error> {
    let entity = &event.entity;
    if entity.kind == Kind::Membership {
        return membership(client, event.op, entity).await;
    }
    let path = path(entity);
    if event.op == Op::Delete {
        return client.delete(&path).await;
    }
    let hash = if pace.skips_password_hash && entity.kind == Kind::BasicAuth {
        "?skip_hash=true"
    } else {
        ""
    };
    client
        .put(&format!("{path}{hash}"), &Value::Object(entity.body.clone()))
        .await
}

fn path(entity: &Entity) -> String {
    let Entity { kind, id, .. } = entity;
    match kind {
        Kind::Target => {
            let upstream = entity.reference("upstream").unwrap_or_default();
            format!("/upstreams/{upstream}/targets/{id}")
        }
        kind if kind.is_credential() => {
            let consumer = entity.reference("consumer").unwrap_or_default();
            format!("/consumers/{consumer}/{}/{id}", kind.credential_path())
        }
        kind => format!("/{}/{id}", kind.list_path()),
    }
}

async fn membership(client: &Client<'_>, op: Op, entity: &Entity) -> Result<(), Error> {
    let group = entity.reference("consumer_group").unwrap_or_default();
    let consumer = entity.reference("consumer").unwrap_or_default();
    let path = format!("/consumer_groups/{group}/consumers");
    if op == Op::Delete {
        client.delete(&format!("{path}/{consumer}")).await
    } else {
        client.post(&path, &json!({ "consumer": consumer })).await
    }
}
