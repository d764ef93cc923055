//! The ports of the walk-through; where one is taken, a free one stands in.

use anyhow::{Context, Result};
use std::net::{Ipv4Addr, TcpListener};

/// Who listens where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ports {
    pub(crate) proxy: u16,
    pub(crate) tls: u16,
    pub(crate) status: u16,
    pub(crate) open_backend: u16,
    pub(crate) guarded_backend: u16,
}

impl Ports {
    pub(crate) fn choose(proxy: Option<u16>) -> Result<Self> {
        let mut held = Vec::new();
        let mut choose = |what: &str, wanted: u16| -> Result<u16> {
            let (listener, is_wanted) = match TcpListener::bind((Ipv4Addr::UNSPECIFIED, wanted)) {
                Ok(listener) => (listener, true),
                Err(_) => (
                    TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).context("no free port")?,
                    false,
                ),
            };
            let port = listener.local_addr()?.port();
            if !is_wanted {
                println!("port {wanted} is taken: the {what} uses {port}");
            }
            // Held until all are chosen, so that no two are the same.
            held.push(listener);
            Ok(port)
        };
        Ok(Self {
            proxy: choose("gateway", proxy.unwrap_or(8_000))?,
            tls: choose("gateway's TLS listener", 8_443)?,
            status: choose("status listener", 8_007)?,
            open_backend: choose("open backend", 9_001)?,
            guarded_backend: choose("guarded backend", 9_002)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_replaced_by_a_free_one() {
        let taken = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
        let wanted = taken.local_addr().unwrap().port();
        let ports = Ports::choose(Some(wanted)).unwrap();
        assert_ne!(ports.proxy, wanted);
        let mut all = vec![
            ports.proxy,
            ports.tls,
            ports.status,
            ports.open_backend,
            ports.guarded_backend,
        ];
        all.dedup();
        assert_eq!(all.len(), 5);
    }
}
