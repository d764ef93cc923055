//! Reads a printed curl line and does what it says, so that what people copy is what is checked.

use anyhow::{Context, Result, bail};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// A request as a curl line describes it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Curl {
    method: String,
    host: String,
    port: u16,
    target: String,
    headers: Vec<(String, String)>,
    body: Option<String>,
}

/// The answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Answer {
    /// A header, in any case of its name.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }
}

impl Curl {
    /// Parses `curl [-i|-s|-v] [-X M] [-H 'N: V']... [-d BODY] URL`.
    pub(crate) fn parse(line: &str) -> Result<Self> {
        let words = words(line)?;
        let mut words = words.into_iter();
        if words.next().as_deref() != Some("curl") {
            bail!("not a curl line: {line}");
        }
        let (mut method, mut headers, mut body, mut url) = (None, Vec::new(), None, None);
        while let Some(word) = words.next() {
            let mut value = || {
                words
                    .next()
                    .with_context(|| format!("{word} needs a value in: {line}"))
            };
            match word.as_str() {
                "-i" | "-s" | "-v" | "-si" => {}
                "-X" => method = Some(value()?),
                "-d" => body = Some(value()?),
                "-H" => {
                    let header = value()?;
                    let (name, value) = header
                        .split_once(':')
                        .with_context(|| format!("no header: {header}"))?;
                    headers.push((name.to_owned(), value.trim_start().to_owned()));
                }
                option if option.starts_with('-') => bail!("unknown option {option} in: {line}"),
                _ => url = Some(word),
            }
        }
        let url = url.with_context(|| format!("no URL in: {line}"))?;
        let rest = url.strip_prefix("http://").unwrap_or(&url);
        let (authority, target) = rest.find('/').map_or((rest, "/"), |slash| rest.split_at(slash));
        let (host, port) = authority.split_once(':').unwrap_or((authority, "80"));
        let default_method = if body.is_some() { "POST" } else { "GET" };
        Ok(Self {
            method: method.unwrap_or_else(|| default_method.to_owned()),
            host: host.to_owned(),
            port: port.parse().with_context(|| format!("no port: {url}"))?,
            target: target.to_owned(),
            headers,
            body,
        })
    }

    /// Sends the request on a connection of its own.
    pub(crate) fn send(&self) -> Result<Answer> {
        let mut stream = TcpStream::connect((self.host.as_str(), self.port))
            .with_context(|| format!("cannot connect to {}:{}", self.host, self.port))?;
        stream.set_read_timeout(Some(Duration::from_secs(20)))?;
        let mut head = format!(
            "{} {} HTTP/1.1\r\nHost: {}:{}\r\n",
            self.method, self.target, self.host, self.port
        );
        head.push_str("Accept: */*\r\nUser-Agent: quickstart\r\nConnection: close\r\n");
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if let Some(body) = &self.body {
            head.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        head.push_str("\r\n");
        head.push_str(self.body.as_deref().unwrap_or_default());
        stream.write_all(head.as_bytes())?;
        read_answer(BufReader::new(stream))
    }
}

fn read_answer(mut reader: impl BufRead) -> Result<Answer> {
    let mut line = String::new();
    reader.read_line(&mut line).context("no answer")?;
    let status = line.split(' ').nth(1).and_then(|status| status.parse().ok());
    let status = status.with_context(|| format!("no status in {line:?}"))?;
    let mut headers = Vec::new();
    loop {
        line.clear();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else {
            break;
        };
        headers.push((name.to_owned(), value.trim().to_owned()));
    }
    let mut answer = Answer {
        status,
        headers,
        body: String::new(),
    };
    let bytes = match (
        answer.header("transfer-encoding"),
        answer.header("content-length"),
    ) {
        (Some(_), _) => read_chunked(&mut reader)?,
        (None, Some(length)) => read_exactly(&mut reader, length.parse().context("bad length")?)?,
        (None, None) => {
            let mut bytes = Vec::new();
            reader.read_to_end(&mut bytes)?;
            bytes
        }
    };
    answer.body = String::from_utf8_lossy(&bytes).into_owned();
    Ok(answer)
}

fn read_chunked(reader: &mut impl BufRead) -> Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let size =
            usize::from_str_radix(line.trim_end(), 16).with_context(|| format!("chunk size {line:?}"))?;
        body.extend(read_exactly(reader, size)?);
        read_exactly(reader, 2)?;
        if size == 0 {
            return Ok(body);
        }
    }
}

fn read_exactly(reader: &mut impl Read, count: usize) -> Result<Vec<u8>> {
    let mut bytes = vec![0; count];
    reader.read_exact(&mut bytes).context("the answer broke off")?;
    Ok(bytes)
}

/// Splits a line at spaces outside quotes, as a shell does for the simple lines printed here.
fn words(line: &str) -> Result<Vec<String>> {
    let mut words = Vec::new();
    let mut current: Option<String> = None;
    let mut quote = None;
    for character in line.chars() {
        match (quote, character) {
            (Some(open), close) if open == close => quote = None,
            (None, '\'' | '"') => {
                quote = Some(character);
                current.get_or_insert_default();
            }
            (None, ' ') => words.extend(current.take()),
            _ => current.get_or_insert_default().push(character),
        }
    }
    if quote.is_some() {
        bail!("open quote in: {line}");
    }
    words.extend(current);
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_with_quotes_becomes_method_headers_body_and_target() {
        let line = r#"curl -i -H 'X-A: b c' -d '{"x": 1}' "http://localhost:8000/p?q=1&r=2""#;
        let curl = Curl::parse(line).unwrap();
        assert_eq!(curl.method, "POST");
        assert_eq!(
            (curl.host.as_str(), curl.port, curl.target.as_str()),
            ("localhost", 8_000, "/p?q=1&r=2")
        );
        assert_eq!(curl.headers, [("X-A".to_owned(), "b c".to_owned())]);
        assert_eq!(curl.body.as_deref(), Some("{\"x\": 1}"));
    }

    #[test]
    fn a_line_that_is_not_understood_is_refused_instead_of_half_done() {
        for line in [
            "curl --http3 http://a/",
            "wget http://a/",
            "curl -X",
            "curl 'http://a/",
            "curl -i",
        ] {
            assert!(Curl::parse(line).is_err(), "{line}");
        }
    }

    #[test]
    fn a_chunked_answer_is_put_together() {
        let wire =
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nVia: x\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
        let answer = read_answer(wire.as_bytes()).unwrap();
        assert_eq!(
            (answer.status, answer.body.as_str(), answer.header("via")),
            (200, "abcde", Some("x"))
        );
    }

    #[test]
    fn an_answer_that_breaks_off_is_an_error() {
        assert!(read_answer(&b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc"[..]).is_err());
    }
}
