//! Ports that no other test uses.
//!
//! The gateway listens with `SO_REUSEPORT`, so two of them on one port would share its connections in silence. Port 0
//! cannot be used either, since the settings name the ports. Hence numbers below the kernel's ephemeral range, handed
//! out once per process and proven free.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU32, Ordering};

const FIRST: u32 = 12_000;
const COUNT: u32 = 20_000;

static HANDED_OUT: AtomicU32 = AtomicU32::new(0);

/// A free address on 127.0.0.1.
#[must_use]
pub fn free_address() -> SocketAddr {
    // Another process of the same suite starts somewhere else.
    let start = std::process::id().wrapping_mul(317);
    for _ in 0..COUNT {
        let offset = start.wrapping_add(HANDED_OUT.fetch_add(1, Ordering::Relaxed)) % COUNT;
        let port = u16::try_from(FIRST + offset).expect("12,000 + 20,000 fits");
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
    panic!("no free port between {FIRST} and {}", FIRST + COUNT);
}

/// An address on 127.0.0.1 where nothing listens: a connection to it is refused.
#[must_use]
pub fn refusing_address() -> SocketAddr {
    free_address()
}
