//! Which path gives which answer.

use super::report::{self, Report};
use super::streams;
use super::{EchoOptions, MAX_BODY, MAX_BYTES, MAX_DELAY, MAX_LINES, query, websocket};
use bytes::Bytes;
use http::header::{ALLOW, AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue, WWW_AUTHENTICATE};
use http::{Method, Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use serde_json::{Value, json};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;
use subtle::ConstantTimeEq;

pub(super) type Answer = Response<UnsyncBoxBody<Bytes, Infallible>>;

const INDEX: &str = "Tidegate echo server\n\n\
    /get /post /put /patch /delete   the request as JSON, for that method\n\
    /anything, /anything/...         the request as JSON, for every method\n\
    /headers                         the headers of the request\n\
    /status/{n}                      an empty answer with status n\n\
    /delay/{seconds}                 the request as JSON, later (at most 10 s)\n\
    /bytes/{n}                       n random bytes (at most 10 MiB)\n\
    /stream/{n}                      n lines of JSON (at most 100)\n\
    /response-headers?name=value     an answer with these headers\n\
    /ws                              a WebSocket that sends everything back\n";

pub(super) async fn answer(request: Request<Incoming>, peer: SocketAddr, options: &EchoOptions) -> Answer {
    if !is_authorized(&request, options) {
        let mut answer = problem(
            StatusCode::UNAUTHORIZED,
            "the Authorization header is not the one demanded",
        );
        answer
            .headers_mut()
            .insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        return answer;
    }
    let path = request.uri().path().to_owned();
    let (first, rest) = split_path(&path);
    match (first, rest) {
        ("", "") => text(INDEX),
        ("get", "") => only(request, peer, &[Method::GET]).await,
        ("post", "") => only(request, peer, &[Method::POST]).await,
        ("put", "") => only(request, peer, &[Method::PUT]).await,
        ("patch", "") => only(request, peer, &[Method::PATCH]).await,
        ("delete", "") => only(request, peer, &[Method::DELETE]).await,
        ("anything", _) => echo(request, peer).await,
        ("headers", "") => pretty(
            StatusCode::OK,
            &json!({ "headers": report::shown_headers(request.headers(), request.uri()) }),
        ),
        ("status", code) => status(code),
        ("delay", seconds) => delay(request, peer, seconds).await,
        ("bytes", count) => match count.parse::<usize>() {
            Ok(count) => streams::bytes(count.min(MAX_BYTES), seed(&request)),
            Err(_) => problem(StatusCode::BAD_REQUEST, "expected /bytes/{n}"),
        },
        ("stream", count) => match count.parse::<usize>() {
            Ok(count) => streams::lines(count.min(MAX_LINES), report::brief(&request, peer)),
            Err(_) => problem(StatusCode::BAD_REQUEST, "expected /stream/{n}"),
        },
        ("response-headers", "") => response_headers(&request),
        ("ws", "") => websocket::accept(request),
        _ => problem(
            StatusCode::NOT_FOUND,
            "there is nothing at this path; / lists what there is",
        ),
    }
}

/// `/a/b/c` is `a` and `b/c`.
fn split_path(path: &str) -> (&str, &str) {
    let path = path.trim_start_matches('/');
    path.split_once('/').unwrap_or((path, ""))
}

/// The time of the comparison does not tell how much of the header was right.
fn is_authorized(request: &Request<Incoming>, options: &EchoOptions) -> bool {
    let Some(expected) = &options.authorization else {
        return true;
    };
    let mut values = request.headers().get_all(AUTHORIZATION).iter();
    match (values.next(), values.next()) {
        (Some(only), None) => bool::from(only.as_bytes().ct_eq(expected.as_bytes())),
        _ => false,
    }
}

/// The request as JSON, for the methods of the path. HEAD goes where GET does.
async fn only(request: Request<Incoming>, peer: SocketAddr, methods: &[Method]) -> Answer {
    let is_head_for_get = request.method() == Method::HEAD && methods.contains(&Method::GET);
    if is_head_for_get || methods.contains(request.method()) {
        return echo(request, peer).await;
    }
    let mut answer = problem(StatusCode::METHOD_NOT_ALLOWED, "this path is for another method");
    let names: Vec<&str> = methods.iter().map(Method::as_str).collect();
    if let Ok(allowed) = HeaderValue::from_str(&names.join(", ")) {
        answer.headers_mut().insert(ALLOW, allowed);
    }
    answer
}

async fn echo(request: Request<Incoming>, peer: SocketAddr) -> Answer {
    let (head, body) = request.into_parts();
    let body = match Limited::new(body, MAX_BODY).collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) if error.is::<LengthLimitError>() => {
            return problem(StatusCode::PAYLOAD_TOO_LARGE, "the body is too large to be shown");
        }
        Err(_) => return problem(StatusCode::BAD_REQUEST, "the body cannot be read"),
    };
    pretty(StatusCode::OK, &Report::new(&head, &body, peer).to_json())
}

fn status(code: &str) -> Answer {
    // 1xx are no final answers (RFC 9110 section 15.2).
    let code = code.parse::<u16>().ok().filter(|code| (200..=599).contains(code));
    match code.and_then(|code| StatusCode::from_u16(code).ok()) {
        Some(code) => {
            let mut answer = Response::new(full(Bytes::new()));
            *answer.status_mut() = code;
            answer
        }
        None => problem(
            StatusCode::BAD_REQUEST,
            "expected /status/{n} with a status from 200 to 599",
        ),
    }
}

async fn delay(request: Request<Incoming>, peer: SocketAddr, seconds: &str) -> Answer {
    let Some(delay) = delay_of(seconds) else {
        return problem(StatusCode::BAD_REQUEST, "expected /delay/{seconds}");
    };
    tokio::time::sleep(delay).await;
    echo(request, peer).await
}

/// The wait for the text of a path, capped; `None` when it is no time.
pub(super) fn delay_of(seconds: &str) -> Option<Duration> {
    let seconds = seconds.parse::<f64>().ok().filter(|seconds| *seconds >= 0.0)?;
    Some(Duration::try_from_secs_f64(seconds).map_or(MAX_DELAY, |delay| delay.min(MAX_DELAY)))
}

/// Headers of the query, and the same as JSON.
fn response_headers(request: &Request<Incoming>) -> Answer {
    let pairs = query::pairs(request.uri().query().unwrap_or_default());
    let mut answer = pretty(StatusCode::OK, &query::grouped(&pairs));
    for (name, value) in &pairs {
        let name = HeaderName::from_bytes(name.as_bytes());
        let value = HeaderValue::from_str(value);
        let (Ok(name), Ok(value)) = (name, value) else {
            return problem(StatusCode::BAD_REQUEST, "the query holds no legal headers");
        };
        match name.as_str() {
            // The frame of the message is not the client's to choose.
            "content-length" | "transfer-encoding" | "connection" | "upgrade" => {}
            "content-type" => drop(answer.headers_mut().insert(name, value)),
            _ => drop(answer.headers_mut().append(name, value)),
        }
    }
    answer
}

fn seed(request: &Request<Incoming>) -> Option<u64> {
    let pairs = query::pairs(request.uri().query().unwrap_or_default());
    pairs
        .iter()
        .find(|(name, _)| name == "seed")
        .and_then(|(_, value)| value.parse().ok())
}

pub(super) fn problem(status: StatusCode, message: &str) -> Answer {
    pretty(status, &json!({ "message": message }))
}

fn pretty(status: StatusCode, value: &Value) -> Answer {
    let mut answer = Response::new(full(Bytes::from(format!("{value:#}\n"))));
    *answer.status_mut() = status;
    answer
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer
}

fn text(text: &'static str) -> Answer {
    let mut answer = Response::new(full(Bytes::from_static(text.as_bytes())));
    answer.headers_mut().insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    answer
}

pub(super) fn full(bytes: Bytes) -> UnsyncBoxBody<Bytes, Infallible> {
    Full::new(bytes).boxed_unsync()
}
