//! Logs.

use crate::settings::group::settings_group;
use crate::settings::spec::{choice, count, size, text};
use crate::settings::values::{AccessLogFormat, LogFormat, LogLevel, LogTarget};

pub(super) const TARGET: &str = "`off`, `stdout`, `stderr` or the path of a file";

settings_group! {
    /// Access logs and the process log.
    Logs, "Logs" {
        /// Severity from which the process log keeps lines. It goes to standard error.
        log_level: LogLevel = choice("notice", LogLevel::WORDS);

        /// Form of the process log.
        log_format: LogFormat = choice("text", LogFormat::WORDS);

        /// Where a line for each proxied request goes.
        proxy_access_log: LogTarget = text("logs/access.log", TARGET);

        /// Form of the lines of `proxy_access_log`.
        proxy_access_log_format: AccessLogFormat = choice("combined", AccessLogFormat::WORDS);

        /// Lines that may wait to be written to access logs and logs of plugins. When a disk is too slow, further
        /// lines are dropped and counted.
        log_queue_lines: usize = count("65536", 16, 16_777_216).limit();

        /// Bytes that may wait to be written to these logs.
        log_queue_bytes: usize = size("64m", 65_536, 1 << 36).limit();

        /// Where a line for each request to the status API goes.
        status_access_log: LogTarget = text("off", TARGET).later();

        /// Kong's file for the process log of the proxy; Tidegate has one process log.
        proxy_error_log: LogTarget = text("logs/error.log", TARGET).never();

        /// Kong's file for the process log of the Admin API.
        admin_error_log: LogTarget = text("logs/error.log", TARGET).never();

        /// Kong's file for the process log of the status API.
        status_error_log: LogTarget = text("logs/status_error.log", TARGET).never();

        /// Where a line for each raw TCP or UDP session goes.
        proxy_stream_access_log: LogTarget = text("logs/access.log", TARGET).later();

        /// Kong's file for the process log of raw TCP and UDP traffic.
        proxy_stream_error_log: LogTarget = text("logs/error.log", TARGET).never();

        /// Where a line for each request to the manager UI goes.
        admin_gui_access_log: LogTarget = text("logs/admin_gui_access.log", TARGET).later();

        /// Kong's file for the process log of the manager UI.
        admin_gui_error_log: LogTarget = text("logs/admin_gui_error.log", TARGET).never();
    }
}
