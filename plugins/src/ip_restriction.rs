//! Plugin `ip-restriction`: only some client addresses may pass, or all but some.

use http::StatusCode;
use ipnet::IpNet;
use serde_json::Value;
use std::net::IpAddr;
use std::sync::Arc;
use tidegate_model::schema::{Declared, RecordSchema};
use tidegate_plugin::{AccessCx, BuildCx, BuildError, Kind, Phase, PhaseSet, Plugin, Reply, Step};

mod config;
mod ranges;
#[cfg(test)]
mod tests;

pub use config::IpRestrictionConfig;
use ranges::Ranges;

/// The kind.
#[derive(Debug, Default, Clone, Copy)]
pub struct IpRestriction;

impl Kind for IpRestriction {
    fn name(&self) -> &'static str {
        "ip-restriction"
    }

    fn priority(&self) -> i32 {
        990
    }

    fn phases(&self) -> PhaseSet {
        PhaseSet::of(&[Phase::Access])
    }

    fn schema(&self) -> &'static RecordSchema {
        IpRestrictionConfig::schema()
    }

    fn protocols(&self) -> &'static [&'static str] {
        &[
            "grpc",
            "grpcs",
            "http",
            "https",
            "tcp",
            "tls",
            "tls_passthrough",
            "udp",
        ]
    }

    fn default_protocols(&self) -> &'static [&'static str] {
        &["http", "https", "tcp", "tls", "grpc", "grpcs"]
    }

    fn build(&self, config: &Value, cx: &BuildCx<'_>) -> Result<Arc<dyn Plugin>, BuildError> {
        let config: IpRestrictionConfig = cx.config(config)?;
        Ok(Arc::new(Instance {
            allow: ranges(config.allow.as_deref(), "allow")?,
            deny: ranges(config.deny.as_deref(), "deny")?,
            status: crate::checks::status(config.status).unwrap_or(StatusCode::FORBIDDEN),
            message: config.message,
        }))
    }
}

/// `None` for a list that says nothing.
fn ranges(list: Option<&[String]>, name: &str) -> Result<Option<Ranges>, BuildError> {
    let Some(list) = list.filter(|list| !list.is_empty()) else {
        return Ok(None);
    };
    let parse = |(index, text): (usize, &String)| {
        let parsed = text
            .parse::<IpNet>()
            .or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
        parsed.map_err(|_| BuildError {
            path: format!("config.{name}[{index}]"),
            message: format!("invalid ip or cidr range: '{text}'"),
        })
    };
    let networks: Vec<IpNet> = list.iter().enumerate().map(parse).collect::<Result<_, _>>()?;
    Ok(Some(Ranges::new(&networks)))
}

/// One configured instance.
struct Instance {
    allow: Option<Ranges>,
    deny: Option<Ranges>,
    status: StatusCode,
    message: Option<String>,
}

impl Instance {
    /// `deny` beats `allow`.
    fn admits(&self, address: IpAddr) -> bool {
        let is_denied = self.deny.as_ref().is_some_and(|ranges| ranges.contains(address));
        !is_denied && self.allow.as_ref().is_none_or(|ranges| ranges.contains(address))
    }

    fn refuse(&self, address: IpAddr) -> Reply {
        let refusal = format!("IP address not allowed: {address}");
        tracing::warn!(%address, "{refusal}");
        Reply::error(self.status, self.message.clone().unwrap_or(refusal))
    }
}

impl Plugin for Instance {
    fn access<'a>(&'a self, x: &'a mut AccessCx<'_>) -> Step<'a> {
        const NO_ADDRESS: &str =
            "Cannot identify the client IP address, unix domain sockets are not supported.";
        match x.client.address.map(|address| address.to_canonical()) {
            None => Step::reply(Reply::error(StatusCode::FORBIDDEN, NO_ADDRESS)),
            Some(address) if self.admits(address) => Step::go_on(),
            Some(address) => Step::reply(self.refuse(address)),
        }
    }
}
