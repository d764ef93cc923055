//! The entities of kong-core A, each declared once: Rust type, defaults, rules, texts and documentation.

mod certificate;
mod consumer;
mod filter_chain;
mod key;
mod plugin;
mod route;
mod service;
mod set;
mod upstream;
mod vault;

#[cfg(test)]
mod tests;

pub use certificate::{CaCertificate, Certificate, Sni};
pub use consumer::{
    Acl, BasicAuthCredential, Consumer, ConsumerGroup, HmacAuthCredential, JwtSecret, KeyAuthCredential,
    OAuth2Credential, hash_password,
};
pub use filter_chain::{Filter, FilterChain};
pub use key::{Key, KeyPem, KeySet};
pub use plugin::{Ordering, OrderingPhases, Plugin};
pub use route::{CidrPort, PathHandling, Route};
pub use service::{Protocol, Service};
pub use set::EntitySet;
pub use upstream::{
    ActiveHealthcheck, ActiveHealthy, ActiveUnhealthy, Healthchecks, PassiveHealthcheck, PassiveHealthy,
    PassiveUnhealthy, Target, Upstream, UpstreamExtension,
};
pub use vault::Vault;
