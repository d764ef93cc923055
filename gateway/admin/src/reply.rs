//! Answers before they become HTTP: a status and a body.

use http::header::{CONTENT_TYPE, HeaderName};
use http::{HeaderValue, Response, StatusCode};
use serde_json::{Value, json};

/// One answer.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    body: String,
    content_type: &'static str,
    headers: Vec<(HeaderName, HeaderValue)>,
}

const JSON: &str = "application/json; charset=utf-8";

impl Reply {
    /// A JSON text that is finished.
    pub(crate) fn text(status: StatusCode, body: String) -> Self {
        Self {
            status,
            body,
            content_type: JSON,
            headers: Vec::new(),
        }
    }

    pub(crate) fn json(status: StatusCode, body: &Value) -> Self {
        Self::text(status, body.to_string())
    }

    pub(crate) fn ok(body: &Value) -> Self {
        Self::json(StatusCode::OK, body)
    }

    /// `{"message": ..}`
    pub(crate) fn message(status: StatusCode, message: &str) -> Self {
        Self::json(status, &json!({ "message": message }))
    }

    pub(crate) fn no_content() -> Self {
        Self::text(StatusCode::NO_CONTENT, String::new())
    }

    pub(crate) fn not_found() -> Self {
        Self::message(StatusCode::NOT_FOUND, "Not found")
    }

    pub(crate) fn method_not_allowed() -> Self {
        Self::message(StatusCode::METHOD_NOT_ALLOWED, "Method not allowed")
    }

    /// Kong's web server answers a content type that it does not know with a page.
    pub(crate) fn unsupported_media_type() -> Self {
        const TITLE: &str = "415 Unsupported Media Type";
        let page = format!(
            "<html>\r\n<head><title>{TITLE}</title></head>\r\n<body>\r\n<center><h1>{TITLE}</h1></center>\r\n</body>\r\n</html>\r\n"
        );
        Self {
            content_type: "text/html; charset=UTF-8",
            ..Self::text(StatusCode::UNSUPPORTED_MEDIA_TYPE, page)
        }
    }

    pub(crate) fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    pub(crate) fn into_response(self) -> Response<bytes::Bytes> {
        let has_body = !self.body.is_empty();
        let mut response = Response::new(bytes::Bytes::from(self.body));
        *response.status_mut() = self.status;
        if has_body {
            let value = HeaderValue::from_static(self.content_type);
            response.headers_mut().insert(CONTENT_TYPE, value);
        }
        response.headers_mut().extend(self.headers);
        response
    }
}
