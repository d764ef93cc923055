//! Takes the whole body of a response, and blanks it when it tells a secret.

use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::Action;

proxy_wasm::main! {{
    proxy_wasm::set_http_context(|_, _| Box::new(Redaction));
}}

struct Redaction;

impl Context for Redaction {}

impl HttpContext for Redaction {
    fn on_http_response_headers(&mut self, _: usize, _: bool) -> Action {
        self.set_http_response_header("content-length", None);
        Action::Continue
    }

    fn on_http_response_body(&mut self, length: usize, is_last: bool) -> Action {
        if !is_last {
            return Action::Pause;
        }
        let body = self.get_http_response_body(0, length).unwrap_or_default();
        if String::from_utf8(body).unwrap().contains("secret") {
            let notice = format!("Original message body ({length} bytes) redacted.\n");
            self.set_http_response_body(0, length, notice.as_bytes());
        }
        Action::Continue
    }
}
