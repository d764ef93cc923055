//! How ids are made.

use std::cell::Cell;
use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr};
use tidegate_plugin::exchange::Client;
use uuid::Uuid;
use uuid::fmt::Hyphenated;

/// A way to make ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Generator {
    /// Random version 4 UUID.
    Uuid,
    /// UUID of the worker, `#`, and a number that counts up from 1.
    Counter,
    /// `server ip-server port-pid-connection-requests on it-seconds`.
    Tracker,
}

thread_local! {
    /// Each worker is a thread: ids never meet, and nothing is shared.
    static WORKER: (Uuid, Cell<u64>) = (random_uuid(), Cell::new(0));
}

impl Generator {
    /// By its name in the configuration.
    pub(super) fn named(name: &str) -> Self {
        match name {
            "uuid" => Self::Uuid,
            "tracker" => Self::Tracker,
            _ => Self::Counter,
        }
    }

    /// The next id.
    pub(super) fn generate(self, client: &Client, now_millis: impl FnOnce() -> u64) -> String {
        match self {
            Self::Uuid => hyphenated(&random_uuid(), 0),
            Self::Counter => WORKER.with(|(uuid, counter)| {
                let number = counter.get() + 1;
                counter.set(number);
                let mut id = hyphenated(uuid, 21);
                let _ = write!(id, "#{number}");
                id
            }),
            Self::Tracker => {
                let millis = now_millis();
                let address = client.server_address.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
                format!(
                    "{address}-{}-{}-{}-{}-{}.{:03}",
                    client.server_port,
                    std::process::id(),
                    client.connection_serial,
                    client.connection_requests,
                    millis / 1000,
                    millis % 1000,
                )
            }
        }
    }
}

/// Ids are no secrets: a fast generator serves.
fn random_uuid() -> Uuid {
    uuid::Builder::from_random_bytes(fastrand::u128(..).to_ne_bytes()).into_uuid()
}

fn hyphenated(uuid: &Uuid, room: usize) -> String {
    let mut text = String::with_capacity(Hyphenated::LENGTH + room);
    let mut buffer = Uuid::encode_buffer();
    text.push_str(uuid.hyphenated().encode_lower(&mut buffer));
    text
}
