//! Bodies in both directions: streamed with backpressure, bounded, watched for stalls.

mod client;
mod upstream;

pub(crate) use client::{ClientBody, Origin, ResponseBroken as ResponseBrokenReason, UpstreamResponse};
pub(crate) use upstream::{BodyFault, BodySource, Progress, UpstreamBody, UpstreamStream};
