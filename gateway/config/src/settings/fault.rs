//! What is wrong with the settings.

use super::merge::Origin;
use std::fmt;

/// One fault of one setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The name as it was written.
    pub setting: String,
    /// Where it was written.
    pub origin: Origin,
    /// What is wrong.
    pub message: String,
    /// What may have been meant.
    pub hint: Option<String>,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "setting `{}` ({}): {}",
            self.setting, self.origin, self.message
        )?;
        match &self.hint {
            Some(hint) => write!(f, "; {hint}"),
            None => Ok(()),
        }
    }
}

/// Settings that cannot be used, with every reason.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", lines(.faults))]
pub struct SettingsError {
    /// At least one.
    pub faults: Vec<Fault>,
}

fn lines(faults: &[Fault]) -> String {
    faults.iter().map(Fault::to_string).collect::<Vec<_>>().join("\n")
}
