//! A filter as its author would write it: adds two headers each way, asks before it lets `/ask` through, panics on
//! demand.

use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType, LogLevel};
use std::time::Duration;

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Info);
    proxy_wasm::set_root_context(|_| Box::new(Root { value: String::new() }));
}}

struct Root {
    value: String,
}

impl Context for Root {}

impl RootContext for Root {
    fn on_configure(&mut self, _: usize) -> bool {
        self.value = String::from_utf8(self.get_plugin_configuration().unwrap_or_default()).unwrap_or_default();
        !self.value.is_empty()
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }

    fn create_http_context(&self, _: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Stream { value: self.value.clone() }))
    }
}

struct Stream {
    value: String,
}

impl Context for Stream {
    fn on_http_call_response(&mut self, _: u32, _: usize, body: usize, _: usize) {
        let answer = self.get_http_call_response_body(0, body).unwrap_or_default();
        self.set_http_request_header("x-answer", Some(&String::from_utf8_lossy(&answer)));
        self.resume_http_request();
    }
}

impl HttpContext for Stream {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        self.add_http_request_header("x-first", &self.value);
        self.add_http_request_header("x-second", "2");
        match self.get_http_request_header(":path").as_deref() {
            Some("/ask") => {
                let headers = vec![(":method", "GET"), (":path", "/"), (":authority", "auth")];
                self.dispatch_http_call("auth", headers, None, vec![], Duration::from_secs(1))
                    .expect("dispatched");
                Action::Pause
            }
            Some("/deny") => {
                self.send_http_response(403, vec![("x-denied", "1")], Some(b"denied"));
                Action::Pause
            }
            Some("/panic") => panic!("on demand"),
            _ => Action::Continue,
        }
    }

    fn on_http_response_headers(&mut self, _: usize, _: bool) -> Action {
        self.add_http_response_header("x-third", &self.value);
        self.add_http_response_header("x-fourth", "4");
        Action::Continue
    }

    fn on_http_response_body(&mut self, size: usize, end: bool) -> Action {
        if !end {
            return Action::Pause;
        }
        if let Some(body) = self.get_http_response_body(0, size) {
            let upper = String::from_utf8_lossy(&body).to_uppercase();
            self.set_http_response_body(0, size, upper.as_bytes());
        }
        Action::Continue
    }
}
