//! What the package's types and functions are in Rust.

#[allow(
    missing_docs,
    unreachable_pub,
    elided_lifetimes_in_paths,
    unused_qualifications,
    single_use_lifetimes,
    clippy::all,
    clippy::allow_attributes_without_reason,
    reason = "generated from wit/filter.wit"
)]
mod generated {
    wasmtime::component::bindgen!({
        inline: "
            package tidegate:host;
            world host {
                include tidegate:filter/filter@0.1.0;
                export tidegate:filter/background@0.1.0;
            }
        ",
        path: "../../wit",
        world: "tidegate:host/host",
        imports: {
            "tidegate:filter/exchange@0.1.0.[method]body.read": async | trappable,
            "tidegate:filter/exchange@0.1.0.[method]body.read-all": async | trappable,
            "tidegate:filter/exchange@0.1.0.[method]body.write": async | trappable,
            "tidegate:filter/exchange@0.1.0.[method]body.trailers": async | trappable,
            "tidegate:filter/outbound@0.1.0.send": async | trappable,
            "tidegate:filter/outbound@0.1.0.send-all": async | trappable,
            default: trappable,
        },
        exports: { default: async },
        with: {
            "tidegate:filter/exchange.context": crate::component::handles::Context,
            "tidegate:filter/exchange.request-head": crate::component::handles::RequestHead,
            "tidegate:filter/exchange.response-head": crate::component::handles::ResponseHead,
            "tidegate:filter/exchange.body": crate::component::handles::Body,
            "tidegate:filter/metrics.counter": crate::component::handles::Counter,
            "tidegate:filter/metrics.gauge": crate::component::handles::Gauge,
            "tidegate:filter/metrics.histogram": crate::component::handles::Histogram,
            "tidegate:filter/kv.store": crate::component::handles::Store,
        },
    });
}

pub(super) use generated::Host_ as World;
pub(super) use generated::exports::tidegate::filter as exports;
pub(super) use generated::tidegate::filter::{exchange, kv, logging, metrics, outbound, secrets, types};
