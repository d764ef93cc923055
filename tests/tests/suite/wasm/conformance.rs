//! Every host call in every callback of the proxy-wasm ABI, over real sockets: one table says what answers.

#[path = "conformance/columns.rs"]
mod columns;
#[path = "conformance/flow.rs"]
mod flow;
#[path = "conformance/probe.rs"]
mod probe;
#[path = "conformance/table.rs"]
mod table;

use super::guest::{Folder, Guest};
use columns::{cells, letters};
use http::{HeaderMap, HeaderValue, Response};
use std::collections::{BTreeMap, BTreeSet};
use table::{ADDED, Row};
use tidegate_tests::h2_client::{self, Body};
use tidegate_tests::h2_upstream::{H2Recorded, H2Upstream};
use tidegate_tests::wait::PATIENCE;
use tidegate_tests::{Answer, Gateway, RawClient, Upstream, eventually};
use tidegate_wasm::testing::HOST_FUNCTIONS;

/// Statuses by call and moment, as the guest logged them.
type Seen = BTreeMap<(String, char), BTreeSet<u32>>;

/// What the guest's log holds of its probes.
fn statuses(log: &str) -> Seen {
    let mut seen = Seen::new();
    for line in log.lines() {
        let Some((_, probe)) = line.split_once("probe ") else {
            continue;
        };
        let mut letter = probe.chars();
        let (Some(letter), Some(':')) = (letter.next(), letter.next()) else {
            continue;
        };
        let Some((name, status)) = probe[2..].split_once('=') else {
            continue;
        };
        let status = status.get(..2).and_then(|status| status.parse().ok());
        seen.entry((name.to_owned(), letter))
            .or_default()
            .insert(status.unwrap_or_else(|| panic!("no status in {line}")));
    }
    seen
}

/// What a cell of the table stands for.
fn status_of(cell: char, is_strict: bool) -> u32 {
    match cell {
        'a' => 10,
        'c' => 12,
        'i' if is_strict => 2,
        'i' => 0,
        digit => digit.to_digit(10).unwrap_or_else(|| panic!("no status {digit}")),
    }
}

/// Answers a gRPC call with its own message.
pub(super) fn grpc(request: &H2Recorded) -> Response<Body> {
    let status = [("grpc-status".parse().unwrap(), HeaderValue::from_static("0"))];
    let mut response = Response::new(h2_client::with_trailers(
        request.body.clone(),
        HeaderMap::from_iter(status),
    ));
    let headers = response.headers_mut();
    headers.insert("content-type", HeaderValue::from_static("application/grpc"));
    response
}

/// An answer in chunks with a trailer.
fn with_trailer() -> Answer {
    Answer::raw(
        "HTTP/1.1 200 OK\r\nTrailer: x-sum\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nx-sum: 7\r\n\r\n",
    )
}

struct Probed {
    rows: Vec<Row>,
    seen: Seen,
    /// Values that went through, by the name of the header that the guest adds.
    added: [Vec<String>; 4],
}

const REQUEST: &str = "POST /p HTTP/1.1\r\nHost: h\r\nTE: trailers\r\nTrailer: x-sum\r\nTransfer-Encoding: chunked\r\n\r\n\
                       3\r\nabc\r\n0\r\nx-sum: 6\r\n\r\n";

async fn probe_with(abi: &'static str, is_strict: bool) -> Probed {
    let upstream = Upstream::serving(|_| with_trailer()).await;
    let auth = Upstream::serving(|_| with_trailer()).await;
    let peer = H2Upstream::serving(grpc).await;
    let yaml = format!(
        "services:\n- name: s\n  url: {}\n  routes:\n  - {{paths: [/]}}\n- {{name: auth, url: '{}'}}\n\
         - {{name: peer, url: 'grpc://{}'}}\n\
         filter_chains:\n- {{name: c, service: s, filters: [{{name: probe, config: some text}}]}}\n",
        upstream.url(),
        auth.url(),
        peer.address()
    );
    let options = format!(
        r#"{{"tidegate": {{"strict_phases": {is_strict}, "max_log_lines": 10000, "callback_deadline_ms": 2000}}}}"#
    );
    let folder = Folder::new()
        .with("probe", &probe::guest(abi, table::rows))
        .meta("probe", &options);
    let gateway = folder.attached(Gateway::with(yaml)).start().await;
    let mut client = RawClient::connect(gateway.proxy()).await;
    client.send(REQUEST).await;
    let answer = client.response().await;
    assert_eq!((answer.status, answer.text().as_str()), (200, "ok"));
    let request = upstream.last();
    let rows = table::rows(&mut Guest::default());
    let wanted = rows.len() * letters().count();
    let made = rows
        .iter()
        .flat_map(|row| cells(row.statuses))
        .filter(|(_, cell)| *cell != '.')
        .count();
    assert!(
        made > wanted * 9 / 10,
        "nearly every call is made in every moment"
    );
    let seen = eventually("every call is made in every moment", PATIENCE, async || {
        let seen = statuses(&gateway.log());
        (seen.len() >= made).then_some(seen)
    })
    .await;
    assert_eq!(gateway.metric("tidegate_filter_traps_total").await, 0.0);
    let found = [
        &request.headers,
        &request.trailers,
        &answer.headers,
        &answer.trailers,
    ];
    let mut places = found.into_iter();
    let added = ADDED.map(|(_, name, _)| {
        let values = places.next().map(|headers| headers.all(name)).unwrap_or_default();
        values.into_iter().map(str::to_owned).collect()
    });
    Probed { rows, seen, added }
}

/// All cells that do not hold, in the form of the table.
fn differences(probed: &Probed, is_strict: bool, expected: impl Fn(&Row, char) -> char) -> String {
    let mut text = String::new();
    for row in &probed.rows {
        for (letter, cell) in cells(row.statuses).filter(|(_, cell)| *cell != '?') {
            let found = probed.seen.get(&(row.name.clone(), letter));
            let wanted = (cell != '.').then(|| BTreeSet::from([status_of(expected(row, cell), is_strict)]));
            if found != wanted.as_ref() {
                text.push_str(&format!(
                    "\n{} in {letter}: {wanted:?}, found {found:?}",
                    row.name
                ));
            }
        }
    }
    text
}

#[tokio::test]
async fn each_host_call_answers_in_each_callback_as_the_table_says() {
    for is_strict in [true, false] {
        let probed = probe_with("0_2_1", is_strict).await;
        let wrong = differences(&probed, is_strict, |_, cell| cell);
        assert!(wrong.is_empty(), "strict: {is_strict}{wrong}");
        for ((_, name, statuses), values) in ADDED.iter().zip(&probed.added) {
            let effective = cells(statuses).filter(|(_, cell)| *cell == '0');
            let effective: Vec<_> = effective.map(|(letter, _)| letter.to_string()).collect();
            assert_eq!(
                *values, effective,
                "what {name} says where it was added, strict: {is_strict}"
            );
        }
    }
}

#[tokio::test]
async fn version_0_2_0_answers_as_0_2_1_does() {
    let probed = probe_with("0_2_0", true).await;
    let wrong = differences(&probed, true, |_, cell| cell);
    assert!(wrong.is_empty(), "{wrong}");
}

#[tokio::test]
async fn in_version_0_1_0_a_missing_value_is_empty() {
    const VALUES: [&str; 8] = [
        "request header",
        "missing request header",
        "request trailer",
        "response header",
        "response trailer",
        "grpc initial metadata",
        "grpc trailing metadata",
        "call header",
    ];
    let probed = probe_with("0_1_0", true).await;
    let wrong = differences(&probed, true, |row, cell| match cell {
        '1' if VALUES.contains(&row.name.as_str()) || row.name == "call trailer" => '0',
        other => other,
    });
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn the_table_has_every_host_function() {
    let rows = table::rows(&mut Guest::default());
    for (name, _) in HOST_FUNCTIONS {
        let call = format!("(call ${name}");
        let is_called = rows.iter().any(|row| {
            row.call
                .split(&call)
                .skip(1)
                .any(|rest| rest.starts_with([' ', ')']))
        });
        assert!(is_called, "{name}");
    }
}
