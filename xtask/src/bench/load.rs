//! Two loads: wrk as fast as it goes, and an open loop at a fixed rate for latency.

use super::peers::LOAD_CPU;
use crate::shell;
use anyhow::{Context, Result};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::{Duration, Instant};

/// What wrk found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Load {
    pub(crate) requests: u64,
    pub(crate) seconds: f64,
    pub(crate) errors: u64,
    pub(crate) p99_micros: f64,
}

/// What a load asks for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ask<'a> {
    pub(crate) path: &'a str,
    pub(crate) headers: &'a [(&'a str, &'a str)],
}

impl Default for Ask<'_> {
    fn default() -> Self {
        Self {
            path: "/",
            headers: &[],
        }
    }
}

/// Runs wrk with 64 keep-alive connections on the load's CPU.
pub(crate) fn wrk(port: u16, duration: Duration, ask: &Ask<'_>) -> Result<Load> {
    let mut command = Command::new("taskset");
    command.args([
        "-c",
        LOAD_CPU,
        "wrk",
        "-t1",
        "-c64",
        "--latency",
        "--timeout",
        "10s",
    ]);
    command.arg(format!("-d{}s", duration.as_secs()));
    for (name, value) in ask.headers {
        command.args(["-H", &format!("{name}: {value}")]);
    }
    command.arg(format!("http://127.0.0.1:{port}{}", ask.path));
    let text = shell::output(&mut command)?;
    parse(&text).with_context(|| format!("wrk said:\n{text}"))
}

fn parse(text: &str) -> Option<Load> {
    let summary = text.lines().find(|line| line.contains(" requests in "))?;
    let (requests, rest) = summary.trim().split_once(" requests in ")?;
    let seconds = micros(rest.split(',').next()?)? / 1e6;
    let p99 = text.lines().find_map(|line| line.trim().strip_prefix("99%"))?;
    let number_in = |line: &str| -> u64 {
        line.split(|character: char| !character.is_ascii_digit())
            .filter_map(|word| word.parse::<u64>().ok())
            .sum()
    };
    let wrong = text
        .lines()
        .filter(|line| line.contains("Non-2xx or 3xx responses"));
    let broken = text.lines().filter(|line| line.contains("Socket errors:"));
    // "Non-2xx or 3xx" holds digits of its own: only what follows the colon counts.
    let errors = wrong
        .chain(broken)
        .filter_map(|line| line.split_once(':'))
        .map(|(_, counts)| number_in(counts))
        .sum();
    Some(Load {
        requests: requests.parse().ok()?,
        seconds,
        errors,
        p99_micros: micros(p99.trim())?,
    })
}

fn micros(text: &str) -> Option<f64> {
    let unit = text.find(|character: char| character.is_ascii_alphabetic())?;
    let factor = match text.get(unit..)? {
        "us" => 1.0,
        "ms" => 1e3,
        "s" => 1e6,
        "m" => 60e6,
        _ => return None,
    };
    Some(text.get(..unit)?.parse::<f64>().ok()? * factor)
}

/// Latencies of an open loop, in microseconds, sorted; and how many requests failed.
#[derive(Debug, Default)]
pub(crate) struct Latencies {
    pub(crate) micros: Vec<u64>,
    pub(crate) failed: usize,
}

impl Latencies {
    /// Takes those of another load in.
    pub(crate) fn add(&mut self, other: Self) {
        self.micros.extend(other.micros);
        self.micros.sort_unstable();
        self.failed += other.failed;
    }

    /// The value that the share `quantile` of the requests stayed below.
    pub(crate) fn quantile(&self, quantile: f64) -> u64 {
        let place = (self.micros.len().saturating_sub(1) as f64 * quantile).round() as usize;
        self.micros.get(place).copied().unwrap_or_default()
    }
}

/// Sends `rate` requests a second over `connections` for `duration`, each at its time whether or not the one before
/// was answered in time; a latency counts from when the request was due.
pub(crate) fn open_loop(
    port: u16,
    path: &str,
    rate: u32,
    connections: u32,
    duration: Duration,
) -> Result<Latencies> {
    open_loop_of(port, &get(path), rate, connections, duration)
}

/// The same with a request of the caller's own, head and body.
pub(crate) fn open_loop_of(
    port: u16,
    request: &str,
    rate: u32,
    connections: u32,
    duration: Duration,
) -> Result<Latencies> {
    let threads: Vec<_> = (0..connections)
        .map(|index| {
            let request = request.to_owned();
            let pause = Duration::from_secs(1) * connections / rate;
            std::thread::spawn(move || paced(port, &request, pause * index / connections, pause, duration))
        })
        .collect();
    let mut all = Latencies::default();
    for thread in threads {
        let one = thread.join().ok().context("a load thread panicked")??;
        all.micros.extend(one.micros);
        all.failed += one.failed;
    }
    all.micros.sort_unstable();
    Ok(all)
}

fn paced(
    port: u16,
    request: &str,
    offset: Duration,
    pause: Duration,
    duration: Duration,
) -> Result<Latencies> {
    let mut found = Latencies::default();
    let mut stream = connect(port)?;
    let start = Instant::now() + offset;
    let mut due = start;
    while due < start + duration {
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        match exchange(&mut stream, request, "") {
            Ok(_) => found
                .micros
                .push(u64::try_from(due.elapsed().as_micros()).unwrap_or(u64::MAX)),
            Err(_) => {
                found.failed += 1;
                stream = connect(port)?;
            }
        }
        due += pause;
    }
    Ok(found)
}

/// Makes requests one after the other on one connection; each must be answered with 200.
pub(crate) fn in_turn(port: u16, ask: &Ask<'_>, count: usize) -> Result<()> {
    let mut request = format!("GET {} HTTP/1.1\r\nHost: b\r\n", ask.path);
    for (name, value) in ask.headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    request.push_str("\r\n");
    let mut stream = connect(port)?;
    (0..count).try_for_each(|_| exchange(&mut stream, &request, "").map(drop))
}

/// The request for a path.
fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: b\r\n\r\n")
}

/// A header of one answer.
pub(crate) fn header(port: u16, path: &str, name: &str) -> Result<String> {
    exchange(&mut connect(port)?, &get(path), name)?.with_context(|| format!("no header {name}"))
}

/// The body of one answer.
pub(crate) fn body(port: u16, path: &str) -> Result<String> {
    let mut stream = connect(port)?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: b\r\nConnection: close\r\n\r\n");
    stream.get_mut().write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (_, body) = answer.split_once("\r\n\r\n").context("no answer")?;
    Ok(body.to_owned())
}

fn connect(port: u16) -> Result<BufReader<TcpStream>> {
    connect_with(port, Duration::from_secs(10))
}

/// A connection on which nothing is waited for longer than `patience`.
pub(crate) fn connect_with(port: u16, patience: Duration) -> Result<BufReader<TcpStream>> {
    let stream = TcpStream::connect(("127.0.0.1", port)).context("cannot connect")?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(patience))?;
    Ok(BufReader::new(stream))
}

/// One request; the value of the header `wanted` in its answer.
fn exchange(stream: &mut BufReader<TcpStream>, request: &str, wanted: &str) -> Result<Option<String>> {
    let head = ask(stream, request, wanted)?;
    std::io::copy(&mut stream.take(head.length), &mut std::io::sink())?;
    anyhow::ensure!(head.status.starts_with("HTTP/1.1 200"), "not 200");
    Ok(head.found)
}

/// What the head of an answer says.
pub(crate) struct Head {
    /// The first line.
    pub(crate) status: String,
    /// Bytes of the body, which is still to be read.
    pub(crate) length: u64,
    /// The value of the header that was wanted.
    found: Option<String>,
}

/// Sends a request and reads the head of its answer.
pub(crate) fn ask(stream: &mut BufReader<TcpStream>, request: &str, wanted: &str) -> Result<Head> {
    stream.get_mut().write_all(request.as_bytes())?;
    let mut line = String::new();
    stream.read_line(&mut line)?;
    let mut head = Head {
        status: line.trim_end().to_owned(),
        length: 0,
        found: None,
    };
    loop {
        line.clear();
        if stream.read_line(&mut line)? == 0 {
            anyhow::bail!("closed");
        }
        let Some((name, value)) = line.trim_end().split_once(':') else {
            break;
        };
        if name.eq_ignore_ascii_case("content-length") {
            head.length = value.trim().parse()?;
        }
        if name.eq_ignore_ascii_case(wanted) {
            head.found = Some(value.trim().to_owned());
        }
    }
    Ok(head)
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPORT: &str = "Running 3s test @ http://127.0.0.1:1/
  1 threads and 64 connections
  Latency Distribution
     50%    1.10ms
     99%    2.50ms
  90000 requests in 3.01s, 20.00MB read
  Socket errors: connect 0, read 1, write 0, timeout 2
  Non-2xx or 3xx responses: 40
";

    #[test]
    fn the_report_of_wrk_is_read_with_all_its_errors() {
        let load = parse(REPORT).unwrap();
        assert_eq!(
            load,
            Load {
                requests: 90_000,
                seconds: 3.01,
                errors: 43,
                p99_micros: 2_500.0
            }
        );
    }

    #[test]
    fn quantiles_are_taken_from_the_sorted_values() {
        let latencies = Latencies {
            micros: (1..=100).collect(),
            failed: 0,
        };
        assert_eq!(
            (
                latencies.quantile(0.5),
                latencies.quantile(0.99),
                latencies.quantile(1.0)
            ),
            (51, 99, 100)
        );
        assert_eq!(Latencies::default().quantile(0.99), 0);
    }
}
