//! What a request says about its client, and what a response says about us.

use crate::settings::group::settings_group;
use crate::settings::spec::{choice, list, path, switch, text};
use crate::settings::values::{ErrorType, RealIpHeader, ReplyHeaders, TrustedSource, UpstreamHeaders};
use std::path::PathBuf;

settings_group! {
    /// How the client's address is found behind other proxies.
    ClientAddress, "Client address" {
        /// Peers whose `X-Forwarded-*` and `real_ip_header` are believed. From everyone else these headers are
        /// replaced.
        trusted_ips: Vec<TrustedSource> = list("", "addresses, networks such as `10.0.0.0/8`, or `unix:`");

        /// Where a trusted peer puts the address of the client: a request header, or `proxy_protocol`.
        real_ip_header: RealIpHeader = text("X-Real-IP", "the name of a header, or `proxy_protocol`")
            .alias(&["nginx_http_real_ip_header", "nginx_proxy_real_ip_header"]);

        /// With several addresses in the header, `on` takes the last one that is not trusted, `off` the last one.
        real_ip_recursive: bool = switch("off").alias(&["nginx_http_real_ip_recursive", "nginx_proxy_real_ip_recursive"]);
    }
}

settings_group! {
    /// Headers the gateway adds and error bodies it writes.
    Replies, "Headers and error bodies" {
        /// Headers added to responses: `server_tokens` (`Server`, `Via`), `latency_tokens` (`X-Kong-*-Latency`), or
        /// single names, also `X-Kong-Request-Id` and `X-Kong-Upstream-Status`. `off` as the first word adds none.
        headers: ReplyHeaders = list("server_tokens, latency_tokens, X-Kong-Request-Id", "names of headers");

        /// Headers added to requests to upstreams: `X-Kong-Request-Id` or `off`.
        headers_upstream: UpstreamHeaders = list("X-Kong-Request-Id", "names of headers");

        /// Whether a request with `Kong-Debug: 1` is told which service and route served it.
        allow_debug_header: bool = switch("off");

        /// Media type of an error body when neither `Accept` nor the request's `Content-Type` decides.
        error_default_type: ErrorType = choice("text/plain", ErrorType::WORDS);

        /// Template of HTML error bodies; the first `%s` in it becomes the message, the second the request id.
        error_template_html: Option<PathBuf> = path("");

        /// Template of JSON error bodies.
        error_template_json: Option<PathBuf> = path("");

        /// Template of XML error bodies.
        error_template_xml: Option<PathBuf> = path("");

        /// Template of plain error bodies.
        error_template_plain: Option<PathBuf> = path("");
    }
}
