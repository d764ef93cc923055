//! Lets a gRPC request pass when a service ends a call with an even status.

use log::info;
use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::{Action, GrpcStatusCode, LogLevel};
use std::time::Duration;

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Trace);
    proxy_wasm::set_http_context(|_, _| Box::new(Dice));
}}

struct Dice;

impl Dice {
    fn begins_with(&self, name: &str, prefix: &str) -> bool {
        self.get_http_request_header(name)
            .is_some_and(|value| value.starts_with(prefix))
    }
}

impl HttpContext for Dice {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        if !self.begins_with("content-type", "application/grpc") {
            let headers = vec![("Powered-By", "proxy-wasm")];
            let body = b"Service accessible only to gRPC clients.\n";
            self.send_http_response(503, headers, Some(body));
            return Action::Pause;
        }
        if self.begins_with(":path", "/grpc.reflection") {
            return Action::Continue;
        }
        let (service, method) = ("grpcbin.GRPCBin", "RandomError");
        self.dispatch_grpc_call(
            "grpcbin",
            service,
            method,
            Vec::new(),
            None,
            Duration::from_secs(1),
        )
        .unwrap();
        Action::Pause
    }

    fn on_http_response_headers(&mut self, _: usize, _: bool) -> Action {
        self.set_http_response_header("Powered-By", Some("proxy-wasm"));
        Action::Continue
    }
}

impl Context for Dice {
    fn on_grpc_call_response(&mut self, _: u32, status: u32, _: usize) {
        if status & 1 == 0 {
            info!("Access granted.");
            self.resume_http_request();
        } else {
            info!("Access forbidden.");
            let headers: Vec<(&str, &[u8])> = vec![("Powered-By", b"proxy-wasm")];
            self.send_grpc_response(GrpcStatusCode::Aborted, Some("Aborted by Proxy-Wasm!"), headers);
        }
    }
}
