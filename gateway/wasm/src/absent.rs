//! What stands in the place of a filter that is not there.

use crate::kind::overlaid;
use crate::options::{FailurePolicy, FilterOptions};
use http::StatusCode;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use tidegate_model::schema::RecordSchema;
use tidegate_plugin::kind::Fault;
use tidegate_plugin::{
    BuildCx, BuildError, Exchange, Filter, FilterFault, FilterNeeds, FilterRun, Kind, PhaseSet, Plugin,
};

/// The kind of all filters that a configuration names and nobody installed, or that cannot be loaded.
///
/// With the failure policy `open` requests go on without the filter. With `closed` an attachment is refused; only while
/// the gateway starts it is taken, its requests are answered with 503, and the gateway is not ready.
pub struct AbsentFilters {
    reasons: BTreeMap<String, String>,
    at_start: bool,
    /// The field that names what is not there.
    field: &'static str,
}

impl AbsentFilters {
    /// `reasons` tells of files that are there and cannot be loaded, by the filter's name.
    #[must_use]
    pub const fn new(reasons: BTreeMap<String, String>, at_start: bool) -> Self {
        Self {
            reasons,
            at_start,
            field: "name",
        }
    }

    /// For the filter `name` alone, whose attachment names its module in `field`.
    #[must_use]
    pub fn of_module(name: &str, field: &'static str, reason: String, at_start: bool) -> Self {
        Self {
            reasons: [(name.to_owned(), reason)].into(),
            at_start,
            field,
        }
    }
}

impl Kind for AbsentFilters {
    fn name(&self) -> &'static str {
        "absent filter"
    }

    fn priority(&self) -> i32 {
        0
    }

    fn phases(&self) -> PhaseSet {
        PhaseSet::default()
    }

    fn schema(&self) -> &'static RecordSchema {
        static NONE: std::sync::LazyLock<RecordSchema> = std::sync::LazyLock::new(RecordSchema::default);
        &NONE
    }

    fn is_filter(&self) -> bool {
        true
    }

    fn is_absent(&self) -> bool {
        true
    }

    fn takes_any_config(&self) -> bool {
        true
    }

    fn build(&self, _: &Value, cx: &BuildCx<'_>) -> Result<Arc<dyn Plugin>, BuildError> {
        let name = &cx.entity.name;
        let reason = self.reasons.get(name);
        let message = match reason {
            Some(reason) => format!("the filter '{name}' cannot be loaded: {reason}"),
            None => format!("no such filter '{name}'"),
        };
        let options = overlaid(&FilterOptions::default(), cx.entity.tidegate.as_ref())?;
        let is_open = options.failure_policy == FailurePolicy::Open;
        if !is_open && !self.at_start {
            return Err(BuildError {
                path: self.field.to_owned(),
                message,
            });
        }
        tracing::warn!(
            filter = name,
            is_open,
            reason,
            "a filter is attached and not there"
        );
        Ok(Arc::new(AbsentFilter { message, is_open }))
    }
}

struct AbsentFilter {
    message: String,
    is_open: bool,
}

impl Plugin for AbsentFilter {
    fn filter(self: Arc<Self>) -> Option<Arc<dyn Filter>> {
        Some(self)
    }
}

impl Filter for AbsentFilter {
    fn needs(&self) -> FilterNeeds {
        FilterNeeds::default()
    }

    fn start(&self, _: &mut Exchange) -> Result<Option<Box<dyn FilterRun>>, Box<FilterFault>> {
        if self.is_open {
            return Ok(None);
        }
        Err(Box::new(FilterFault {
            status: StatusCode::SERVICE_UNAVAILABLE,
            retry_after: None,
            fault: Fault::plugin(self.message.clone()),
        }))
    }

    fn is_absent(&self) -> bool {
        !self.is_open
    }
}
