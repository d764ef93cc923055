//! Bounds of a request head and of the lines around a chunked body.

use std::time::Duration;

/// Limits that the gate enforces; the defaults are those of Kong's nginx where it has one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GateLimits {
    /// Longest request line without its line end, bytes; past it 414. At most 65,000 are honoured, because a longer
    /// target cannot be represented.
    pub max_request_line: usize,
    /// Longest header line without its line end, bytes.
    pub max_header_line: usize,
    /// All header lines with their line ends, bytes.
    pub max_header_bytes: usize,
    /// Header lines per request. The HTTP server behind the gate must accept at least as many.
    pub max_header_count: usize,
    /// Empty lines tolerated before a request line.
    pub max_blank_lines: usize,
    /// Chunk extensions of one body in total, bytes.
    pub max_chunk_extensions: usize,
    /// Trailer lines of one body.
    pub max_trailer_count: usize,
    /// Trailer lines of one body with their line ends, bytes.
    pub max_trailer_bytes: usize,
    /// How long the rest of an unread request is drained after an early answer, so that the answer is not lost in a
    /// reset.
    pub linger: Duration,
    /// How much of it is drained, bytes.
    pub max_linger_bytes: usize,
}

impl Default for GateLimits {
    fn default() -> Self {
        Self {
            max_request_line: 8_192,
            max_header_line: 8_192,
            max_header_bytes: 32_768,
            max_header_count: 200,
            max_blank_lines: 8,
            max_chunk_extensions: 8_192,
            max_trailer_count: 64,
            max_trailer_bytes: 8_192,
            linger: Duration::from_secs(2),
            max_linger_bytes: 8 << 20,
        }
    }
}
