//! Wasm filters.

use crate::settings::group::settings_group;
use crate::settings::spec::{Kind, Spec, list, switch};
use std::path::PathBuf;

settings_group! {
    /// Wasm filters.
    Filters, "Wasm filters" {
        /// Whether Wasm filters can be attached, as plugins and by `filter_chains`.
        wasm: bool = switch("off");

        /// Folder of Wasm filters: `NAME.wasm`, with `NAME.meta.json` beside it where there is one. A changed file is
        /// taken into service as a changed configuration is.
        wasm_filters_path: Option<PathBuf> = Spec::new(Kind::Text("the path of a folder"), "");

        /// Filters that may be attached: names, or `user` for all in the folder. `bundled` names none in this version;
        /// `off` anywhere allows none.
        wasm_filters: Vec<String> = list("bundled,user", "names of filters");

        /// More folders whose modules an attachment may name by their absolute path (`tidegate: {module: ...}`); below
        /// `wasm_filters_path` it may name any.
        wasm_module_folders: Vec<PathBuf> = list("", "paths of folders");

        /// Hosts that filters may call beside Upstreams and Services by their names: `HOST`, `HOST:PORT`, or `*` for
        /// all. Over TLS (`:scheme: https`) their certificates are always verified, by `trusted_certificates`.
        wasm_callout_hosts: Vec<String> = list("", "hosts");
    }
}
