//! Bounds on clients.

use crate::settings::group::settings_group;
use crate::settings::spec::{count, seconds, size};
use std::time::Duration;

const DAY: u64 = 86_400;

settings_group! {
    /// Bounds on what clients may send and hold.
    ClientLimits, "Limits on clients" {
        /// Open client connections of the whole process. Further ones are closed at once.
        max_connections: u64 = count("100000", 1, 16_777_216).zero("no limit").limit();

        /// Open connections of one client address. Further ones are closed at once.
        max_connections_per_ip: u64 = count("0", 1, 16_777_216).zero("no limit").limit();

        /// Requests on one HTTP/1 connection; the response to the last one announces the end of it.
        keepalive_requests: u64 = count("10000", 1, 1_000_000_000)
            .zero("no limit")
            .alias(&["nginx_http_keepalive_requests", "nginx_proxy_keepalive_requests"])
            .limit();

        /// Longest request line, method and version included. A longer one is answered with 414.
        client_max_request_line: usize = size("8k", 256, 65_000).limit();

        /// Longest header line, name and value. A longer one is answered with 400.
        client_max_header_line: usize = size("8k", 256, 1 << 20).limit();

        /// All header lines of a request with their line ends. More is answered with 400.
        client_max_header_bytes: usize = size("32k", 1_024, 4 << 20).limit();

        /// Header lines of a request. More is answered with 400.
        client_max_header_count: usize = count("1000", 8, 10_000).limit();

        /// Empty lines before a request line that are skipped.
        client_max_blank_lines: usize = count("8", 0, 1_000).limit();

        /// Chunk extensions of one request body in total. More closes the connection.
        client_max_chunk_extensions: usize = size("8k", 0, 1 << 20).limit();

        /// Trailer lines of a request. More closes the connection.
        client_max_trailer_count: usize = count("64", 0, 10_000).limit();

        /// All trailer lines of a request with their line ends. More closes the connection.
        client_max_trailer_bytes: usize = size("8k", 0, 1 << 20).limit();

        /// Largest request body. A larger one is answered with 413.
        client_max_body_size: u64 = size("0", 1, 1 << 50)
            .zero("no limit")
            .alias(&["nginx_http_client_max_body_size", "nginx_proxy_client_max_body_size"])
            .limit();

        /// Largest request body that is held in memory because a plugin reads it. A larger one streams on, unseen by
        /// plugins and unchanged.
        request_buffer_max: usize = size("8m", 1_024, 1 << 30).limit();

        /// Largest response body that is held in memory because a plugin reads it whole. A larger one is answered
        /// with 502.
        response_buffer_max: usize = size("16m", 1_024, 1 << 30).limit();

        /// Time for the TLS handshake, and for a PROXY protocol header.
        tls_handshake_timeout: Duration = seconds("10s", 1, DAY).limit();

        /// Time for the whole head of a request, from its first byte; on a new connection from its start.
        client_header_timeout: Duration = seconds("60s", 1, DAY)
            .alias(&["nginx_http_client_header_timeout", "nginx_proxy_client_header_timeout"])
            .limit();

        /// Time between two reads of a request body.
        client_body_timeout: Duration = seconds("60s", 1, DAY)
            .alias(&["nginx_http_client_body_timeout", "nginx_proxy_client_body_timeout"])
            .limit();

        /// Time between two writes of a response that the client accepts.
        client_send_timeout: Duration = seconds("60s", 1, DAY)
            .alias(&["nginx_http_send_timeout", "nginx_proxy_send_timeout"])
            .limit();

        /// Time that a connection may stay open without a request.
        client_idle_timeout: Duration = seconds("75s", 1, DAY)
            .alias(&["nginx_http_keepalive_timeout", "nginx_proxy_keepalive_timeout"])
            .limit();

        /// Time in which the rest of a request is read and dropped after an early answer, so that the client sees
        /// the answer instead of a reset connection.
        client_linger_timeout: Duration = seconds("2s", 0, DAY).limit();

        /// Bytes of that rest that are read and dropped.
        client_linger_max_bytes: usize = size("8m", 0, 1 << 30).limit();
    }
}

settings_group! {
    /// Bounds and windows of HTTP/2 connections from clients.
    Http2, "HTTP/2 from clients" {
        /// Streams open at the same time on one connection.
        http2_max_concurrent_streams: u32 = count("128", 1, 65_535)
            .alias(&["nginx_http_http2_max_concurrent_streams", "nginx_proxy_http2_max_concurrent_streams"])
            .limit();

        /// Requests on one HTTP/2 connection; after the last one it is closed as at a drain. Clients that send many
        /// requests at once lose some of them when that happens, hence no limit unless asked for.
        http2_keepalive_requests: u64 = count("0", 1, 1_000_000_000).zero("no limit").limit();

        /// Streams that the client opened and reset before they were looked at (CVE-2023-44487). One more closes the
        /// connection with `ENHANCE_YOUR_CALM`.
        http2_max_pending_accept_reset_streams: usize = count("20", 1, 65_535).limit();

        /// Streams that we reset because of the client's mistakes (CVE-2025-8671). One more closes the connection
        /// with `ENHANCE_YOUR_CALM`.
        http2_max_local_error_reset_streams: usize = count("1024", 1, 1_000_000).limit();

        /// Header list of a request, as RFC 9113 section 6.5.2 counts it. One that reaches this size is answered with
        /// 431.
        http2_max_header_list_size: u32 = size("32k", 1_024, 4 << 20).limit();

        /// Bytes that a client may send on one stream before we have read them.
        http2_stream_window: u32 = size("256k", 65_535, (1 << 31) - 1).limit();

        /// Bytes that a client may send on one connection before we have read them.
        http2_connection_window: u32 = size("1m", 65_535, (1 << 31) - 1).limit();

        /// Bytes of a response that may wait in memory on one stream.
        http2_max_send_buffer: usize = size("256k", 1_024, 1 << 24).limit();
    }
}
