//! Wasm filters in the running gateway.

#[path = "wasm/attach.rs"]
mod attach;
#[path = "wasm/guest.rs"]
mod guest;
#[path = "wasm/messages.rs"]
mod messages;
#[path = "wasm/swap.rs"]
mod swap;
