use super::{Template, template};

pub(super) const TEMPLATE: Template = Template {
    files: &[
        ("Cargo.toml", template!("rust-component/Cargo.toml.in")),
        (".cargo/config.toml", template!("rust/cargo-config.toml.in")),
        ("src/lib.rs", template!("rust-component/src/lib.rs.in")),
        ("tests/filter.rs", template!("rust/tests/filter.rs.in")),
        ("filter.meta.json", template!("rust/filter.meta.json.in")),
        ("request.http", template!("rust/request.http.in")),
        ("README.md", template!("rust-component/README.md.in")),
    ],
    ignored: &["/target", "/filters"],
    next: &[
        "tidegate filter build {{project}} --out filters",
        "cargo test --manifest-path {{project}}/Cargo.toml",
    ],
};
