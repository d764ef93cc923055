//! Sockets, TLS, PROXY protocol, the request gate, DNS and upstream connections.
