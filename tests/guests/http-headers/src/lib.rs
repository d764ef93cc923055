//! Logs the headers of both messages, and greets whoever asks for `/hello`.

use log::info;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType, LogLevel};

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Trace);
    proxy_wasm::set_root_context(|_| Box::new(Root));
}}

struct Root;

impl Context for Root {}

impl RootContext for Root {
    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }

    fn create_http_context(&self, id: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Exchange(id)))
    }
}

struct Exchange(u32);

impl Exchange {
    fn log(&self, arrow: &str, headers: Vec<(String, String)>) {
        let id = self.0;
        headers
            .iter()
            .for_each(|(name, value)| info!("#{id} {arrow} {name}: {value}"));
    }
}

impl Context for Exchange {}

impl HttpContext for Exchange {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        self.log("->", self.get_http_request_headers());
        if self.get_http_request_header(":path").as_deref() != Some("/hello") {
            return Action::Continue;
        }
        let headers = vec![("Hello", "World"), ("Powered-By", "proxy-wasm")];
        self.send_http_response(200, headers, Some(b"Hello, World!\n"));
        Action::Pause
    }

    fn on_http_response_headers(&mut self, _: usize, _: bool) -> Action {
        self.log("<-", self.get_http_response_headers());
        Action::Continue
    }

    fn on_log(&mut self) {
        info!("#{} completed.", self.0);
    }
}
