//! Every limit that can be met from outside, at its bound and one past it. The page of limits (`docs/limits.md`) lists
//! them all; deadlines stand in [`super::slow`], those of one module alone beside it.

#[path = "limits/bodies.rs"]
mod bodies;
#[path = "limits/configuration.rs"]
mod configuration;
#[path = "limits/connections.rs"]
mod connections;
#[path = "limits/heads.rs"]
mod heads;
#[path = "limits/http2.rs"]
mod http2;
#[path = "limits/upstreams.rs"]
mod upstreams;

use crate::ask::service;
use tidegate_tests::{Gateway, Upstream};

/// A gateway with these settings in front of an upstream that says `ok`.
async fn limited(settings: &[(&str, &str)]) -> (Upstream, Gateway) {
    let upstream = Upstream::ok().await;
    let mut builder = Gateway::with(service(&upstream, "- {paths: [/]}"));
    for (name, value) in settings {
        builder = builder.setting(name, *value);
    }
    (upstream, builder.start().await)
}
