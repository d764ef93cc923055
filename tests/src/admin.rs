//! A client of the Admin API that says what it expects.

use crate::client::{RawClient, Request};
use crate::http1::Response;
use serde_json::Value;
use std::net::SocketAddr;

/// The Admin API of a gateway; a connection for each request.
#[derive(Debug, Clone)]
pub struct Admin {
    address: SocketAddr,
    headers: Vec<(String, String)>,
}

impl Admin {
    /// The one that listens there.
    #[must_use]
    pub fn at(address: SocketAddr) -> Self {
        Self {
            address,
            headers: Vec::new(),
        }
    }

    /// Sends a header with every request.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Sends any request.
    pub async fn call(&self, request: Request) -> Response {
        let request = self.dressed(request);
        RawClient::connect(self.address).await.call(&request).await
    }

    /// Sends any request; gives nothing when no whole answer comes.
    pub async fn try_call(&self, request: Request) -> Option<Response> {
        let request = self.dressed(request);
        let mut client = RawClient::try_connect(self.address).await.ok()?;
        client.send(request.bytes()).await;
        client.try_response(request.method()).await.ok()
    }

    /// Sends a JSON body.
    pub async fn send(&self, method: &str, path: &str, body: &Value) -> Response {
        self.call(json(method, path, body)).await
    }

    /// Sends a form.
    pub async fn form(&self, method: &str, path: &str, body: &str) -> Response {
        let request = Request::new(method, path)
            .header("Content-Type", "application/x-www-form-urlencoded")
            .body(body);
        self.call(request).await
    }

    /// What is there.
    pub async fn get(&self, path: &str) -> Value {
        let answer = self.call(Request::get(path)).await;
        expected(&answer, 200, "GET", path)
    }

    /// Makes an entity.
    pub async fn post(&self, path: &str, body: Value) -> Value {
        expected(&self.send("POST", path, &body).await, 201, "POST", path)
    }

    /// Replaces an entity, or makes it.
    pub async fn put(&self, path: &str, body: Value) -> Value {
        expected(&self.send("PUT", path, &body).await, 200, "PUT", path)
    }

    /// Changes an entity.
    pub async fn patch(&self, path: &str, body: Value) -> Value {
        expected(&self.send("PATCH", path, &body).await, 200, "PATCH", path)
    }

    /// Deletes an entity.
    pub async fn delete(&self, path: &str) {
        let answer = self.call(Request::new("DELETE", path)).await;
        assert_eq!(answer.status, 204, "DELETE {path}: {}", answer.text());
    }

    /// The status of a path.
    pub async fn status(&self, path: &str) -> u16 {
        self.call(Request::get(path)).await.status
    }

    fn dressed(&self, request: Request) -> Request {
        let headers = self.headers.iter();
        headers.fold(request, |request, (name, value)| request.header(name, value))
    }
}

/// A request with a JSON body.
#[must_use]
pub fn json(method: &str, path: &str, body: &Value) -> Request {
    Request::new(method, path)
        .header("Content-Type", "application/json")
        .body(body.to_string())
}

fn expected(answer: &Response, status: u16, method: &str, path: &str) -> Value {
    assert_eq!(answer.status, status, "{method} {path}: {}", answer.text());
    answer.json()
}
