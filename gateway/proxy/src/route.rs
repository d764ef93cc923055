//! Routing and what must hold of a request before plugins see it (kong-core C.7).

use crate::phases::Flow;
use crate::receive::host_port;
use crate::reply::status_page;
use http::header::{CONNECTION, HeaderName, LOCATION, UPGRADE};
use http::{HeaderMap, HeaderValue, StatusCode, Version};
use tidegate_model::normalize::escape_path;
use tidegate_plan::{PlannedRoute, PlannedService, Snapshot};
use tidegate_plugin::Reply;
use tidegate_plugin::exchange::{Captures, RouteIndex};
use tidegate_plugin::headers::{GRPC_MESSAGE, GRPC_STATUS, X_FORWARDED_PROTO};
use tidegate_router::{HeaderSource, Match, RequestFacts, upstream_path};

/// Header look-up for the router.
pub struct Headers<'a>(pub &'a HeaderMap);

impl HeaderSource for Headers<'_> {
    fn visit(&self, name: &str, each: &mut dyn FnMut(&[u8])) {
        if let Ok(name) = HeaderName::from_bytes(name.as_bytes()) {
            self.0
                .get_all(name)
                .iter()
                .for_each(|value| each(value.as_bytes()));
        }
    }
}

impl Flow {
    /// Finds the route and prepares the upstream path.
    pub(crate) fn route<'s>(&mut self, snapshot: &'s Snapshot) -> Option<&'s PlannedRoute> {
        let found = self.find()?;
        let index = RouteIndex(found.route);
        let planned = snapshot.planned_route(index)?;
        self.x.route = Some(index);
        self.x.service = planned.service;
        if let Some(service) = planned.service.and_then(|index| snapshot.planned_service(index)) {
            self.prepare_path(planned, service, &found);
        }
        self.x.captures = found.captures.map(|captures| {
            Box::new(Captures {
                groups: captures.groups,
                names: captures.names,
            })
        });
        Some(planned)
    }

    fn find(&self) -> Option<Match> {
        let x = &self.x;
        let headers = Headers(&x.request.headers);
        let facts = RequestFacts {
            method: x.request.method.as_str(),
            scheme: x.request.scheme,
            host: &x.request.host,
            host_port: host_port(x.request.raw_host.as_ref()),
            path: x.request.path(),
            query: x.request.query(),
            headers: &headers,
            sni: x.client.tls.as_ref().and_then(|tls| tls.sni.as_deref()),
            source: x.client.address.map(|address| (address, x.client.port)),
            destination: x
                .client
                .server_address
                .map(|address| (address, x.client.server_port)),
        };
        self.plan().router.find(&facts)
    }

    fn prepare_path(&mut self, planned: &PlannedRoute, service: &PlannedService, found: &Match) {
        let path = self.x.request.path();
        let strip = planned.route.strip_path;
        if strip && found.matched_prefix > 0 {
            let prefix = path.get(..found.matched_prefix).unwrap_or(path);
            self.x.stripped_prefix = Some(Box::from(prefix));
        }
        let path = self.x.request.path();
        let joined = upstream_path(
            service.service.path.as_deref(),
            path,
            found.matched_prefix,
            strip,
            planned.path_handling,
        );
        let escaped = escape_path(joined.bytes(path));
        if *escaped != *self.x.request.target.path().as_bytes() {
            let escaped = String::from_utf8_lossy(&escaped).into_owned();
            self.x.set_upstream_path(escaped);
        }
    }

    /// Redirects and refusals that come before plugins.
    pub(crate) fn check_protocol(&self, planned: &PlannedRoute) -> Option<Reply> {
        let x = &self.x;
        let is_secure = self.forwarded_proto_is_https();
        if planned.is_https_only && !is_secure {
            return Some(self.https_reply(planned.route.https_redirect_status_code));
        }
        if !planned.is_grpc {
            return None;
        }
        if !x.request.is_grpc() {
            return Some(Reply::error(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "Non-gRPC request matched gRPC route",
            ));
        }
        if x.request.version != Version::HTTP_2 {
            let reply = Reply::message(StatusCode::UPGRADE_REQUIRED, "Please use HTTP2 protocol");
            return Some(upgrade_headers(reply, HeaderValue::from_static("HTTP/2")));
        }
        if planned.is_grpcs_only && !is_secure {
            let mut reply =
                Reply::empty(StatusCode::OK).content_type(HeaderValue::from_static("application/grpc"));
            reply = reply.header(GRPC_STATUS, HeaderValue::from_static("1"));
            return Some(reply.header(
                GRPC_MESSAGE,
                HeaderValue::from_static("gRPC request matched gRPCs route"),
            ));
        }
        None
    }

    fn forwarded_proto_is_https(&self) -> bool {
        let x = &self.x;
        match x
            .request
            .headers
            .get(X_FORWARDED_PROTO)
            .filter(|_| x.client.is_trusted)
        {
            Some(proto) => proto == "https",
            None => x.request.scheme == "https",
        }
    }

    fn https_reply(&self, code: u16) -> Reply {
        let status = StatusCode::from_u16(code).unwrap_or(StatusCode::UPGRADE_REQUIRED);
        if status == StatusCode::UPGRADE_REQUIRED {
            let reply = Reply::error(status, "Please use HTTPS protocol");
            return upgrade_headers(reply, HeaderValue::from_static("TLS/1.2, HTTP/1.1"));
        }
        let x = &self.x;
        let forwarded = x
            .request
            .headers
            .get(tidegate_plugin::headers::X_FORWARDED_HOST)
            .filter(|_| x.client.is_trusted);
        let host = forwarded
            .and_then(|value| value.to_str().ok())
            .unwrap_or(&x.request.host);
        let location = format!("https://{host}{}", x.request.target);
        let (page, content_type) = status_page(status);
        let mut reply = Reply::raw(status, page).content_type(content_type);
        if let Ok(location) = HeaderValue::from_str(&location) {
            reply = reply.header(LOCATION, location);
        }
        reply
    }
}

fn upgrade_headers(reply: Reply, to: HeaderValue) -> Reply {
    reply
        .header(CONNECTION, HeaderValue::from_static("Upgrade"))
        .header(UPGRADE, to)
}
