//! What the gateway itself answers: the only place that decides status, body and headers of a reply (kong-core E.3).

use crate::settings::{ErrorPages, MediaType};
use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, StatusCode};
use tidegate_plugin::headers::{GRPC_MESSAGE, GRPC_STATUS};
use tidegate_plugin::reply::{Reply, ReplyBody};

/// Which part of the gateway makes an error page: they differ in what they assume of a silent client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Producer {
    /// Routing and plugins: JSON unless `Accept` says otherwise.
    Core,
    /// The HTTP layer and the upstream side: `Accept`, then `Content-Type`, then `error_default_type`.
    HttpLayer,
}

/// A reply turned into a response head and a body.
pub(crate) struct Rendered {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// Renders a reply for a request with those headers.
pub(crate) fn render(
    reply: Reply,
    request: &HeaderMap,
    request_id: &HeaderValue,
    pages: &ErrorPages,
    producer: Producer,
) -> Rendered {
    let mut headers = HeaderMap::with_capacity(12);
    for (name, value) in reply.headers {
        headers.append(name, value);
    }
    let is_grpc = request
        .get(CONTENT_TYPE)
        .is_some_and(|value| value.as_bytes().starts_with(b"application/grpc"));
    let body = match reply.body {
        ReplyBody::Empty => Bytes::new(),
        ReplyBody::Raw(bytes) => bytes,
        ReplyBody::Json { message, .. } if is_grpc => {
            grpc_headers(
                &mut headers,
                reply.status,
                message.as_deref().unwrap_or_else(|| grpc_name(reply.status)),
            );
            Bytes::new()
        }
        ReplyBody::Json { bytes, .. } => {
            headers
                .entry(CONTENT_TYPE)
                .or_insert_with(|| MediaType::Json.content_type());
            bytes
        }
        ReplyBody::Error(message) => {
            let media = if is_grpc {
                Page::Of(MediaType::Grpc)
            } else {
                negotiate(request, pages, producer)
            };
            error_page(&mut headers, reply.status, &message, request_id, pages, media)
        }
    };
    if has_length(reply.status) {
        headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
    }
    Rendered {
        status: reply.status,
        headers,
        body,
    }
}

fn has_length(status: StatusCode) -> bool {
    !(status.is_informational() || status == StatusCode::NO_CONTENT || status == StatusCode::NOT_MODIFIED)
}

fn error_page(
    headers: &mut HeaderMap,
    status: StatusCode,
    message: &str,
    request_id: &HeaderValue,
    pages: &ErrorPages,
    page: Page,
) -> Bytes {
    let media = match page {
        Page::Of(media) => media,
        Page::BareJson => {
            headers.insert(CONTENT_TYPE, MediaType::Json.content_type());
            return Bytes::from(format!(
                "{{\"message\":\"{}\"}}",
                escape(message, MediaType::Json)
            ));
        }
    };
    headers.insert(CONTENT_TYPE, media.content_type());
    let template = match media {
        MediaType::Json => &pages.json,
        MediaType::Html => &pages.html,
        MediaType::Xml => &pages.xml,
        MediaType::Plain => &pages.plain,
        MediaType::Grpc => {
            grpc_headers(headers, status, grpc_name(status));
            return Bytes::new();
        }
    };
    Bytes::from(fill(
        template,
        &escape(message, media),
        request_id.to_str().unwrap_or_default(),
    ))
}

/// Puts message and request id in the place of the first and the second `%s`.
fn fill(template: &str, message: &str, request_id: &str) -> String {
    template
        .replacen("%s", "\u{0}", 1)
        .replacen("%s", request_id, 1)
        .replacen('\u{0}', message, 1)
}

/// Kong inserts messages as they are; a quote would break the document, so ours are escaped.
fn escape(message: &str, media: MediaType) -> String {
    match media {
        MediaType::Json => {
            let quoted = serde_json::Value::from(message).to_string();
            quoted
                .get(1..quoted.len().saturating_sub(1))
                .unwrap_or_default()
                .to_owned()
        }
        MediaType::Html | MediaType::Xml => message
            .replace('&', "&amp;")
            .replace('<', "&lt;")
            .replace('>', "&gt;"),
        MediaType::Plain | MediaType::Grpc => message.to_owned(),
    }
}

/// The page that a client gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Page {
    Of(MediaType),
    /// `Accept: application/grpc` on a request that is not gRPC: JSON without request id, as Kong answers.
    BareJson,
}

fn negotiate(request: &HeaderMap, pages: &ErrorPages, producer: Producer) -> Page {
    let accept = request.get(ACCEPT).and_then(|value| value.to_str().ok());
    match (accept, producer) {
        (Some(accept), _) => best_of(accept),
        (None, Producer::Core) => Page::Of(MediaType::Json),
        (None, Producer::HttpLayer) => {
            match request.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()) {
                Some(content_type) => best_of(content_type),
                None => Page::Of(pages.default_type),
            }
        }
    }
}

/// The known type of the highest quality; the first of equals; JSON when none is known.
fn best_of(accept: &str) -> Page {
    let mut best: Option<(f32, Page)> = None;
    for range in accept.split(',') {
        let mut parts = range.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default();
        let quality = parts
            .find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")))
            .map_or(1.0, |text| text.parse::<f32>().unwrap_or(0.0));
        let page = match name.to_ascii_lowercase().as_str() {
            "application/json" | "application/*" | "*/*" => Page::Of(MediaType::Json),
            "text/html" => Page::Of(MediaType::Html),
            "text/plain" | "text/*" => Page::Of(MediaType::Plain),
            "application/xml" => Page::Of(MediaType::Xml),
            "application/grpc" => Page::BareJson,
            _ => continue,
        };
        if best.is_none_or(|(known, _)| quality > known) {
            best = Some((quality, page));
        }
    }
    best.map_or(Page::Of(MediaType::Json), |(_, page)| page)
}

fn grpc_headers(headers: &mut HeaderMap, status: StatusCode, message: &str) {
    headers.insert(CONTENT_TYPE, MediaType::Grpc.content_type());
    headers.insert(GRPC_STATUS, HeaderValue::from(grpc_code(status)));
    if let Ok(message) = HeaderValue::from_str(message) {
        headers.insert(GRPC_MESSAGE, message);
    }
}

fn grpc_code(status: StatusCode) -> u16 {
    match status.as_u16() {
        200..=299 => 0,
        401 => 16,
        403 => 7,
        404 => 5,
        409 => 6,
        429 => 8,
        499 => 1,
        501 => 12,
        503 => 14,
        504 => 4,
        400..=498 => 3,
        500..=599 => 13,
        _ => 2,
    }
}

fn grpc_name(status: StatusCode) -> &'static str {
    match grpc_code(status) {
        0 => "OK",
        1 => "Canceled",
        3 => "InvalidArgument",
        4 => "DeadlineExceeded",
        5 => "NotFound",
        6 => "AlreadyExists",
        7 => "PermissionDenied",
        8 => "ResourceExhausted",
        12 => "Unimplemented",
        13 => "Internal",
        14 => "Unavailable",
        16 => "Unauthenticated",
        _ => "Unknown",
    }
}

/// nginx's own page for a status, with its content type: what Kong sends for redirects and for errors that have no
/// page of Kong's.
pub(crate) fn status_page(status: StatusCode) -> (Bytes, HeaderValue) {
    let title = format!(
        "{} {}",
        status.as_u16(),
        status.canonical_reason().unwrap_or_default()
    );
    let page = format!(
        "<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n<center><h1>{title}</h1></center>\r\n</body>\r\n</html>\r\n"
    );
    let content_type = if matches!(status.as_u16(), 301 | 302) {
        "text/html"
    } else {
        "text/html; charset=UTF-8"
    };
    (Bytes::from(page), HeaderValue::from_static(content_type))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(
        accept: Option<&'static str>,
        content_type: Option<&'static str>,
        producer: Producer,
    ) -> (String, String) {
        let mut request = HeaderMap::new();
        if let Some(accept) = accept {
            request.insert(ACCEPT, HeaderValue::from_static(accept));
        }
        if let Some(content_type) = content_type {
            request.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        }
        let reply = Reply::error(StatusCode::BAD_GATEWAY, "say \"no\" <now>");
        let rendered = render(
            reply,
            &request,
            &HeaderValue::from_static("rid"),
            &ErrorPages::default(),
            producer,
        );
        let media = rendered
            .headers
            .get(CONTENT_TYPE)
            .unwrap()
            .to_str()
            .unwrap()
            .to_owned();
        (media, String::from_utf8(rendered.body.to_vec()).unwrap())
    }

    #[test]
    fn accept_chooses_the_media_type_of_an_error() {
        let cases = [
            (None, None, Producer::HttpLayer, "text/plain"),
            (None, None, Producer::Core, "application/json"),
            (
                None,
                Some("application/json"),
                Producer::HttpLayer,
                "application/json",
            ),
            (Some("*/*"), None, Producer::HttpLayer, "application/json"),
            (Some("text/html"), None, Producer::Core, "text/html"),
            (Some("text/*"), None, Producer::Core, "text/plain"),
            (Some("application/xml"), None, Producer::Core, "application/xml"),
            (Some("image/png"), None, Producer::Core, "application/json"),
            (
                Some("text/html;q=0.1, application/json;q=0.9"),
                None,
                Producer::Core,
                "application/json",
            ),
            (Some(""), None, Producer::HttpLayer, "application/json"),
        ];
        for (accept, content_type, producer, wanted) in cases {
            let (media, _) = page(accept, content_type, producer);
            assert!(
                media.starts_with(wanted),
                "{accept:?} {content_type:?} gave {media}"
            );
        }
    }

    #[test]
    fn messages_are_escaped_for_their_format() {
        assert_eq!(
            page(None, None, Producer::Core).1,
            "{\n  \"message\":\"say \\\"no\\\" <now>\",\n  \"request_id\":\"rid\"\n}"
        );
        assert!(
            page(Some("text/html"), None, Producer::Core)
                .1
                .contains("<p>say \"no\" &lt;now&gt;.</p>")
        );
    }

    #[test]
    fn grpc_clients_get_status_in_headers() {
        let mut request = HeaderMap::new();
        request.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc+proto"));
        let reply = Reply::error(StatusCode::UNAUTHORIZED, "Unauthorized");
        let rendered = render(
            reply,
            &request,
            &HeaderValue::from_static("rid"),
            &ErrorPages::default(),
            Producer::Core,
        );
        assert_eq!(rendered.headers.get(GRPC_STATUS).unwrap(), "16");
        assert_eq!(rendered.headers.get(GRPC_MESSAGE).unwrap(), "Unauthenticated");
        assert!(rendered.body.is_empty());
    }
}
