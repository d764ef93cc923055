//! Hostile clients (hostile-traffic.md): what is answered, what becomes of the connection, what the upstream saw.

#[path = "hostile/downgrade.rs"]
mod downgrade;
#[path = "hostile/frames.rs"]
mod frames;
#[path = "hostile/h1_framing.rs"]
mod h1_framing;
#[path = "hostile/h1_syntax.rs"]
mod h1_syntax;
#[path = "hostile/h2_frames.rs"]
mod h2_frames;
#[path = "hostile/header_trust.rs"]
mod header_trust;
#[path = "hostile/limits.rs"]
mod limits;
#[path = "hostile/slow.rs"]
mod slow;

use tidegate_tests::{Gateway, Upstream};

/// What must come of bytes.
#[derive(Clone, Copy, Debug)]
enum Expect {
    /// Refused with this status; the connection is closed and the upstream saw nothing.
    Refused(u16),
    /// Refused with one of these.
    RefusedAny(&'static [u16]),
    /// Served.
    Served,
    /// The connection is closed; a refusal may come first, an answer of the upstream may not.
    Broken,
}

struct Case {
    name: &'static str,
    wire: &'static str,
    expect: Expect,
}

/// Sends each case on a connection of its own to one gateway.
async fn run(cases: &[Case]) {
    let upstream = Upstream::ok().await;
    let gateway = Gateway::with(crate::ask::service(&upstream, "- {paths: [/]}"))
        .setting("client_header_timeout", "3s")
        .start()
        .await;
    let mut failures = Vec::new();
    for case in cases {
        if let Err(found) = judge(case, &gateway, &upstream).await {
            failures.push(format!(
                "{}: {found}, expected {:?}, bytes {:?}",
                case.name, case.expect, case.wire
            ));
        }
    }
    assert!(
        failures.is_empty(),
        "{} of {} cases:\n{}",
        failures.len(),
        cases.len(),
        failures.join("\n")
    );
}

async fn judge(case: &Case, gateway: &Gateway, upstream: &Upstream) -> Result<(), String> {
    let complete = || {
        upstream
            .requests()
            .iter()
            .filter(|request| request.is_complete)
            .count()
    };
    let before = complete();
    let mut client = gateway.send(case.wire).await;
    let response = client.try_response("GET").await;
    let status = response.as_ref().ok().map(|response| response.status);
    let statuses: &[u16] = match case.expect {
        Expect::Served => {
            let is_served = status == Some(200) && complete() > before;
            return if is_served {
                Ok(())
            } else {
                Err(format!("got {status:?}"))
            };
        }
        Expect::Refused(ref status) => std::slice::from_ref(status),
        Expect::RefusedAny(statuses) => statuses,
        Expect::Broken => &[],
    };
    if !statuses.is_empty() && !status.is_some_and(|status| statuses.contains(&status)) {
        return Err(format!("got {response:?}"));
    }
    if status.is_some_and(|status| status < 400) {
        return Err(format!("was served with {status:?}"));
    }
    let rest = client.rest_until_closed(case.name).await;
    if !rest.is_empty() {
        return Err(format!(
            "more came after the refusal: {:?}",
            String::from_utf8_lossy(&rest)
        ));
    }
    if complete() != before {
        return Err(format!("the upstream saw {:?}", upstream.last()));
    }
    Ok(())
}
