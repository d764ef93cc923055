//! Bodies in both directions: streamed with backpressure, bounded, watched for stalls.

mod client;
mod upstream;

pub(crate) use client::{
    ClientBody, Origin, ResponseBroken as ResponseBrokenReason, ResponseStream, Sending, UpstreamResponse,
};
pub(crate) use upstream::{BodyFault, BodySource, ClientStream, Progress, UpstreamBody, UpstreamStream};
