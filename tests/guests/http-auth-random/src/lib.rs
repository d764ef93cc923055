//! Lets a request pass when a service throws an even byte.

use log::info;
use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::{Action, LogLevel};
use std::time::Duration;

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Trace);
    proxy_wasm::set_http_context(|_, _| Box::new(Dice));
}}

struct Dice;

impl HttpContext for Dice {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        let head = vec![
            (":method", "GET"),
            (":path", "/bytes/1"),
            (":authority", "httpbin.org"),
        ];
        self.dispatch_http_call("httpbin", head, None, Vec::new(), Duration::from_secs(1))
            .unwrap();
        Action::Pause
    }

    fn on_http_response_headers(&mut self, _: usize, _: bool) -> Action {
        self.set_http_response_header("Powered-By", Some("proxy-wasm"));
        Action::Continue
    }
}

impl Context for Dice {
    fn on_http_call_response(&mut self, _: u32, _: usize, length: usize, _: usize) {
        let thrown = self.get_http_call_response_body(0, length);
        let first = thrown.and_then(|bytes| bytes.first().copied());
        if first.is_some_and(|byte| byte & 1 == 0) {
            info!("Access granted.");
            self.resume_http_request();
        } else {
            info!("Access forbidden.");
            let headers = vec![("Powered-By", "proxy-wasm")];
            self.send_http_response(403, headers, Some(b"Access forbidden.\n"));
        }
    }
}
