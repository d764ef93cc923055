//! Plugin `file-log`: one JSON line per request in a file.
//!
//! Lines are made here and written elsewhere, by the process's line writer: a slow disk never holds up a request.

use serde_json::Value;
use std::sync::Arc;
use tidegate_model::schema::{Declared, RecordSchema};
use tidegate_plugin::{BuildCx, BuildError, Kind, LogCx, Phase, PhaseSet, Plugin, log_record};

mod config;
#[cfg(test)]
mod tests;

pub use config::FileLogConfig;

/// The kind.
#[derive(Debug, Default, Clone, Copy)]
pub struct FileLog;

impl Kind for FileLog {
    fn name(&self) -> &'static str {
        "file-log"
    }

    fn priority(&self) -> i32 {
        9
    }

    fn phases(&self) -> PhaseSet {
        PhaseSet::of(&[Phase::Log])
    }

    fn schema(&self) -> &'static RecordSchema {
        FileLogConfig::schema()
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
        &["grpc", "grpcs", "http", "https"]
    }

    fn build(&self, config: &Value, cx: &BuildCx<'_>) -> Result<Arc<dyn Plugin>, BuildError> {
        let config: FileLogConfig = cx.config(config)?;
        Ok(Arc::new(Instance {
            path: config.path,
            reopen: config.reopen,
        }))
    }
}

/// One configured instance.
struct Instance {
    path: String,
    reopen: bool,
}

impl Plugin for Instance {
    fn log(&self, x: &mut LogCx<'_>) {
        let mut line = log_record::record(x.exchange()).to_string().into_bytes();
        line.push(b'\n');
        x.services().lines.append(&self.path, line, self.reopen);
    }
}
