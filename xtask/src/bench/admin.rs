//! The Admin API: durable writes, lists, whole configurations, and edits beside traffic.

use super::MANY_ROUTES;
use super::disturbed::{self, Disturbance};
use super::load;
use super::peers::{Peer, Workdir, free_port};
use super::proc_stat;
use super::reload::away_from_the_proxy;
use super::report::{Table, median};
use anyhow::{Context, Result, ensure};
use std::fmt::Write as _;
use std::io::{BufReader, Read};
use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

const WRITING: Duration = Duration::from_secs(5);
const CLIENTS: usize = 10;
/// Clients that fill a store.
const FILLING: usize = 128;
const MANY_ENTITIES: usize = 100_000;
const PAGES: usize = 50;
const EDITS: usize = 50;
/// The largest request is a configuration of 100,000 entities.
const PATIENCE: Duration = Duration::from_secs(60);
/// What is answered where no route leads.
const NO_ROUTE: &str = "no Route matched";

pub(crate) fn run(workdir: &Workdir) -> Result<Vec<Table>> {
    away_from_the_proxy(|| {
        Ok(vec![
            writes(workdir)?,
            lists(workdir)?,
            configuration(workdir)?,
            edits(workdir)?,
        ])
    })
}

/// A gateway without a file, and its Admin API's port.
fn gateway(workdir: &Workdir, name: &str, database: &str) -> Result<(Peer, u16)> {
    let port = free_port()?;
    let environment = [
        ("TIDEGATE_DATABASE", database),
        ("TIDEGATE_ADMIN_LISTEN", &format!("127.0.0.1:{port}")),
        ("TIDEGATE_ADMIN_CLIENT_MAX_BODY_SIZE", "256m"),
        ("TIDEGATE_DECLARATIVE_CONFIG", ""),
    ];
    let peer = Peer::tidegate_with(workdir, workdir.binary(), name, "", &environment)?;
    Ok((peer, port))
}

/// Durable writes of single entities, each answered when it serves.
fn writes(workdir: &Workdir) -> Result<Table> {
    let title = format!(
        "Single writes into the embedded store, {} s each",
        WRITING.as_secs()
    );
    let mut table = Table::new(&title, &["clients", "writes/s", "p50 ms", "p99 ms"]);
    for clients in [1, CLIENTS, FILLING] {
        let (_peer, port) = gateway(workdir, "writes", "embedded")?;
        let mut took = many(clients, port, |client, number, begin| {
            (begin.elapsed() < WRITING).then(|| {
                let body = format!("{{\"username\":\"consumer-{client}-{number}\"}}");
                request("POST", "/consumers", &body)
            })
        })?;
        took.sort_unstable();
        let at = |share: f64| {
            took.get((took.len() as f64 * share) as usize)
                .copied()
                .unwrap_or_default()
        };
        table.row(&[
            clients.to_string(),
            format!("{:.0}", took.len() as f64 / WRITING.as_secs_f64()),
            millis(at(0.5)),
            millis(at(0.99)),
        ]);
    }
    Ok(table)
}

/// Pages of a thousand entities.
fn lists(workdir: &Workdir) -> Result<Table> {
    let (peer, port) = gateway(workdir, "lists", "off")?;
    let mut text = String::from("{\"_format_version\":\"3.0\",\"consumers\":[");
    for number in 0..MANY_ENTITIES {
        let comma = if number > 0 { "," } else { "" };
        let _ = write!(
            text,
            "{comma}{{\"username\":\"consumer-{number}\",\"tags\":[\"t{}\"]}}",
            number % 7
        );
    }
    text.push_str("]}");
    let mut client = Client::connect(port)?;
    client.send(&request("POST", "/config", &text))?;
    let mut took = Vec::new();
    let mut next = Some("/consumers?size=1000".to_owned());
    for _ in 0..PAGES {
        let Some(path) = next.take() else { break };
        let began = Instant::now();
        let page = client.send(&request("GET", &path, ""))?;
        took.push(began.elapsed());
        let page: serde_json::Value = serde_json::from_slice(&page)?;
        next = page.get("next").and_then(|next| next.as_str()).map(str::to_owned);
    }
    took.sort_unstable();
    let title = format!("Pages of 1,000 out of {MANY_ENTITIES} consumers");
    let mut table = Table::new(&title, &["pages", "p50 ms", "slowest ms", "RSS MiB"]);
    table.row(&[
        took.len().to_string(),
        millis(took.get(took.len() / 2).copied().unwrap_or_default()),
        millis(took.last().copied().unwrap_or_default()),
        format!(
            "{:.0}",
            proc_stat::resident_of_tree(peer.pid())? as f64 / f64::from(1 << 20)
        ),
    ]);
    Ok(table)
}

/// A whole configuration, live when it is answered.
fn configuration(workdir: &Workdir) -> Result<Table> {
    let (peer, port) = gateway(workdir, "config", "off")?;
    let mut took = Vec::new();
    for edition in 0..5 {
        let text = routes_json(edition);
        let began = Instant::now();
        Client::connect(port)?.send(&request("POST", "/config", &text))?;
        took.push(began.elapsed().as_secs_f64() * 1_000.0);
        let answer = load::body(peer.port, &format!("/edition-{edition}/r7/x"))?;
        ensure!(
            !answer.contains(NO_ROUTE),
            "the configuration does not serve: {answer}"
        );
    }
    let first = took.first().copied().unwrap_or_default();
    let title = format!("POST /config of {MANY_ROUTES} routes, five times");
    let mut table = Table::new(&title, &["first ms", "median ms"]);
    table.row(&[format!("{first:.0}"), format!("{:.0}", median(took.into_iter()))]);
    Ok(table)
}

fn routes_json(edition: usize) -> String {
    let mut text = String::from(
        "{\"_format_version\":\"3.0\",\"services\":[{\"name\":\"s\",\"url\":\"http://127.0.0.1:9\",\"routes\":[",
    );
    for number in 0..MANY_ROUTES {
        let comma = if number > 0 { "," } else { "" };
        let _ = write!(
            text,
            "{comma}{{\"name\":\"r{number}\",\"paths\":[\"/edition-{edition}/r{number}\"]}}"
        );
    }
    text.push_str("]}]}");
    text
}

/// Edits of one route among ten thousand, alone and beside traffic.
fn edits(workdir: &Workdir) -> Result<Table> {
    let (peer, port) = gateway(workdir, "edits", "embedded")?;
    let backend = workdir.write("backend-url", super::peers::BACKEND)?;
    let backend = std::fs::read_to_string(backend)?;
    let service = format!("{{\"name\":\"s\",\"url\":\"http://{backend}\"}}");
    Client::connect(port)?.send(&request("POST", "/services", &service))?;
    let next = AtomicUsize::new(0);
    let began = Instant::now();
    many(FILLING, port, |_, _, _| {
        let number = next.fetch_add(1, Ordering::Relaxed);
        (number < MANY_ROUTES).then(|| {
            let body = format!("{{\"paths\":[\"/svc{number}\"],\"service\":{{\"name\":\"s\"}}}}");
            request("PUT", &format!("/routes/r{number}"), &body)
        })
    })?;
    eprintln!(
        "filled with {MANY_ROUTES} routes after {:.1} s",
        began.elapsed().as_secs_f64()
    );
    let mut editor = Editor {
        client: Client::connect(port)?,
        edition: 0,
    };
    let mut alone = Vec::with_capacity(EDITS);
    for _ in 0..EDITS {
        alone.push(editor.act()?.as_secs_f64() * 1_000.0);
    }
    eprintln!(
        "an edit alone serves after {:.1} ms (median)",
        median(alone.into_iter())
    );
    let title = format!("Edits of one route at {MANY_ROUTES} through the Admin API");
    disturbed::beside_calm(&title, &peer, &format!("/svc{}/", MANY_ROUTES / 2), &mut editor)
}

struct Editor {
    client: Client,
    edition: usize,
}

impl Disturbance for Editor {
    fn act(&mut self) -> Result<Duration> {
        self.edition += 1;
        let body = format!("{{\"paths\":[\"/edited-{}\"]}}", self.edition);
        let began = Instant::now();
        self.client.send(&request("PATCH", "/routes/r3", &body))?;
        Ok(began.elapsed())
    }

    fn rehearse(&mut self, took: Duration) -> Result<()> {
        std::thread::sleep(took);
        Ok(())
    }
}

/// Clients that each send requests one after the other until `ask` has no more; how long each took.
fn many(
    clients: usize,
    port: u16,
    ask: impl Fn(usize, usize, Instant) -> Option<String> + Sync,
) -> Result<Vec<Duration>> {
    let begin = Instant::now();
    let ask = &ask;
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..clients)
            .map(|client| {
                scope.spawn(move || -> Result<Vec<Duration>> {
                    let mut connection = Client::connect(port)?;
                    let mut took = Vec::new();
                    while let Some(request) = ask(client, took.len(), begin) {
                        let began = Instant::now();
                        connection.send(&request)?;
                        took.push(began.elapsed());
                    }
                    Ok(took)
                })
            })
            .collect();
        let mut all = Vec::new();
        for thread in threads {
            all.extend(thread.join().ok().context("a client panicked")??);
        }
        Ok(all)
    })
}

fn request(method: &str, path: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "{method} {path} HTTP/1.1\r\nHost: admin\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    )
}

/// One kept connection to the Admin API.
struct Client(BufReader<TcpStream>);

impl Client {
    fn connect(port: u16) -> Result<Self> {
        load::connect_with(port, PATIENCE).map(Self)
    }

    /// The body of the answer, which must be a good one.
    fn send(&mut self, request: &str) -> Result<Vec<u8>> {
        let head = load::ask(&mut self.0, request, "")?;
        let mut body = vec![0; usize::try_from(head.length)?];
        self.0.read_exact(&mut body)?;
        let is_good = head.status.starts_with("HTTP/1.1 20");
        ensure!(is_good, "{}: {}", head.status, String::from_utf8_lossy(&body));
        Ok(body)
    }
}

fn millis(time: Duration) -> String {
    format!("{:.1}", time.as_secs_f64() * 1_000.0)
}
