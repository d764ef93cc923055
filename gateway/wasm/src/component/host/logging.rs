//! The filter's log.

use crate::component::bindings::logging::Host;
use crate::component::bindings::types::Level;
use crate::component::state::State;
use crate::log;
use std::fmt::Write;
use wasmtime::Result;

const fn level(level: Level) -> log::Level {
    match level {
        Level::Trace => log::Level::Trace,
        Level::Debug => log::Level::Debug,
        Level::Info => log::Level::Info,
        Level::Warn => log::Level::Warn,
        Level::Error => log::Level::Error,
    }
}

impl Host for State {
    fn enabled(&mut self, of: Level) -> Result<bool> {
        Ok(level(of).is_on())
    }

    fn emit(&mut self, of: Level, mut message: String, fields: Vec<(String, String)>) -> Result<()> {
        let level = level(of);
        if level.is_on() {
            for (key, value) in fields {
                // Writing to a string does not fail.
                let _ = write!(message, " {key}={value:?}");
            }
            self.log(level, message.as_bytes());
        }
        Ok(())
    }
}
