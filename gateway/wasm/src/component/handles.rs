//! What the handles of the package stand for.

#![allow(unreachable_pub, reason = "the generated bindings re-export them")]

use crate::host::data::SharedData;
use crate::host::metrics::Metric;
use std::sync::Arc;

/// The exchange of the call.
pub struct Context;
/// Its request's head.
pub struct RequestHead;
/// Its response's head.
pub struct ResponseHead;
/// A body; its handle is the direction.
pub struct Body;

/// A metric without its labels.
pub struct Counter(pub(in crate::component) Family);
/// See [`Counter`].
pub struct Gauge(pub(in crate::component) Family);
/// See [`Counter`].
pub struct Histogram(pub(in crate::component) Family);

/// A metric's name, its labels, and the one metric behind it if there are none.
pub struct Family {
    pub(in crate::component) name: String,
    pub(in crate::component) labels: Vec<String>,
    /// Of a histogram: its buckets' upper bounds.
    pub(in crate::component) bounds: Vec<f64>,
    pub(in crate::component) last: Option<(Vec<String>, Arc<Metric>)>,
}

/// Data shared under a name.
pub struct Store(pub(in crate::component) Arc<SharedData>);
