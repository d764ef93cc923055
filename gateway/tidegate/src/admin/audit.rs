//! A line for each request to the Admin API: when, what, outcome. Bodies and arguments are left out: they hold secrets.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};
use tidegate_admin::{AuditEntry, AuditLog};
use tidegate_config::settings::Settings;
use tidegate_telemetry::line_writer::LineWriter;

struct AuditLines {
    path: String,
    lines: Arc<LineWriter>,
}

/// Where the setting `admin_access_log` says; none when it is off.
pub(super) fn log(settings: &Settings, lines: &Arc<LineWriter>) -> Option<Arc<dyn AuditLog>> {
    Some(Arc::new(AuditLines {
        path: settings.log_path(&settings.admin.admin_access_log)?,
        lines: Arc::clone(lines),
    }))
}

impl AuditLog for AuditLines {
    fn record(&self, entry: &AuditEntry<'_>) {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let line = serde_json::json!({
            "time": since.map_or(0.0, |elapsed| elapsed.as_secs_f64()),
            "method": entry.method.as_str(),
            "path": entry.path,
            "status": entry.status.as_u16(),
            "body_bytes": entry.body_size,
            "latency_ms": entry.took.as_secs_f64() * 1_000.0,
        });
        self.lines
            .append(&self.path, format!("{line}\n").into_bytes(), false);
    }
}
