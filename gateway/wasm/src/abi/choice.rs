//! What filters chose about where the request goes, for the runner.

use super::maps::Scratch;
use tidegate_plugin::Exchange;

/// Choices made through `kong.service.*` properties; the runner obeys them when it balances.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UpstreamChoice<'x> {
    /// `kong.service.target`: `host:port`.
    pub target: Option<&'x str>,
    /// `kong.service.upstream`: name of an Upstream.
    pub upstream: Option<&'x str>,
    /// `kong.service.request.scheme`.
    pub scheme: Option<&'x str>,
    /// Details that came with a local response; for the log, never for the client.
    pub details: Option<&'x str>,
}

/// What the filters of an exchange chose.
#[must_use]
pub fn upstream_choice(x: &Exchange) -> UpstreamChoice<'_> {
    let Some(scratch) = x.find_slot::<Scratch>() else {
        return UpstreamChoice::default();
    };
    let find = |name: &str| {
        let found = scratch
            .properties
            .iter()
            .find(|(key, _)| **key == *name.as_bytes());
        found.and_then(|(_, value)| std::str::from_utf8(value).ok())
    };
    UpstreamChoice {
        target: find("kong.service.target"),
        upstream: find("kong.service.upstream"),
        scheme: find("kong.service.request.scheme"),
        details: scratch.details.as_deref(),
    }
}
