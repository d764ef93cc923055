//! Short ways to write routes and requests.

use serde_json::{Value, json};
use std::net::{IpAddr, Ipv4Addr};
use tidegate_model::entities::Route;
use tidegate_router::{Flavor, HeaderList, Match, RequestFacts, RouteInput, Router};
use uuid::Uuid;

/// A route from the fields that matter; the id is made of `number`, so that later ones win ties.
#[allow(clippy::needless_pass_by_value, reason = "callers write the JSON in place")]
pub(crate) fn route(number: u128, fields: Value) -> Route {
    let mut whole = json!({
        "id": Uuid::from_u128(number),
        "protocols": ["http", "https"],
        "https_redirect_status_code": 426,
        "regex_priority": 0,
        "strip_path": true,
        "path_handling": "v0",
        "preserve_host": false,
        "request_buffering": true,
        "response_buffering": true,
    });
    for (key, value) in fields.as_object().expect("fields are an object") {
        whole[key] = value.clone();
    }
    serde_json::from_value(whole).expect("a valid route")
}

/// Routes numbered from 1.
pub(crate) fn routes(fields: Value) -> Vec<Route> {
    let Value::Array(list) = fields else {
        panic!("a list of routes")
    };
    list.into_iter()
        .zip(1..)
        .map(|(fields, number)| route(number, fields))
        .collect()
}

pub(crate) fn inputs(routes: &[Route]) -> Vec<RouteInput<'_>> {
    routes.iter().map(|route| RouteInput { route }).collect()
}

/// A router of faultless routes.
pub(crate) fn router(fields: Value, flavor: Flavor) -> Router {
    let routes = routes(fields);
    let (router, faults) = Router::build(&inputs(&routes), flavor);
    assert_eq!(faults, [], "every route compiles");
    router
}

pub(crate) fn compatible(fields: Value) -> Router {
    router(fields, Flavor::TraditionalCompatible)
}

/// A request that owns its parts.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) scheme: &'static str,
    pub(crate) host: String,
    pub(crate) host_port: Option<u16>,
    pub(crate) path: Vec<u8>,
    pub(crate) query: Option<String>,
    pub(crate) headers: HeaderList,
    pub(crate) sni: Option<String>,
    pub(crate) source: Option<(IpAddr, u16)>,
    pub(crate) destination: Option<(IpAddr, u16)>,
}

pub(crate) const LISTENER_PORT: u16 = 8000;

/// `GET host/path?query`; the host may carry a port.
pub(crate) fn get(url: &str) -> Request {
    let (authority, target) = url.split_at(url.find('/').expect("a path"));
    let (path, query) = target
        .split_once('?')
        .map_or((target, None), |(path, query)| (path, Some(query)));
    let (host, port) = authority
        .split_once(':')
        .map_or((authority, None), |(host, port)| (host, port.parse().ok()));
    let local = IpAddr::V4(Ipv4Addr::LOCALHOST);
    Request {
        method: "GET".to_owned(),
        scheme: "http",
        host: host.to_lowercase(),
        host_port: port,
        path: path.as_bytes().to_vec(),
        query: query.map(str::to_owned),
        headers: HeaderList::default(),
        sni: None,
        source: Some((local, 40_000)),
        destination: Some((local, LISTENER_PORT)),
    }
}

impl Request {
    pub(crate) fn method(mut self, method: &str) -> Self {
        self.method = method.to_owned();
        self
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.0.push((name.to_owned(), value.as_bytes().to_vec()));
        self
    }

    pub(crate) fn tls(mut self, sni: &str) -> Self {
        self.scheme = "https";
        self.sni = Some(sni.to_owned()).filter(|sni| !sni.is_empty());
        self
    }

    pub(crate) fn facts(&self) -> RequestFacts<'_> {
        RequestFacts {
            method: &self.method,
            scheme: self.scheme,
            host: &self.host,
            host_port: self.host_port,
            path: &self.path,
            query: self.query.as_deref(),
            headers: &self.headers,
            sni: self.sni.as_deref(),
            source: self.source,
            destination: self.destination,
        }
    }

    pub(crate) fn find(&self, router: &Router) -> Option<Match> {
        router.find(&self.facts())
    }

    /// Number of the winning route, counted from 1.
    pub(crate) fn winner(&self, router: &Router) -> Option<u32> {
        self.find(router).map(|found| found.route + 1)
    }
}
