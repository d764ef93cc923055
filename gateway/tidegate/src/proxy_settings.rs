//! Turns settings into what the request path uses.

use anyhow::{Context, Result};
use http::HeaderName;
use std::path::Path;
use tidegate_config::settings::Settings;
use tidegate_config::settings::values::{ErrorType, RealIpHeader, TrustedSource};
use tidegate_net::gate::GateLimits;
use tidegate_net::pool::PoolSettings;
use tidegate_proxy::settings::{
    AddedHeaders, ClientLimits, ErrorPages, MediaType, ProxySettings, RealIp, TrustedPeers,
};

/// Compiles the settings of the request path; reads the templates of error pages.
///
/// # Errors
/// When a template cannot be read.
pub(crate) fn compile(settings: &Settings) -> Result<ProxySettings> {
    let (replies, upstream) = (&settings.replies, &settings.upstream);
    Ok(ProxySettings {
        headers: AddedHeaders {
            via: replies.headers.via,
            server: replies.headers.server,
            upstream_latency: replies.headers.upstream_latency,
            proxy_latency: replies.headers.proxy_latency,
            response_latency: replies.headers.response_latency,
            request_id: replies.headers.request_id,
            upstream_status: replies.headers.upstream_status,
            request_id_upstream: replies.headers_upstream.request_id,
        },
        trusted: trusted(&settings.client_address.trusted_ips),
        real_ip: RealIp {
            header: match &settings.client_address.real_ip_header {
                RealIpHeader::ProxyProtocol => None,
                RealIpHeader::Header(name) => Some(
                    HeaderName::from_bytes(name.as_bytes()).context("real_ip_header is no header name")?,
                ),
            },
            recursive: settings.client_address.real_ip_recursive,
        },
        port_maps: settings
            .listeners
            .port_maps
            .iter()
            .map(|map| (map.inside, map.outside))
            .collect(),
        allow_debug_header: replies.allow_debug_header,
        error_pages: error_pages(settings)?,
        client: client_limits(settings),
        pool: PoolSettings {
            size: upstream.upstream_keepalive_pool_size,
            max_requests: upstream.upstream_keepalive_max_requests,
            idle_timeout: upstream.upstream_keepalive_idle_timeout,
            max_headers: upstream.upstream_max_header_count,
            max_head_bytes: upstream.upstream_max_header_bytes,
        },
    })
}

fn client_limits(settings: &Settings) -> ClientLimits {
    let (limits, http2) = (&settings.limits, &settings.http2);
    ClientLimits {
        max_body_bytes: limits.client_max_body_size,
        request_buffer_max_bytes: limits.request_buffer_max,
        response_buffer_max_bytes: limits.response_buffer_max,
        keepalive_requests: limits.keepalive_requests,
        header_timeout: limits.client_header_timeout,
        body_timeout: limits.client_body_timeout,
        idle_timeout: limits.client_idle_timeout,
        send_timeout: limits.client_send_timeout,
        http2_keepalive_requests: http2.http2_keepalive_requests,
        http2_max_streams: http2.http2_max_concurrent_streams,
        http2_max_pending_resets: http2.http2_max_pending_accept_reset_streams,
        http2_max_error_resets: http2.http2_max_local_error_reset_streams,
        http2_max_header_list_bytes: http2.http2_max_header_list_size,
        http2_stream_window: http2.http2_stream_window,
        http2_connection_window: http2.http2_connection_window,
        http2_max_send_buffer: http2.http2_max_send_buffer,
        ..ClientLimits::default()
    }
}

/// Bounds of request heads.
pub(crate) fn gate_limits(settings: &Settings) -> GateLimits {
    let limits = &settings.limits;
    GateLimits {
        max_request_line: limits.client_max_request_line,
        max_header_line: limits.client_max_header_line,
        max_header_bytes: limits.client_max_header_bytes,
        max_header_count: limits.client_max_header_count,
        max_blank_lines: limits.client_max_blank_lines,
        max_chunk_extensions: limits.client_max_chunk_extensions,
        max_trailer_count: limits.client_max_trailer_count,
        max_trailer_bytes: limits.client_max_trailer_bytes,
        linger: limits.client_linger_timeout,
        max_linger_bytes: limits.client_linger_max_bytes,
    }
}

fn trusted(sources: &[TrustedSource]) -> TrustedPeers {
    let mut trusted = TrustedPeers::default();
    for source in sources {
        match source {
            TrustedSource::Net(range) => trusted.ranges.push(*range),
            TrustedSource::Unix => trusted.unix = true,
        }
    }
    trusted
}

fn error_pages(settings: &Settings) -> Result<ErrorPages> {
    let replies = &settings.replies;
    let mut pages = ErrorPages {
        default_type: match replies.error_default_type {
            ErrorType::Json => MediaType::Json,
            ErrorType::Html => MediaType::Html,
            ErrorType::Xml => MediaType::Xml,
            ErrorType::Plain => MediaType::Plain,
            ErrorType::Grpc => MediaType::Grpc,
        },
        ..ErrorPages::default()
    };
    let templates = [
        (&replies.error_template_html, &mut pages.html),
        (&replies.error_template_json, &mut pages.json),
        (&replies.error_template_xml, &mut pages.xml),
        (&replies.error_template_plain, &mut pages.plain),
    ];
    for (path, page) in templates {
        if let Some(path) = path {
            *page = read_template(path)?;
        }
    }
    Ok(pages)
}

fn read_template(path: &Path) -> Result<String> {
    std::fs::read_to_string(path)
        .with_context(|| format!("cannot read the error template {}", path.display()))
}
