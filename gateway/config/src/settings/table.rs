//! The table of all settings, one file for each theme.

mod filters;
mod limits;
mod listeners;
mod logs;
mod process;
mod reserved;
mod store;
mod tls;
mod traffic;
mod upstream;

pub use filters::Filters;
pub use limits::{ClientLimits, Http2};
pub use listeners::Listeners;
pub use logs::Logs;
pub use process::{Configuration, Process};
pub use reserved::Reserved;
pub use store::{AdminApi, Store};
pub use tls::Tls;
pub use traffic::{ClientAddress, Replies};
pub use upstream::{Dns, Upstream};

use super::spec::Definition;

/// Settings of one theme.
#[derive(Debug)]
pub struct Group {
    /// Heading of the manual.
    pub title: &'static str,
    /// The settings, in the order of the manual.
    pub definitions: &'static [Definition],
}

/// All groups, in the order of the manual.
pub const GROUPS: &[Group] = &[
    Process::GROUP,
    Configuration::GROUP,
    Store::GROUP,
    AdminApi::GROUP,
    Listeners::GROUP,
    Logs::GROUP,
    ClientAddress::GROUP,
    Replies::GROUP,
    ClientLimits::GROUP,
    Http2::GROUP,
    Upstream::GROUP,
    Tls::GROUP,
    Dns::GROUP,
    Filters::GROUP,
    Reserved::GROUP,
];

/// What a name of Kong with a syntax of its own stands for.
type Expansion = Result<Vec<(&'static str, String)>, String>;

/// Names that stand for several settings. `nginx_http_large_client_header_buffers = 4 8k` is the number and size of
/// nginx's buffers: a line fits in one, the whole head in all.
pub(super) fn expand(name: &str, value: &str) -> Option<Expansion> {
    if !matches!(
        name,
        "nginx_http_large_client_header_buffers" | "nginx_proxy_large_client_header_buffers"
    ) {
        return None;
    }
    Some(
        header_buffers(value)
            .ok_or_else(|| format!("expected a number and a size, such as `4 8k`, found `{value}`")),
    )
}

fn header_buffers(value: &str) -> Option<Vec<(&'static str, String)>> {
    let (number, size) = value.trim().split_once(char::is_whitespace)?;
    let number: u64 = number.parse().ok()?;
    let (digits, unit) = match size.trim().to_ascii_lowercase() {
        size if size.ends_with('k') => (size.trim_end_matches('k').to_owned(), 1 << 10),
        size if size.ends_with('m') => (size.trim_end_matches('m').to_owned(), 1 << 20),
        size => (size, 1),
    };
    let line = digits.parse::<u64>().ok()?.checked_mul(unit)?;
    let whole = line.checked_mul(number)?;
    Some(vec![
        ("client_max_request_line", line.to_string()),
        ("client_max_header_line", line.to_string()),
        ("client_max_header_bytes", whole.to_string()),
    ])
}
