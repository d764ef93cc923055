//! What can go wrong, in decK's words.

use std::fmt::Write as _;
use std::io;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The Admin API refused a request.
    #[error("HTTP status {status} (message: {message:?})")]
    Status {
        /// Its status.
        status: u16,
        /// The field `message` of its answer.
        message: String,
    },
    /// The Admin API could not be asked.
    #[error("making HTTP request: {0}")]
    Request(String),
    /// What was being done when it failed.
    #[error("{doing}: {source}")]
    While {
        /// In the progressive form.
        doing: String,
        /// What failed.
        source: Box<Self>,
    },
    /// Several things are wrong.
    #[error("{}", listed(.0))]
    Several(Vec<Self>),
    /// The files or the arguments make no sense.
    #[error("{0}")]
    Input(String),
    /// The answer cannot be written.
    #[error("cannot write the output: {0}")]
    Output(#[from] io::Error),
}

impl Error {
    pub(crate) fn input(text: impl Into<String>) -> Self {
        Self::Input(text.into())
    }

    pub(crate) fn during(self, doing: impl Into<String>) -> Self {
        Self::While {
            doing: doing.into(),
            source: Box::new(self),
        }
    }

    /// The status of the answer that caused it.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Status { status, .. } => Some(*status),
            Self::While { source, .. } => source.status(),
            _ => None,
        }
    }

    /// Whether nobody reads the output any more.
    #[must_use]
    pub fn is_broken_pipe(&self) -> bool {
        match self {
            Self::Output(error) => error.kind() == io::ErrorKind::BrokenPipe,
            Self::While { source, .. } => source.is_broken_pipe(),
            Self::Several(list) => list.iter().any(Self::is_broken_pipe),
            _ => false,
        }
    }
}

fn listed(errors: &[Error]) -> String {
    let mut text = format!("{} errors occurred:\n", errors.len());
    for error in errors {
        let _ = writeln!(text, "\t{error}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::Error;

    #[test]
    fn a_refusal_reads_as_deck_prints_it() {
        let refused = Error::Status {
            status: 400,
            message: "schema violation (paths: bad)".to_owned(),
        };
        let error = Error::Several(vec![
            refused
                .during("Create route bad failed")
                .during("while processing event"),
        ]);
        assert_eq!(
            error.to_string(),
            "1 errors occurred:\n\twhile processing event: Create route bad failed: HTTP status 400 \
             (message: \"schema violation (paths: bad)\")\n"
        );
    }
}
