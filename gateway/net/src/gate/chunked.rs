//! Follows a chunked body (RFC 9112 section 7.1) strictly: one reading, or none.

use super::bytes;
use super::fault::RequestFault;
use super::limits::GateLimits;

/// Longest chunk size, in hexadecimal digits.
const MAX_SIZE_DIGITS: u8 = 16;
/// Longest name on the list of forbidden trailers; longer names need not be kept to compare them.
const MAX_KEPT_NAME: usize = 32;

/// Fields that steer framing, routing, authentication or the reading of the content and so must not come late
/// (RFC 9110 section 6.5.1).
const FORBIDDEN_TRAILERS: [&str; 26] = [
    "authorization",
    "cache-control",
    "connection",
    "content-encoding",
    "content-length",
    "content-range",
    "content-type",
    "cookie",
    "expect",
    "host",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "keep-alive",
    "max-forwards",
    "pragma",
    "proxy-authorization",
    "proxy-connection",
    "range",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "x-forwarded-for",
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expecting {
    Size,
    Extension,
    SizeLf,
    Data,
    DataCr,
    DataLf,
    TrailerName,
    TrailerValue,
    TrailerLf,
    FinalLf,
}

/// The state of one chunked body.
#[derive(Clone, Debug)]
pub(super) struct ChunkScanner {
    expecting: Expecting,
    size: u64,
    size_digits: u8,
    extension_bytes: usize,
    trailer_count: usize,
    trailer_bytes: usize,
    trailer_name: Vec<u8>,
}

/// What a scan found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Scanned {
    /// Bytes that belong to the body and are good.
    pub(super) used: usize,
    /// The outcome after them.
    pub(super) outcome: Outcome,
}

/// The outcome of a scan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// All bytes are used and the body goes on.
    GoesOn,
    /// The body has ended.
    Ended,
    /// The next byte breaks the framing.
    Broken(RequestFault),
}

impl ChunkScanner {
    /// At the start of a body.
    pub(super) const fn new() -> Self {
        Self {
            expecting: Expecting::Size,
            size: 0,
            size_digits: 0,
            extension_bytes: 0,
            trailer_count: 0,
            trailer_bytes: 0,
            trailer_name: Vec::new(),
        }
    }

    /// Follows `input`, the bytes after those of earlier calls.
    pub(super) fn scan(&mut self, input: &[u8], limits: &GateLimits) -> Scanned {
        let mut used = 0;
        while let Some(&byte) = input.get(used) {
            if self.expecting == Expecting::Data {
                let available = (input.len() - used) as u64;
                let taken = self.size.min(available);
                self.size -= taken;
                // At most the length of a slice.
                used += usize::try_from(taken).unwrap_or(input.len());
                if self.size == 0 {
                    self.expecting = Expecting::DataCr;
                }
                continue;
            }
            match self.step(byte, limits) {
                Ok(false) => used += 1,
                Ok(true) => {
                    return Scanned {
                        used: used + 1,
                        outcome: Outcome::Ended,
                    };
                }
                Err(reason) => {
                    return Scanned {
                        used,
                        outcome: Outcome::Broken(RequestFault::bad(reason)),
                    };
                }
            }
        }
        Scanned {
            used,
            outcome: Outcome::GoesOn,
        }
    }

    /// Takes one byte of framing; true when it ends the body.
    fn step(&mut self, byte: u8, limits: &GateLimits) -> Result<bool, &'static str> {
        match self.expecting {
            Expecting::Size => self.size_byte(byte)?,
            Expecting::Extension => self.extension_byte(byte, limits)?,
            Expecting::SizeLf => {
                require(byte, b'\n', "chunk size without a CRLF")?;
                self.expecting = if self.size == 0 {
                    Expecting::TrailerName
                } else {
                    Expecting::Data
                };
                self.size_digits = 0;
            }
            Expecting::Data | Expecting::DataCr => {
                require(byte, b'\r', "chunk longer than its size")?;
                self.expecting = Expecting::DataLf;
            }
            Expecting::DataLf => {
                require(byte, b'\n', "chunk without a CRLF")?;
                self.expecting = Expecting::Size;
            }
            Expecting::TrailerName => self.trailer_name_byte(byte, limits)?,
            Expecting::TrailerValue => {
                self.count_trailer_byte(limits)?;
                match byte {
                    b'\r' => self.expecting = Expecting::TrailerLf,
                    _ if bytes::is_clean_value(&[byte]) => {}
                    _ => return Err("control byte in a trailer"),
                }
            }
            Expecting::TrailerLf => {
                self.count_trailer_byte(limits)?;
                require(byte, b'\n', "trailer without a CRLF")?;
                self.trailer_name.clear();
                self.expecting = Expecting::TrailerName;
            }
            Expecting::FinalLf => {
                require(byte, b'\n', "chunked body without its last CRLF")?;
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn size_byte(&mut self, byte: u8) -> Result<(), &'static str> {
        if let Some(digit) = char::from(byte).to_digit(16) {
            if self.size_digits == MAX_SIZE_DIGITS || self.size >> 59 != 0 {
                return Err("chunk size overflows");
            }
            self.size_digits += 1;
            self.size = (self.size << 4) | u64::from(digit);
            return Ok(());
        }
        if self.size_digits == 0 {
            return Err("chunk without a size");
        }
        self.expecting = match byte {
            b'\r' => Expecting::SizeLf,
            b';' => Expecting::Extension,
            _ => return Err("invalid chunk size"),
        };
        Ok(())
    }

    fn extension_byte(&mut self, byte: u8, limits: &GateLimits) -> Result<(), &'static str> {
        if byte == b'\r' {
            self.expecting = Expecting::SizeLf;
            return Ok(());
        }
        self.extension_bytes += 1;
        if self.extension_bytes > limits.max_chunk_extensions {
            return Err("chunk extensions longer than the limit");
        }
        if bytes::is_clean_value(&[byte]) {
            Ok(())
        } else {
            Err("control byte in a chunk extension")
        }
    }

    fn trailer_name_byte(&mut self, byte: u8, limits: &GateLimits) -> Result<(), &'static str> {
        if byte == b'\r' && self.trailer_name.is_empty() {
            self.expecting = Expecting::FinalLf;
            return Ok(());
        }
        self.count_trailer_byte(limits)?;
        if byte == b':' && !self.trailer_name.is_empty() {
            if FORBIDDEN_TRAILERS
                .iter()
                .any(|name| self.trailer_name.eq_ignore_ascii_case(name.as_bytes()))
            {
                return Err("forbidden trailer");
            }
            self.trailer_count += 1;
            if self.trailer_count > limits.max_trailer_count {
                return Err("more trailers than the limit");
            }
            self.expecting = Expecting::TrailerValue;
            return Ok(());
        }
        if !bytes::is_token_byte(byte) {
            return Err("invalid trailer name");
        }
        if self.trailer_name.len() < MAX_KEPT_NAME {
            self.trailer_name.push(byte);
        }
        Ok(())
    }

    fn count_trailer_byte(&mut self, limits: &GateLimits) -> Result<(), &'static str> {
        self.trailer_bytes += 1;
        if self.trailer_bytes > limits.max_trailer_bytes {
            return Err("trailers longer than the limit");
        }
        Ok(())
    }
}

fn require(byte: u8, wanted: u8, otherwise: &'static str) -> Result<(), &'static str> {
    if byte == wanted { Ok(()) } else { Err(otherwise) }
}

#[cfg(test)]
mod tests;
