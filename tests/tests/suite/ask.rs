//! Requests and configurations in the short form that tables need.

use std::future::Future;
use tidegate_tests::{Gateway, Request, Response, Upstream};

/// Reads `METHOD TARGET [@HOST] [NAME:VALUE]...`; a value may not hold spaces.
pub(crate) fn ask(text: &str) -> Request {
    let mut words = text.split(' ').filter(|word| !word.is_empty());
    let (method, target) = (words.next().unwrap(), words.next().unwrap());
    let mut request = Request::new(method, target);
    for word in words {
        request = match word.strip_prefix('@') {
            Some(host) => request.host(host),
            None => {
                let (name, value) = word.split_once(':').unwrap();
                request.header(name, value)
            }
        };
    }
    request
}

/// A document with one service on that upstream and the routes given as a YAML list.
pub(crate) fn service(upstream: &Upstream, routes: &str) -> String {
    service_at(&upstream.url(), "", routes)
}

/// A document with one service of that URL, more fields of it as YAML lines, and routes given as a YAML list.
pub(crate) fn service_at(url: &str, fields: &str, routes: &str) -> String {
    let indent = |text: &str, depth: usize| -> String {
        let space = " ".repeat(depth);
        text.lines()
            .filter(|line| !line.trim().is_empty())
            .map(|line| format!("{space}{line}\n"))
            .collect()
    };
    let service = format!("services:\n- name: s\n  url: {url}\n{}", indent(fields, 2));
    if routes.trim().is_empty() {
        service
    } else {
        format!("{service}  routes:\n{}", indent(routes, 2))
    }
}

/// What answered: the name of the route that `Kong-Debug` reveals, else the status.
pub(crate) fn answered_by(response: &Response) -> String {
    match response.headers.get("Kong-Route-Name") {
        Some(name) => name.to_owned(),
        None => response.status.to_string(),
    }
}

/// A gateway that reveals which route it took.
pub(crate) async fn revealing(yaml: String) -> Gateway {
    Gateway::with(yaml)
        .setting("allow_debug_header", "on")
        .start()
        .await
}

/// Runs all cases, a few at a time, and fails with the list of those that failed.
pub(crate) async fn each<C, F: Future<Output = Result<(), String>>>(
    cases: impl IntoIterator<Item = C>,
    run: impl Fn(C) -> F,
) {
    use futures_util::StreamExt;
    let mut running = futures_util::stream::iter(cases).map(run).buffer_unordered(4);
    let mut failures = Vec::new();
    while let Some(result) = running.next().await {
        failures.extend(result.err());
    }
    assert!(
        failures.is_empty(),
        "{} cases failed:\n{}",
        failures.len(),
        failures.join("\n")
    );
}
