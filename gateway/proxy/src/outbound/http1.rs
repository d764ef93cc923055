//! Calls over HTTP/1.1.

use super::headers_to_send;
use super::place::Place;
use crate::bodies::UpstreamBody;
use crate::worker::Worker;
use bytes::{BufMut, BytesMut};
use http::header::{CONTENT_LENGTH, HOST};
use http::uri::PathAndQuery;
use http::{HeaderValue, Method};
use std::future::poll_fn;
use std::rc::Rc;
use tidegate_net::http1::{BodyFraming, put_header};
use tidegate_net::pool::{Http1Lease, Lease};
use tidegate_plugin::filter::{OutboundCall, OutboundError, OutboundResponse};

/// Kept connections that may turn out dead before a fresh one is made.
const MAX_REUSES: usize = 3;

pub(super) async fn call(worker: &Rc<Worker>, call: OutboundCall) -> Result<OutboundResponse, OutboundError> {
    // Written into the request line as it is.
    let path = PathAndQuery::try_from(call.path.as_str()).map_err(|_| OutboundError::Reset)?;
    let place = Place::of(worker, &call).await?;
    let key = place.key(false);
    for _ in 0..MAX_REUSES {
        let Some(Lease::Http1(lease)) = worker.pool.reuse(key) else {
            break;
        };
        match exchange(lease, &call, &path, &place.host).await {
            Err(Attempt::Unsent) => {}
            Err(Attempt::Failed(error)) => return Err(error),
            Ok(response) => return Ok(response),
        }
    }
    let connected = place.connect(false).await?;
    let lease = worker
        .pool
        .open(key, connected, place.owner())
        .await
        .map_err(|_| OutboundError::Connect)?;
    let Lease::Http1(lease) = lease else {
        return Err(OutboundError::Connect);
    };
    exchange(lease, &call, &path, &place.host)
        .await
        .map_err(|attempt| match attempt {
            Attempt::Unsent => OutboundError::Reset,
            Attempt::Failed(error) => error,
        })
}

/// Why there is no answer on a connection.
enum Attempt {
    /// It was dead: nothing was sent.
    Unsent,
    Failed(OutboundError),
}

async fn exchange(
    mut lease: Http1Lease<UpstreamBody>,
    call: &OutboundCall,
    path: &PathAndQuery,
    host: &HeaderValue,
) -> Result<OutboundResponse, Attempt> {
    let framing = framing(call);
    let body = (!call.body.is_empty()).then(|| UpstreamBody::Whole(Some(call.body.clone())));
    let out = lease.connection.begin(body, framing, call.method == Method::HEAD);
    write_head(call, path, host, framing, out);
    let head = match poll_fn(|cx| lease.connection.poll_head(cx)).await {
        Ok(head) => head,
        Err(_) if !lease.connection.is_begun() => return Err(Attempt::Unsent),
        Err(_) => return Err(Attempt::Failed(OutboundError::Reset)),
    };
    let mut body = BytesMut::new();
    let mut trailers = None;
    while let Some(frame) = poll_fn(|cx| lease.connection.poll_frame(cx)).await {
        match frame
            .map_err(|_| Attempt::Failed(OutboundError::Reset))?
            .into_data()
        {
            Ok(data) if body.len() + data.len() > call.max_response_bytes => {
                return Err(Attempt::Failed(OutboundError::TooLarge));
            }
            Ok(data) => body.extend_from_slice(&data),
            Err(frame) => trailers = frame.into_trailers().ok(),
        }
    }
    lease.give_back();
    Ok(OutboundResponse {
        status: head.status,
        headers: head.headers,
        body: body.freeze(),
        trailers,
    })
}

fn framing(call: &OutboundCall) -> BodyFraming {
    if call.body.is_empty() && !matches!(call.method, Method::POST | Method::PUT | Method::PATCH) {
        return BodyFraming::Empty;
    }
    BodyFraming::Sized(call.body.len() as u64)
}

fn write_head(
    call: &OutboundCall,
    path: &PathAndQuery,
    host: &HeaderValue,
    framing: BodyFraming,
    out: &mut BytesMut,
) {
    out.put_slice(call.method.as_str().as_bytes());
    out.put_u8(b' ');
    out.put_slice(path.as_str().as_bytes());
    out.put_slice(b" HTTP/1.1\r\n");
    put_header(
        out,
        HOST.as_str(),
        call.authority.as_ref().unwrap_or(host).as_bytes(),
    );
    for (name, value) in headers_to_send(&call.headers) {
        put_header(out, name.as_str(), value.as_bytes());
    }
    if let BodyFraming::Sized(length) = framing {
        put_header(out, CONTENT_LENGTH.as_str(), length.to_string().as_bytes());
    }
    out.put_slice(b"\r\n");
}
