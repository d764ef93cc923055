//! What to try, and what must come of it.

use super::curl::Answer;
use super::ports::Ports;
use anyhow::{Context, Result, ensure};
use serde_json::Value;

/// One thing to try.
pub(crate) struct Step {
    /// What it shows.
    pub(crate) title: &'static str,
    /// The line to paste.
    pub(crate) curl: String,
    /// How often at most, until the facts hold.
    pub(crate) tries: usize,
    /// What the answer must show.
    pub(crate) facts: fn(&Answer) -> Result<()>,
}

pub(crate) fn all(ports: &Ports) -> Vec<Step> {
    let gateway = format!("http://localhost:{}", ports.proxy);
    let once = |title, curl, facts| Step {
        title,
        curl,
        tries: 1,
        facts,
    };
    vec![
        once(
            "through the gateway to the open backend, which shows what it was sent",
            format!("curl -i {gateway}/httpbin-route/get"),
            proxied,
        ),
        Step {
            title: "this route allows 5 requests a minute: repeat the line and the sixth gets 429",
            curl: format!("curl -i {gateway}/httpbin-route/get"),
            // A minute may begin in between, and the count with it.
            tries: 14,
            facts: limited,
        },
        once(
            "the guarded backend, straight: 401",
            format!("curl -i http://127.0.0.1:{}/anything", ports.guarded_backend),
            refused_by_backend,
        ),
        once(
            "the same backend through the gateway, which adds the secret: 200",
            format!("curl -i {gateway}/orders/anything"),
            let_in,
        ),
        once(
            "a secret of one's own changes nothing: the gateway removes it first",
            format!("curl -i -H 'Authorization: Bearer of-my-own' {gateway}/orders/anything"),
            let_in,
        ),
        once(
            "a route that wants a key: 401",
            format!("curl -i {gateway}/private/get"),
            refused_without_key,
        ),
        once(
            "with the key of the consumer alice: 200, and the backend learns who it is",
            format!("curl -i -H 'apikey: alice-key' {gateway}/private/get"),
            known_consumer,
        ),
        once(
            "a body goes through as well",
            format!(
                "curl -i -X POST -H 'apikey: alice-key' -H 'Content-Type: application/json' -d '{{\"hello\":\"tide\"}}' {gateway}/private/post"
            ),
            posted,
        ),
        once(
            "a Wasm filter of this route blanks passwords in the answer",
            format!(
                "curl -i -X POST -H 'Content-Type: application/json' -d '{{\"user\":\"alice\",\"password\":\"secret\"}}' {gateway}/redacted/post"
            ),
            redacted,
        ),
        once(
            "no route there: 404",
            format!("curl -i {gateway}/nowhere"),
            unrouted,
        ),
        once(
            "what the gateway counted",
            format!("curl -s http://127.0.0.1:{}/metrics", ports.status),
            counted,
        ),
    ]
}

fn proxied(answer: &Answer) -> Result<()> {
    status(answer, 200)?;
    let seen = seen_by_backend(answer)?;
    field(&seen, "X-Forwarded-Host", "localhost")?;
    field(&seen, "X-Forwarded-Path", "/httpbin-route/get")?;
    field(&seen, "X-Forwarded-Prefix", "/httpbin-route")?;
    field(&seen, "X-Forwarded-Proto", "http")?;
    let id = answer
        .header("X-Kong-Request-Id")
        .context("no X-Kong-Request-Id in the answer")?;
    ensure!(
        id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()),
        "request id {id}"
    );
    field(&seen, "X-Kong-Request-Id", id)?;
    for latency in ["X-Kong-Upstream-Latency", "X-Kong-Proxy-Latency"] {
        let value = answer
            .header(latency)
            .with_context(|| format!("no {latency} in the answer"))?;
        ensure!(
            value.parse::<u64>().is_ok(),
            "{latency}: {value} is no number of milliseconds"
        );
    }
    let via = answer.header("Via").context("no Via in the answer")?;
    ensure!(via.starts_with("1.1 "), "Via: {via}");
    Ok(())
}

fn limited(answer: &Answer) -> Result<()> {
    status(answer, 429)?;
    ensure!(
        answer.header("Retry-After").is_some(),
        "no Retry-After in the answer"
    );
    ensure!(
        answer.header("X-RateLimit-Limit-Minute") == Some("5"),
        "X-RateLimit-Limit-Minute is not 5"
    );
    message(answer, "API rate limit exceeded")
}

fn refused_by_backend(answer: &Answer) -> Result<()> {
    status(answer, 401)?;
    ensure!(
        answer.header("X-Kong-Request-Id").is_none(),
        "this came through the gateway"
    );
    Ok(())
}

fn let_in(answer: &Answer) -> Result<()> {
    status(answer, 200)?;
    ensure!(
        !answer.body.contains("of-my-own"),
        "the client's own Authorization reached the backend"
    );
    Ok(())
}

fn refused_without_key(answer: &Answer) -> Result<()> {
    status(answer, 401)?;
    let challenge = answer
        .header("WWW-Authenticate")
        .context("no WWW-Authenticate in the answer")?;
    ensure!(challenge.starts_with("Key"), "WWW-Authenticate: {challenge}");
    message(answer, "No API key found in request")
}

fn known_consumer(answer: &Answer) -> Result<()> {
    status(answer, 200)?;
    field(&seen_by_backend(answer)?, "X-Consumer-Username", "alice")?;
    ensure!(!answer.body.contains("alice-key"), "the key reached the backend");
    Ok(())
}

fn posted(answer: &Answer) -> Result<()> {
    known_consumer(answer)?;
    ensure!(answer.body.contains("tide"), "the backend does not show the body");
    Ok(())
}

fn redacted(answer: &Answer) -> Result<()> {
    status(answer, 200)?;
    let body: Value = serde_json::from_str(&answer.body).context("the body is no JSON")?;
    ensure!(
        body.pointer("/json/user") == Some(&Value::from("alice")),
        "the body did not come back"
    );
    ensure!(
        body.pointer("/json/password") == Some(&Value::from("[redacted]")) && !answer.body.contains("secret"),
        "the password is not blanked"
    );
    Ok(())
}

fn unrouted(answer: &Answer) -> Result<()> {
    status(answer, 404)?;
    message(answer, "no Route matched with those values")
}

fn counted(answer: &Answer) -> Result<()> {
    status(answer, 200)?;
    let series = "kong_http_requests_total{service=\"httpbin-service\",route=\"httpbin-route\",code=\"429\",source=\"kong\"";
    ensure!(
        answer.body.contains(series),
        "the refused requests are not in the metrics"
    );
    Ok(())
}

fn status(answer: &Answer, expected: u16) -> Result<()> {
    ensure!(
        answer.status == expected,
        "status {} instead of {expected}",
        answer.status
    );
    Ok(())
}

fn message(answer: &Answer, expected: &str) -> Result<()> {
    let body: Value = serde_json::from_str(&answer.body).context("the body is no JSON")?;
    let found = body.get("message").and_then(Value::as_str).unwrap_or_default();
    ensure!(found == expected, "message {found:?} instead of {expected:?}");
    Ok(())
}

fn seen_by_backend(answer: &Answer) -> Result<Value> {
    let body: Value = serde_json::from_str(&answer.body).context("the body is no JSON")?;
    body.get("headers")
        .cloned()
        .context("the backend shows no headers")
}

fn field(headers: &Value, name: &str, expected: &str) -> Result<()> {
    let found = headers
        .as_object()
        .into_iter()
        .flatten()
        .find(|(known, _)| known.eq_ignore_ascii_case(name));
    let found = found.and_then(|(_, value)| value.as_str());
    ensure!(
        found == Some(expected),
        "the backend saw {name}: {found:?} instead of {expected:?}"
    );
    Ok(())
}
