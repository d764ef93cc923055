//! Languages that filters are written in, each with the project that an author begins with.

mod assemblyscript;
mod c;
mod javascript;
mod python;
mod rust;
mod rust_component;

use clap::ValueEnum;

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Language {
    /// proxy-wasm, with the crate tidegate-sdk
    Rust,
    /// Component, with the crate tidegate-sdk-component
    RustComponent,
    /// proxy-wasm, with the library tidegate
    #[value(name = "assemblyscript")]
    AssemblyScript,
    /// Component, with the tool componentize-js
    #[value(name = "javascript")]
    JavaScript,
    /// Component, with the tool componentize-py
    Python,
    /// proxy-wasm, with the header tidegate_filter.h
    C,
}

/// A project to begin with. In all texts `{{name}}` stands for the filter, `{{module}}` for its module, `{{sdk}}` for the
/// folder of the SDK, and in those that are shown `{{project}}` for the project.
pub(super) struct Template {
    /// Paths in the project, with what is in them.
    pub(super) files: &'static [(&'static str, &'static str)],
    /// Folders that are made by building and testing.
    pub(super) ignored: &'static [&'static str],
    /// Commands that come next, one after the other.
    pub(super) next: &'static [&'static str],
}

impl Language {
    pub(super) const fn template(self) -> &'static Template {
        match self {
            Self::Rust => &rust::TEMPLATE,
            Self::RustComponent => &rust_component::TEMPLATE,
            Self::JavaScript => &javascript::TEMPLATE,
            Self::Python => &python::TEMPLATE,
            Self::AssemblyScript => &assemblyscript::TEMPLATE,
            Self::C => &c::TEMPLATE,
        }
    }
}

/// The text of a file in `sdk/templates`.
macro_rules! template {
    ($path:literal) => {
        include_str!(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../sdk/templates/",
            $path
        ))
    };
}
use template;
