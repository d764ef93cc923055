//! `/ws`: a WebSocket that sends every message back (RFC 6455).

mod frame;

use super::answers::{Answer, full, problem};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use frame::{CloseCode, Opcode, Received, close_frame, read_frame, write_frame};
use http::header::{
    CONNECTION, HeaderMap, HeaderName, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY,
    SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::{Method, Request, Response, StatusCode, Version};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use sha1::{Digest, Sha1};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};

/// RFC 6455 section 1.3.
const ACCEPT_SUFFIX: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// Answers the opening handshake (RFC 6455 section 4.2) and echoes until the client is done.
pub(super) fn accept(mut request: Request<Incoming>) -> Answer {
    let Some(key) = handshake_key(&request) else {
        let mut answer = problem(
            StatusCode::UPGRADE_REQUIRED,
            "this path takes WebSocket handshakes of version 13",
        );
        answer
            .headers_mut()
            .insert(UPGRADE, HeaderValue::from_static("websocket"));
        answer
            .headers_mut()
            .insert(CONNECTION, HeaderValue::from_static("upgrade"));
        answer
            .headers_mut()
            .insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
        return answer;
    };
    let upgrade = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        if let Ok(upgraded) = upgrade.await {
            // The client may leave at any time.
            let _ = echo(TokioIo::new(upgraded)).await;
        }
    });
    let mut answer = Response::new(full(Bytes::new()));
    *answer.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = answer.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    if let Ok(accept) = HeaderValue::from_str(&accept_of(&key)) {
        headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
    }
    answer
}

fn handshake_key(request: &Request<Incoming>) -> Option<String> {
    let headers = request.headers();
    let is_handshake = request.method() == Method::GET
        && request.version() == Version::HTTP_11
        && lists(headers, &CONNECTION, "upgrade")
        && lists(headers, &UPGRADE, "websocket")
        && headers
            .get(SEC_WEBSOCKET_VERSION)
            .is_some_and(|version| version == "13");
    let key = headers.get(SEC_WEBSOCKET_KEY)?.to_str().ok()?;
    let is_key = STANDARD.decode(key).is_ok_and(|nonce| nonce.len() == 16);
    (is_handshake && is_key).then(|| key.to_owned())
}

fn lists(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    let values = headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok());
    values
        .flat_map(|value| value.split(','))
        .any(|item| item.trim().eq_ignore_ascii_case(token))
}

fn accept_of(key: &str) -> String {
    STANDARD.encode(Sha1::digest(format!("{key}{ACCEPT_SUFFIX}")))
}

/// Frames go back one by one with their FIN bit, so a message comes back in the fragments it was sent in.
async fn echo(stream: impl AsyncRead + AsyncWrite + Unpin) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut is_fragmented = false;
    loop {
        let frame = match read_frame(&mut stream).await? {
            Received::Frame(frame) => frame,
            Received::Violation(code) => {
                stream.write_all(&close_frame(code)).await?;
                return stream.shutdown().await;
            }
        };
        match frame.opcode {
            Opcode::Pong => {}
            Opcode::Ping => write_frame(&mut stream, true, Opcode::Pong, &frame.payload).await?,
            Opcode::Close => {
                write_frame(&mut stream, true, Opcode::Close, &frame.payload).await?;
                return stream.shutdown().await;
            }
            Opcode::Continuation | Opcode::Text | Opcode::Binary => {
                // A continuation needs a message to continue, and nothing else may come in between.
                if (frame.opcode == Opcode::Continuation) != is_fragmented {
                    stream.write_all(&close_frame(CloseCode::PROTOCOL_ERROR)).await?;
                    return stream.shutdown().await;
                }
                is_fragmented = !frame.is_final;
                write_frame(&mut stream, frame.is_final, frame.opcode, &frame.payload).await?;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::accept_of;

    #[test]
    fn the_answer_to_a_key_is_that_of_rfc_6455_section_1_3() {
        assert_eq!(
            accept_of("dGhlIHNhbXBsZSBub25jZQ=="),
            "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
        );
    }
}
