//! The gRPC health protocol: one `Check` of the server as a whole.

use super::{Finding, ProbeError};
use crate::connect::Connected;
use bytes::{Bytes, BytesMut};
use h2::RecvStream;
use h2::client::{ResponseFuture, handshake};
use http::{HeaderMap, Method, Request};

const PATH: &str = "/grpc.health.v1.Health/Check";
/// A message of no bytes: the service's name is empty.
const WHOLE_SERVER: &[u8] = &[0, 0, 0, 0, 0];
/// Bytes of an answer that are looked at.
const MAX_ANSWER: usize = 1_024;
/// Length of what stands before a message.
const PREFIX: usize = 5;

/// gRPC status of a server that does not know the method.
const UNIMPLEMENTED: &str = "12";
/// Field 1 of the answer, a varint.
const STATUS_FIELD: u8 = 0x08;
const SERVING: u8 = 1;

pub(super) async fn check(
    connected: Connected,
    scheme: &str,
    authority: &str,
) -> Result<Finding, ProbeError> {
    let (sender, connection) = handshake(connected).await?;
    let asking = async {
        let mut sender = sender.ready().await?;
        let request = Request::builder()
            .method(Method::POST)
            .uri(format!("{scheme}://{authority}{PATH}"))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(())?;
        let (response, mut body) = sender.send_request(request, false)?;
        body.send_data(Bytes::from_static(WHOLE_SERVER), true)?;
        judge(response).await
    };
    tokio::select! {
        biased;
        found = asking => found,
        ended = connection => {
            ended?;
            Err(ProbeError::Closed)
        }
    }
}

async fn judge(response: ResponseFuture) -> Result<Finding, ProbeError> {
    let (head, mut body) = response.await?.into_parts();
    if !head.status.is_success() {
        return Ok(Finding::Status(head.status.as_u16()));
    }
    let message = read(&mut body).await?;
    let trailers = body.trailers().await?;
    let status = grpc_status(&head.headers).or_else(|| grpc_status(trailers.as_ref()?));
    Ok(match (status, message.get(PREFIX..)) {
        // A server that speaks gRPC and has no word on its health is there.
        (Some(UNIMPLEMENTED), _) | (Some("0"), Some([STATUS_FIELD, SERVING, ..])) => Finding::Alive,
        (Some("0"), Some([STATUS_FIELD, word, ..])) => Finding::NotServing(format!("status {word}").into()),
        (Some("0"), _) => Finding::NotServing("status unknown".into()),
        (Some(status), _) => Finding::NotServing(format!("grpc-status {status}").into()),
        (None, _) => Finding::Status(0),
    })
}

async fn read(body: &mut RecvStream) -> Result<BytesMut, ProbeError> {
    let mut message = BytesMut::new();
    while let Some(chunk) = body.data().await {
        let chunk = chunk?;
        body.flow_control().release_capacity(chunk.len())?;
        if message.len() < MAX_ANSWER {
            message.extend_from_slice(&chunk);
        }
    }
    Ok(message)
}

fn grpc_status(headers: &HeaderMap) -> Option<&str> {
    headers.get("grpc-status")?.to_str().ok()
}
