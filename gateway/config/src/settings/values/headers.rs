//! Which headers the gateway adds (kong-core E.2).

use crate::settings::choice::one_of;
use crate::settings::spec::Spec;
use crate::settings::value::Value;

/// The headers that the gateway may add to responses, as chosen by `headers`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ReplyHeaders {
    /// `Server`.
    pub server: bool,
    /// `Via`.
    pub via: bool,
    /// `X-Kong-Proxy-Latency`.
    pub proxy_latency: bool,
    /// `X-Kong-Upstream-Latency`.
    pub upstream_latency: bool,
    /// `X-Kong-Response-Latency`.
    pub response_latency: bool,
    /// `X-Kong-Admin-Latency`.
    pub admin_latency: bool,
    /// `X-Kong-Upstream-Status`.
    pub upstream_status: bool,
    /// `X-Kong-Request-Id`.
    pub request_id: bool,
}

const REPLY_TOKENS: &[&str] = &[
    "server_tokens",
    "latency_tokens",
    "Server",
    "Via",
    "X-Kong-Proxy-Latency",
    "X-Kong-Upstream-Latency",
    "X-Kong-Response-Latency",
    "X-Kong-Admin-Latency",
    "X-Kong-Upstream-Status",
    "X-Kong-Request-Id",
    "off",
];

/// Tokens are compared without case. `off` counts only as the first one, as in Kong.
impl Value for ReplyHeaders {
    fn read(text: &str, _spec: &Spec) -> Result<Self, String> {
        let mut headers = Self::default();
        for (index, token) in tokens(text).enumerate() {
            match token.to_ascii_lowercase().as_str() {
                "off" if index == 0 => {
                    return every_token_known(text, REPLY_TOKENS).map(|()| Self::default());
                }
                "off" => {}
                "server_tokens" => (headers.server, headers.via) = (true, true),
                "latency_tokens" => {
                    headers.proxy_latency = true;
                    headers.upstream_latency = true;
                    headers.response_latency = true;
                    headers.admin_latency = true;
                }
                "server" => headers.server = true,
                "via" => headers.via = true,
                "x-kong-proxy-latency" => headers.proxy_latency = true,
                "x-kong-upstream-latency" => headers.upstream_latency = true,
                "x-kong-response-latency" => headers.response_latency = true,
                "x-kong-admin-latency" => headers.admin_latency = true,
                "x-kong-upstream-status" => headers.upstream_status = true,
                "x-kong-request-id" => headers.request_id = true,
                _ => return Err(unknown(token, REPLY_TOKENS)),
            }
        }
        Ok(headers)
    }
}

/// The headers of our own that requests to upstreams carry, as chosen by `headers_upstream`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct UpstreamHeaders {
    /// `X-Kong-Request-Id`.
    pub request_id: bool,
}

const UPSTREAM_TOKENS: &[&str] = &["X-Kong-Request-Id", "off"];

impl Value for UpstreamHeaders {
    fn read(text: &str, _spec: &Spec) -> Result<Self, String> {
        every_token_known(text, UPSTREAM_TOKENS)?;
        let off = tokens(text)
            .next()
            .is_some_and(|token| token.eq_ignore_ascii_case("off"));
        Ok(Self {
            request_id: !off && tokens(text).any(|token| token.eq_ignore_ascii_case("x-kong-request-id")),
        })
    }
}

fn tokens(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|token| !token.is_empty())
}

fn every_token_known(text: &str, known: &[&str]) -> Result<(), String> {
    match tokens(text).find(|token| !known.iter().any(|name| name.eq_ignore_ascii_case(token))) {
        Some(token) => Err(unknown(token, known)),
        None => Ok(()),
    }
}

fn unknown(token: &str, known: &[&str]) -> String {
    format!("expected {}, found `{token}`", one_of(known))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::spec::list;

    fn read(text: &str) -> Result<ReplyHeaders, String> {
        ReplyHeaders::read(text, &list("", "headers"))
    }

    #[test]
    fn group_tokens_stand_for_their_headers() {
        let headers = read("server_tokens, LATENCY_TOKENS").expect("known tokens");
        assert!(headers.server && headers.via && headers.proxy_latency && headers.upstream_latency);
        assert!(!headers.request_id && !headers.upstream_status);
    }

    #[test]
    fn off_disables_all_only_as_the_first_token() {
        assert_eq!(read("off, Via"), Ok(ReplyHeaders::default()));
        assert_eq!(
            read("Via, off"),
            Ok(ReplyHeaders {
                via: true,
                ..ReplyHeaders::default()
            })
        );
    }

    #[test]
    fn an_unknown_token_is_refused_by_name_even_behind_off() {
        for text in ["X-Kong-Latency", "off, X-Kong-Latency"] {
            assert!(
                read(text).unwrap_err().ends_with("found `X-Kong-Latency`"),
                "{text}"
            );
        }
    }

    #[test]
    fn requests_to_upstreams_carry_the_id_unless_it_is_off() {
        let spec = list("", "headers");
        assert_eq!(
            UpstreamHeaders::read("x-kong-request-id", &spec),
            Ok(UpstreamHeaders { request_id: true })
        );
        assert_eq!(
            UpstreamHeaders::read("off", &spec),
            Ok(UpstreamHeaders { request_id: false })
        );
        assert!(UpstreamHeaders::read("Via", &spec).is_err());
    }
}
