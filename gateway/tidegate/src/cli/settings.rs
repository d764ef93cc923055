//! The settings of a command: file, environment and flags.

use super::Surroundings;
use super::arguments::{RunningArguments, SettingsArguments};
use super::fault::explain_io_error;
use anyhow::{Result, anyhow};
use std::path::{Path, PathBuf};
use tidegate_config::settings::values::LogLevel;
use tidegate_config::settings::{Settings, Sources};

/// Read when nothing names another file, and it exists.
const USUAL_FILE: &str = "/etc/tidegate/tidegate.conf";
/// Environment variable that names the settings file.
const FILE_VARIABLE: &str = "TIDEGATE_CONF";

impl SettingsArguments {
    /// Reads all sources; what deserves a warning goes to standard error unless the log level leaves warnings out.
    pub(super) fn load(&self, surroundings: &mut Surroundings<'_>) -> Result<Settings> {
        let mut flags = self.set.clone();
        flags.extend(
            self.declarative_config
                .clone()
                .map(|file| ("declarative_config".to_owned(), file)),
        );
        let sources = Sources {
            file: self.file(&surroundings.environment)?,
            environment: surroundings.environment.clone(),
            flags,
        };
        let loaded = Settings::load(&sources)?;
        let wants_warnings = matches!(
            loaded.settings.logs.log_level,
            LogLevel::Debug | LogLevel::Info | LogLevel::Notice | LogLevel::Warn
        );
        if wants_warnings {
            for warning in &loaded.warnings {
                writeln!(surroundings.stderr, "tidegate: warning: {warning}")?;
            }
        }
        Ok(loaded.settings)
    }

    fn file(&self, environment: &[(String, String)]) -> Result<Option<(String, String)>> {
        let from_environment = || {
            let found = environment
                .iter()
                .find(|(name, value)| name == FILE_VARIABLE && !value.is_empty());
            found.map(|(_, value)| PathBuf::from(value))
        };
        if let Some(path) = self.conf.clone().or_else(from_environment) {
            return read(&path).map(Some);
        }
        let usual = Path::new(USUAL_FILE);
        if usual.exists() {
            read(usual).map(Some)
        } else {
            Ok(None)
        }
    }
}

impl RunningArguments {
    /// The settings, as far as they tell where the running gateway keeps its process id.
    pub(super) fn load(&self, surroundings: &mut Surroundings<'_>) -> Result<Settings> {
        let mut arguments = self.settings.clone();
        arguments
            .set
            .extend(self.prefix.clone().map(|prefix| ("prefix".to_owned(), prefix)));
        arguments.load(surroundings)
    }
}

fn read(path: &Path) -> Result<(String, String)> {
    let what = format!("cannot read the settings file {}", path.display());
    let text = std::fs::read_to_string(path).map_err(|error| anyhow!(explain_io_error(&what, &error)))?;
    Ok((path.display().to_string(), text))
}
