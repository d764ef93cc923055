//! Version 1: a line of text.

use super::{ProxiedAddresses, ProxyHeader, ProxyProtocolError, START};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use tokio::io::{AsyncRead, AsyncReadExt};

pub(super) const SIGNATURE: &[u8] = b"PROXY ";
/// The longest line that the specification allows, line end included.
const MAX_LINE: usize = 107;
/// The shortest line with addresses; so many bytes can be read at once without reading too far.
const MIN_LINE: usize = "PROXY TCP6 :: :: 0 0\r\n".len();

/// Reads the rest of the line after its first bytes.
pub(super) async fn read<S: AsyncRead + Unpin>(
    stream: &mut S,
    start: &[u8; START],
) -> Result<ProxyHeader, ProxyProtocolError> {
    let mut line = Vec::with_capacity(MAX_LINE);
    line.extend_from_slice(start);
    if start.starts_with(b"PROXY TCP") {
        let mut more = [0; MIN_LINE - START];
        stream.read_exact(&mut more).await?;
        line.extend_from_slice(&more);
    }
    while line.last() != Some(&b'\n') {
        if line.len() == MAX_LINE {
            return Err(ProxyProtocolError::Malformed("line longer than 107 bytes"));
        }
        line.push(stream.read_u8().await?);
    }
    let text = line
        .strip_suffix(b"\r\n")
        .and_then(|line| str::from_utf8(line).ok());
    parse(text.ok_or(ProxyProtocolError::Malformed("line without a CRLF"))?)
}

fn parse(line: &str) -> Result<ProxyHeader, ProxyProtocolError> {
    let mut words = line.split(' ').skip(1);
    let family = words.next().unwrap_or_default();
    if family == "UNKNOWN" {
        return Ok(ProxyHeader::default());
    }
    let mut address = || -> Option<IpAddr> {
        let word = words.next()?;
        match family {
            "TCP4" => word.parse::<Ipv4Addr>().ok().map(IpAddr::from),
            "TCP6" => word.parse::<Ipv6Addr>().ok().map(IpAddr::from),
            _ => None,
        }
    };
    let (source, destination) = (address(), address());
    let (source_port, destination_port) = (words.next().and_then(port), words.next().and_then(port));
    match (source, destination, source_port, destination_port, words.next()) {
        (Some(source), Some(destination), Some(source_port), Some(destination_port), None) => {
            Ok(ProxyHeader {
                addresses: Some(ProxiedAddresses {
                    source: SocketAddr::new(source, source_port),
                    destination: SocketAddr::new(destination, destination_port),
                }),
            })
        }
        _ => Err(ProxyProtocolError::Malformed(
            "line without two addresses and two ports",
        )),
    }
}

fn port(word: &str) -> Option<u16> {
    word.bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| word.parse().ok())
        .flatten()
}
