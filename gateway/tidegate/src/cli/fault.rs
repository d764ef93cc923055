//! Faults of the operating system in words that say what to do.

use std::io::{Error, ErrorKind};

/// `what` (such as `cannot open listener 0.0.0.0:8000`) with the reason, and a remedy where there is a usual one.
#[must_use]
pub fn explain_io_error(what: &str, error: &Error) -> String {
    match error.kind() {
        ErrorKind::AddrInUse => {
            format!(
                "{what}: another process listens there already (`ss -ltnp` shows which); stop it or choose another port"
            )
        }
        ErrorKind::AddrNotAvailable => format!("{what}: this machine does not have that address"),
        ErrorKind::PermissionDenied if what.contains("listen") => {
            format!("{what}: permission denied; ports below 1024 need the capability CAP_NET_BIND_SERVICE")
        }
        ErrorKind::PermissionDenied => format!("{what}: permission denied"),
        ErrorKind::NotFound => format!("{what}: there is no such file or folder"),
        ErrorKind::IsADirectory => format!("{what}: it is a folder"),
        ErrorKind::InvalidData => format!("{what}: it is not UTF-8 text"),
        _ => format!("{what}: {error}"),
    }
}

/// Whether the reader of our output went away, as in `tidegate config show | head`.
pub(super) fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<Error>()
        .is_some_and(|error| error.kind() == ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn a_taken_port_is_called_taken() {
        let first = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = first.local_addr().expect("its address");
        let error = TcpListener::bind(address).expect_err("the port is taken");
        let text = explain_io_error(&format!("cannot open listener {address}"), &error);
        assert!(
            text.starts_with(&format!(
                "cannot open listener {address}: another process listens there already"
            )),
            "{text}"
        );
    }

    #[test]
    fn usual_faults_of_files_have_words_of_their_own() {
        let missing = std::fs::read("/nonexistent/file").expect_err("no such file");
        assert_eq!(
            explain_io_error("cannot read x", &missing),
            "cannot read x: there is no such file or folder"
        );
        let folder = std::fs::read("/").expect_err("a folder");
        assert_eq!(
            explain_io_error("cannot read /", &folder),
            "cannot read /: it is a folder"
        );
        let denied = Error::from(ErrorKind::PermissionDenied);
        assert!(
            explain_io_error("cannot open listener 0.0.0.0:80", &denied).ends_with("CAP_NET_BIND_SERVICE")
        );
        assert!(explain_io_error("cannot read /x", &denied).ends_with("permission denied"));
    }
}
