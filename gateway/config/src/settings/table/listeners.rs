//! Addresses to listen on.

use crate::listen::ListenList;
use crate::settings::group::settings_group;
use crate::settings::spec::{Kind, Spec, list, listen};
use crate::settings::values::PortMap;

settings_group! {
    /// Addresses to listen on, as kong-core H.1 writes them.
    Listeners, "Listeners" {
        /// Addresses for traffic to proxy. After `address:port`, `host:port`, `[ipv6]:port` or `unix:/path` come
        /// flags: `ssl`, `http2`, `proxy_protocol`, `reuseport`, `deferred`, `bind`, `backlog=N`, `fastopen=N`,
        /// `ipv6only=on|off`, `so_keepalive=on|off|idle:interval:count`.
        proxy_listen: ListenList = listen(
            "0.0.0.0:8000 reuseport backlog=16384, 0.0.0.0:8443 http2 ssl reuseport backlog=16384",
        );

        /// Addresses of the Admin API, which also answers `/status/ready`, `/status/upstreams` and `/metrics`. On other
        /// addresses than loopback it needs `admin_token` or a network that keeps others out.
        admin_listen: ListenList = listen(
            "127.0.0.1:8001 reuseport backlog=16384, 127.0.0.1:8444 http2 ssl reuseport backlog=16384",
        );

        /// Addresses of the status API: `/status`, `/status/ready`, `/status/upstreams` and `/metrics`. They take the
        /// flags of `proxy_listen`.
        status_listen: ListenList = listen("127.0.0.1:8007 reuseport backlog=16384");

        /// Addresses of the manager UI.
        admin_gui_listen: ListenList = listen("0.0.0.0:8002, 0.0.0.0:8445 ssl").later();

        /// Addresses for raw TCP, TLS and UDP traffic.
        stream_listen: ListenList = Spec::new(Kind::Listen { stream: true }, "off").later();

        /// Addresses where a control plane awaits its data planes.
        cluster_listen: ListenList = listen("0.0.0.0:8005").later();

        /// Ports as clients see them when a load balancer or container maps them, `outside:inside`. They fill
        /// `X-Forwarded-Port` and are what routes with a port in `hosts` are compared with.
        port_maps: Vec<PortMap> = list("", "pairs `outside:inside` of ports");
    }
}
