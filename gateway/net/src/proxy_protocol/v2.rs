//! Version 2: binary.

use super::{ProxiedAddresses, ProxyHeader, ProxyProtocolError};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use tokio::io::{AsyncRead, AsyncReadExt};

pub(super) const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
/// Longest accepted rest of a header: addresses and extensions (which are skipped).
const MAX_REST: u16 = 2_048;

const LOCAL: u8 = 0x20;
const PROXY: u8 = 0x21;

/// Reads what follows the signature.
pub(super) async fn read<S: AsyncRead + Unpin>(stream: &mut S) -> Result<ProxyHeader, ProxyProtocolError> {
    let command = stream.read_u8().await?;
    let family = stream.read_u8().await?;
    let len = stream.read_u16().await?;
    if !matches!(command, LOCAL | PROXY) {
        return Err(ProxyProtocolError::Malformed("unknown version or command"));
    }
    if len > MAX_REST {
        return Err(ProxyProtocolError::Malformed("header longer than 2,064 bytes"));
    }
    let mut rest = vec![0; usize::from(len)];
    stream.read_exact(&mut rest).await?;
    if command == LOCAL {
        return Ok(ProxyHeader::default());
    }
    let addresses = match family >> 4 {
        1 => Some(addresses::<4>(&rest, |octets| Ipv4Addr::from(octets).into())),
        2 => Some(addresses::<16>(&rest, |octets| Ipv6Addr::from(octets).into())),
        // Unspecified and unix: the receiver keeps the addresses of the socket.
        0 | 3 => None,
        _ => return Err(ProxyProtocolError::Malformed("unknown address family")),
    };
    match addresses {
        Some(None) => Err(ProxyProtocolError::Malformed("addresses cut off")),
        Some(addresses) => Ok(ProxyHeader { addresses }),
        None => Ok(ProxyHeader::default()),
    }
}

/// Two addresses of `N` bytes, then two ports.
fn addresses<const N: usize>(rest: &[u8], ip: impl Fn([u8; N]) -> IpAddr) -> Option<ProxiedAddresses> {
    let (source, rest) = rest.split_first_chunk::<N>()?;
    let (destination, rest) = rest.split_first_chunk::<N>()?;
    let (source_port, rest) = rest.split_first_chunk::<2>()?;
    let (destination_port, _) = rest.split_first_chunk::<2>()?;
    Some(ProxiedAddresses {
        source: SocketAddr::new(ip(*source), u16::from_be_bytes(*source_port)),
        destination: SocketAddr::new(ip(*destination), u16::from_be_bytes(*destination_port)),
    })
}
