//! Tells HTTP/2 with prior knowledge from HTTP/1 by the first bytes (RFC 9113 section 3.4).

use std::io;
use tokio::io::{AsyncRead, AsyncReadExt};

const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// What a client speaks, with the bytes that were read to find out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientProtocol {
    /// HTTP/1, or nothing sane.
    Http1(Vec<u8>),
    /// HTTP/2.
    Http2(Vec<u8>),
}

/// Reads the first bytes of a cleartext connection; at most 24 are taken.
///
/// The caller bounds the time, as for a head.
///
/// # Errors
/// Fails when reading fails or the client closes without a byte.
pub async fn sniff<S: AsyncRead + Unpin>(stream: &mut S) -> io::Result<ClientProtocol> {
    let mut first = [0_u8; PREFACE.len()];
    let mut len = 0;
    loop {
        let room = first.get_mut(len..).unwrap_or_default();
        let count = stream.read(room).await?;
        len += count;
        let seen = first.get(..len).unwrap_or_default();
        if !PREFACE.starts_with(seen) {
            return Ok(ClientProtocol::Http1(seen.to_vec()));
        }
        if len == PREFACE.len() {
            return Ok(ClientProtocol::Http2(seen.to_vec()));
        }
        if count == 0 {
            return match len {
                0 => Err(io::ErrorKind::UnexpectedEof.into()),
                _ => Ok(ClientProtocol::Http1(seen.to_vec())),
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn sniffed(bytes: &'static [u8], then_close: bool) -> ClientProtocol {
        let (mut client, mut server) = tokio::io::duplex(7);
        let writing = async {
            tokio::io::AsyncWriteExt::write_all(&mut client, bytes)
                .await
                .unwrap();
            if then_close {
                drop(client);
            }
        };
        let (protocol, ()) = tokio::join!(sniff(&mut server), writing);
        protocol.unwrap()
    }

    #[tokio::test]
    async fn the_preface_means_http_2_however_it_is_split() {
        assert_eq!(
            sniffed(PREFACE, false).await,
            ClientProtocol::Http2(PREFACE.to_vec())
        );
    }

    #[tokio::test]
    async fn anything_else_means_http_1_and_loses_no_byte() {
        assert_eq!(
            sniffed(b"GET", false).await,
            ClientProtocol::Http1(b"GET".to_vec())
        );
        assert_eq!(sniffed(b"P", true).await, ClientProtocol::Http1(b"P".to_vec()));
        assert_eq!(
            sniffed(b"PRI * X", false).await,
            ClientProtocol::Http1(b"PRI * X".to_vec())
        );
    }

    #[tokio::test]
    async fn a_connection_closed_without_a_byte_is_an_error() {
        let (client, mut server) = tokio::io::duplex(7);
        drop(client);
        assert_eq!(
            sniff(&mut server).await.unwrap_err().kind(),
            io::ErrorKind::UnexpectedEof
        );
    }
}
