//! Wasm filters in the running gateway.

#[path = "wasm/attach.rs"]
mod attach;
#[path = "wasm/attacks.rs"]
mod attacks;
#[path = "wasm/built.rs"]
mod built;
#[path = "wasm/callouts.rs"]
mod callouts;
#[path = "wasm/component.rs"]
mod component;
#[path = "wasm/conformance.rs"]
mod conformance;
#[path = "wasm/guest.rs"]
mod guest;
#[path = "wasm/managed.rs"]
mod managed;
#[path = "wasm/messages.rs"]
mod messages;
#[path = "wasm/metrics.rs"]
mod metrics;
#[path = "wasm/modules.rs"]
mod modules;
#[path = "wasm/policy.rs"]
mod policy;
#[path = "wasm/sdk_examples.rs"]
mod sdk_examples;
#[path = "wasm/secrets.rs"]
mod secrets;
#[path = "wasm/soak.rs"]
mod soak;
#[path = "wasm/swap.rs"]
mod swap;
