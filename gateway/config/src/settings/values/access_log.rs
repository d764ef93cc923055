//! Where log lines go.

use crate::settings::spec::Spec;
use crate::settings::value::Value;
use std::path::PathBuf;

/// Destination of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogTarget {
    /// Nowhere: no line is made.
    Off,
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
    /// A file; a relative path starts at `prefix`.
    File(PathBuf),
}

impl Value for LogTarget {
    fn read(text: &str, _spec: &Spec) -> Result<Self, String> {
        match text {
            "off" => Ok(Self::Off),
            "stdout" | "/dev/stdout" => Ok(Self::Stdout),
            "stderr" | "/dev/stderr" => Ok(Self::Stderr),
            _ => match text.split_once(char::is_whitespace) {
                // Kong takes the name of an nginx log format here.
                Some((_, format)) => Err(format!(
                    "expected one path, found `{format}` after it: formats have a setting of their own"
                )),
                None => Ok(Self::File(PathBuf::from(text))),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::spec::path;

    #[test]
    fn a_log_goes_nowhere_to_a_stream_or_to_a_file() {
        for (text, target) in [
            ("off", LogTarget::Off),
            ("/dev/stdout", LogTarget::Stdout),
            ("stderr", LogTarget::Stderr),
            ("logs/a.log", LogTarget::File(PathBuf::from("logs/a.log"))),
        ] {
            assert_eq!(LogTarget::read(text, &path("")), Ok(target));
        }
    }

    #[test]
    fn a_format_behind_the_path_is_refused_with_a_pointer_to_its_setting() {
        let message = LogTarget::read("logs/a.log basic", &path("")).unwrap_err();
        assert!(
            message.contains("`basic`") && message.contains("setting of their own"),
            "{message}"
        );
    }
}
