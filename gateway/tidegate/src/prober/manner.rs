//! How the targets of an upstream are probed, worked out when the configuration is taken in (kong-core F.4).

use crate::tls::ProbeTlsSource;
use http::{HeaderName, HeaderValue};
use std::sync::Arc;
use std::time::Duration;
use tidegate_model::entities::{ActiveHealthcheck, Upstream};
use tidegate_net::connect::split_port;
use tidegate_net::probe::Question;
use tidegate_net::tls::UpstreamTls;
use tidegate_upstream::Probe;

/// Says who asks, so that probes can be told from traffic.
const USER_AGENT: &str = concat!("tidegate/", env!("CARGO_PKG_VERSION"), " (health check)");
/// What a `timeout` of 0 comes to: the default of the field.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(1);

/// How the targets of one upstream are probed.
pub(super) struct Manner {
    pub(super) timeout: Duration,
    kind: Kind,
    tls: Option<Result<Arc<UpstreamTls>, String>>,
    sni: Option<String>,
    request: Request,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Tcp,
    Http,
    Grpc,
}

/// A request in two parts: the value of `Host` comes between them, unless the configuration gives one.
struct Request {
    before: String,
    after: Vec<u8>,
    has_host: bool,
}

impl Manner {
    pub(super) fn of(upstream: &Upstream, tls: &ProbeTlsSource) -> Self {
        let active = &upstream.healthchecks.active;
        let (kind, is_tls) = match active.r#type.as_str() {
            "tcp" => (Kind::Tcp, false),
            "https" => (Kind::Http, true),
            "grpc" => (Kind::Grpc, false),
            "grpcs" => (Kind::Grpc, true),
            _ => (Kind::Http, false),
        };
        let timeout = Duration::try_from_secs_f64(active.timeout).unwrap_or(DEFAULT_TIMEOUT);
        Self {
            timeout: if timeout.is_zero() {
                DEFAULT_TIMEOUT
            } else {
                timeout
            },
            kind,
            tls: is_tls.then(|| tls(upstream, kind == Kind::Grpc)),
            sni: active.https_sni.clone(),
            request: Request::of(&upstream.name, active),
        }
    }

    /// The bytes to send, or the authority to ask for.
    pub(super) fn message(&self, probe: &Probe) -> Vec<u8> {
        match self.kind {
            Kind::Tcp => Vec::new(),
            Kind::Http => self.request.to(probe.host()),
            Kind::Grpc => probe.authority().to_vec(),
        }
    }

    pub(super) fn question<'m>(&self, message: &'m [u8]) -> Question<'m> {
        match self.kind {
            Kind::Tcp => Question::Connection,
            Kind::Http => Question::Status(message),
            // An authority that is no text cannot have been configured.
            Kind::Grpc => Question::Serving(std::str::from_utf8(message).unwrap_or_default()),
        }
    }

    /// TLS towards a target with that `Host`: `https_sni`, else that name, is what is asked for and verified.
    pub(super) fn tls<'m>(
        &'m self,
        host: &'m str,
    ) -> Result<Option<(&'m Arc<UpstreamTls>, &'m str)>, &'m str> {
        let Some(tls) = &self.tls else { return Ok(None) };
        let name = self.sni.as_deref().unwrap_or_else(|| split_port(host).0);
        Ok(Some((tls.as_ref().map_err(String::as_str)?, name)))
    }
}

impl Request {
    /// Headers that cannot be sent are left out, and the log says so.
    fn of(upstream: &str, active: &ActiveHealthcheck) -> Self {
        let path = sound_path(&active.http_path);
        let before = format!("GET {path} HTTP/1.1\r\n");
        let mut after = b"Connection: close\r\n".to_vec();
        let (mut has_host, mut has_agent) = (false, false);
        let headers = active.headers.iter().flatten();
        for (name, value) in headers.flat_map(|(name, values)| values.iter().map(move |value| (name, value)))
        {
            let (Ok(known), Ok(value)) = (
                HeaderName::try_from(name.as_str()),
                HeaderValue::try_from(value.as_str()),
            ) else {
                tracing::warn!(
                    upstream,
                    header = name,
                    "a header of the health check cannot be sent"
                );
                continue;
            };
            match known.as_str() {
                // Those two are the probe's own framing.
                "connection" | "content-length" | "transfer-encoding" => continue,
                "host" if has_host => continue,
                "host" => has_host = true,
                "user-agent" => has_agent = true,
                _ => {}
            }
            after.extend_from_slice(name.as_bytes());
            after.extend_from_slice(b": ");
            after.extend_from_slice(value.as_bytes());
            after.extend_from_slice(b"\r\n");
        }
        if !has_agent {
            after.extend_from_slice(format!("User-Agent: {USER_AGENT}\r\n").as_bytes());
        }
        after.extend_from_slice(b"\r\n");
        Self {
            before,
            after,
            has_host,
        }
    }

    fn to(&self, host: &[u8]) -> Vec<u8> {
        let mut bytes = self.before.clone().into_bytes();
        if !self.has_host {
            bytes.extend_from_slice(b"Host: ");
            bytes.extend_from_slice(host);
            bytes.extend_from_slice(b"\r\n");
        }
        bytes.extend_from_slice(&self.after);
        bytes
    }
}

/// The path as it can stand in a request line.
fn sound_path(path: &str) -> String {
    let mut sound = String::with_capacity(path.len());
    for character in path.chars() {
        if character > ' ' && character != '\u{7f}' {
            sound.push(character);
        } else {
            sound.push_str(&format!("%{:02X}", u32::from(character)));
        }
    }
    sound
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn request(active: &Value) -> String {
        let entity = json!({ "name": "pool", "healthchecks": { "active": active } });
        let entity: Upstream = upstream(&entity);
        let bytes = Request::of("pool", &entity.healthchecks.active).to(b"up.test");
        String::from_utf8(bytes).unwrap()
    }

    fn upstream(entity: &Value) -> Upstream {
        let text = json!({ "_format_version": "3.0", "upstreams": [entity] }).to_string();
        let settings =
            tidegate_config::settings::Settings::with(&[("declarative_config_string", &text)]).unwrap();
        let services = tidegate_plugin::services::Services::detached();
        let configuration = crate::configuration::Configuration::new(Arc::new(settings), Arc::new(services));
        configuration
            .unwrap()
            .compile(None)
            .unwrap()
            .entities
            .upstreams
            .first()
            .unwrap()
            .clone()
    }

    #[test]
    fn a_probe_names_its_host_its_path_and_itself() {
        assert_eq!(
            request(&json!({ "http_path": "/up/deep" })),
            format!(
                "GET /up/deep HTTP/1.1\r\nHost: up.test\r\nConnection: close\r\nUser-Agent: {USER_AGENT}\r\n\r\n"
            )
        );
    }

    #[test]
    fn headers_of_the_configuration_go_along_and_replace_what_the_probe_says_of_itself() {
        let headers = json!({ "Host": ["other.test"], "User-Agent": ["me"], "X-Many": ["1", "2"], "Connection": ["keep-alive"] });
        let request = request(&json!({ "headers": headers }));
        let lines: Vec<&str> = request.lines().collect();
        assert_eq!(
            lines,
            [
                "GET / HTTP/1.1",
                "Connection: close",
                "Host: other.test",
                "User-Agent: me",
                "X-Many: 1",
                "X-Many: 2",
                ""
            ]
        );
    }

    #[test]
    fn nothing_configured_can_end_a_line_early() {
        let request = request(&json!({ "headers": { "X-Split": ["a\r\nEvil: 1"] } }));
        assert!(!request.contains("Evil"), "{request}");
        assert_eq!(sound_path("/a b\r\nc"), "/a%20b%0D%0Ac");
    }

    #[test]
    fn a_server_name_is_the_host_without_port_and_brackets() {
        for (host, name) in [
            ("up.test", "up.test"),
            ("up.test:8443", "up.test"),
            ("10.0.0.1", "10.0.0.1"),
            ("[::1]:443", "::1"),
            ("[::1]", "::1"),
        ] {
            assert_eq!(split_port(host).0, name, "{host}");
        }
    }
}
