//! A strict reader of HTTP/1.1 messages: what a lenient library would forgive fails the test.

use std::fmt;
use tokio::io::{AsyncRead, AsyncReadExt};

/// Header fields in order, names as they were sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers(pub Vec<(String, String)>);

impl Headers {
    /// The first field of that name, in any case.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// All fields of that name, in any case.
    #[must_use]
    pub fn all(&self, name: &str) -> Vec<&str> {
        let same = self
            .0
            .iter()
            .filter(|(known, _)| known.eq_ignore_ascii_case(name));
        same.map(|(_, value)| value.as_str()).collect()
    }

    /// Whether there is such a field.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    pub(crate) fn parse(lines: &str) -> Result<Self, String> {
        let mut headers = Vec::new();
        for line in lines.split("\r\n").filter(|line| !line.is_empty()) {
            let (name, value) = line
                .split_once(':')
                .ok_or_else(|| format!("header line without colon: {line:?}"))?;
            if name.is_empty() || name.contains([' ', '\t', '\r', '\n']) {
                return Err(format!("bad header name in {line:?}"));
            }
            if value.contains(['\r', '\n', '\0']) {
                return Err(format!("control character in {line:?}"));
            }
            headers.push((name.to_owned(), value.trim_matches([' ', '\t']).to_owned()));
        }
        Ok(Self(headers))
    }
}

/// A response as it came over the wire.
#[derive(Clone)]
pub struct Response {
    /// Status code.
    pub status: u16,
    /// `HTTP/1.1` or `HTTP/1.0`.
    pub version: String,
    /// Header fields.
    pub headers: Headers,
    /// Body without its framing.
    pub body: Vec<u8>,
    /// Trailer fields of a chunked body.
    pub trailers: Headers,
}

impl Response {
    /// A header, or empty.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap_or("")
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("no JSON ({error}): {self:?}"))
    }

    /// The member `message` of a JSON body, or empty.
    #[must_use]
    pub fn message(&self) -> String {
        self.json()["message"].as_str().unwrap_or_default().to_owned()
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} {}", self.version, self.status)?;
        for (name, value) in &self.headers.0 {
            writeln!(f, "{name}: {value}")?;
        }
        let shown = &self.body[..self.body.len().min(2_000)];
        write!(f, "\n{}", String::from_utf8_lossy(shown))
    }
}

/// Reads messages from a stream, keeping what it read too far.
#[derive(Debug)]
pub struct Reader<S> {
    /// The stream.
    pub stream: S,
    /// Bytes read and not yet used.
    pub buffer: Vec<u8>,
}

/// Why a message could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReadError {
    /// The stream ended before the first byte.
    Closed,
    /// The stream ended or broke in the middle.
    CutOff(String),
    /// The bytes are no HTTP/1 message.
    Malformed(String),
    /// Nothing more came in time.
    Silent,
}

impl<S: AsyncRead + Unpin> Reader<S> {
    /// A reader at the start of a stream.
    pub fn new(stream: S) -> Self {
        Self {
            stream,
            buffer: Vec::new(),
        }
    }

    /// Reads more bytes; false at the end of the stream.
    pub async fn fill(&mut self) -> Result<bool, ReadError> {
        let mut chunk = [0; 16_384];
        match self.stream.read(&mut chunk).await {
            Ok(0) => Ok(false),
            Ok(count) => {
                self.buffer.extend_from_slice(&chunk[..count]);
                Ok(true)
            }
            Err(error) if self.buffer.is_empty() && error.kind() == std::io::ErrorKind::ConnectionReset => {
                Err(ReadError::Closed)
            }
            Err(error) => Err(ReadError::CutOff(error.to_string())),
        }
    }

    /// Takes a head, up to and with the empty line.
    pub async fn head(&mut self) -> Result<String, ReadError> {
        loop {
            if let Some(end) = find(&self.buffer, b"\r\n\r\n") {
                let head: Vec<u8> = self.buffer.drain(..end + 4).collect();
                // Latin-1: every byte shows, none is replaced.
                return Ok(head.into_iter().map(char::from).collect());
            }
            if !self.fill().await? {
                return Err(if self.buffer.is_empty() {
                    ReadError::Closed
                } else {
                    ReadError::CutOff(String::from_utf8_lossy(&self.buffer).into_owned())
                });
            }
        }
    }

    /// Takes exactly `count` bytes.
    pub async fn exactly(&mut self, count: usize) -> Result<Vec<u8>, ReadError> {
        while self.buffer.len() < count {
            if !self.fill().await? {
                return Err(ReadError::CutOff(format!(
                    "body ended after {} of {count} bytes",
                    self.buffer.len()
                )));
            }
        }
        Ok(self.buffer.drain(..count).collect())
    }

    /// Takes a chunked body with its trailers.
    pub async fn chunked(&mut self) -> Result<(Vec<u8>, Headers), ReadError> {
        let mut body = Vec::new();
        loop {
            let line = self.line().await?;
            let size = line.split(';').next().unwrap_or_default();
            let size = usize::from_str_radix(size, 16)
                .map_err(|_| ReadError::Malformed(format!("chunk size {line:?}")))?;
            if size == 0 {
                let mut trailers = String::new();
                loop {
                    let line = self.line().await?;
                    if line.is_empty() {
                        return Ok((body, Headers::parse(&trailers).map_err(ReadError::Malformed)?));
                    }
                    trailers.push_str(&line);
                    trailers.push_str("\r\n");
                }
            }
            body.extend(self.exactly(size).await?);
            if self.exactly(2).await? != b"\r\n" {
                return Err(ReadError::Malformed(
                    "chunk without CRLF after its data".to_owned(),
                ));
            }
        }
    }

    async fn line(&mut self) -> Result<String, ReadError> {
        loop {
            if let Some(end) = find(&self.buffer, b"\r\n") {
                let line: Vec<u8> = self.buffer.drain(..end + 2).collect();
                return Ok(line[..end].iter().copied().map(char::from).collect());
            }
            if !self.fill().await? {
                return Err(ReadError::CutOff("body ended inside its framing".to_owned()));
            }
        }
    }

    /// Takes one response; `method` decides whether a body may follow (RFC 9112 §6.3).
    pub async fn response(&mut self, method: &str) -> Result<Response, ReadError> {
        let head = self.head().await?;
        let (status_line, fields) = head.split_once("\r\n").unwrap_or((&head, ""));
        let mut words = status_line.splitn(3, ' ');
        let version = words.next().unwrap_or_default().to_owned();
        let status = words.next().and_then(|status| status.parse().ok());
        let (Some(status), true) = (status, version.starts_with("HTTP/1.")) else {
            return Err(ReadError::Malformed(format!("status line {status_line:?}")));
        };
        let headers = Headers::parse(fields).map_err(ReadError::Malformed)?;
        let mut response = Response {
            status,
            version,
            headers,
            body: Vec::new(),
            trailers: Headers::default(),
        };
        let is_bodiless = method == "HEAD" || status < 200 || status == 204 || status == 304;
        if is_bodiless {
            return Ok(response);
        }
        if response
            .header("transfer-encoding")
            .eq_ignore_ascii_case("chunked")
        {
            if response.headers.has("content-length") {
                return Err(ReadError::Malformed(format!("both framings: {response:?}")));
            }
            (response.body, response.trailers) = self.chunked().await?;
        } else if let Some(length) = response.headers.get("content-length") {
            let length = length
                .parse()
                .map_err(|_| ReadError::Malformed(format!("length {length:?}")))?;
            response.body = self.exactly(length).await?;
        } else {
            while self.fill().await? {}
            response.body = std::mem::take(&mut self.buffer);
        }
        Ok(response)
    }
}

/// Position of `needle` in `haystack`.
#[must_use]
pub fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}
