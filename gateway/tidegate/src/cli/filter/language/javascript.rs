use super::{Template, template};

pub(super) const TEMPLATE: Template = Template {
    files: &[
        ("filter.js", template!("javascript/filter.js.in")),
        ("world.wit", template!("javascript/world.wit.in")),
        ("package.json", template!("javascript/package.json.in")),
        ("filter.meta.json", template!("javascript/filter.meta.json.in")),
        ("request.http", template!("javascript/request.http.in")),
        ("filter.test.js", template!("javascript/filter.test.js.in")),
        ("README.md", template!("javascript/README.md.in")),
    ],
    ignored: &["/build", "/filters", "/node_modules"],
    next: &[
        "npm install --prefix {{project}}",
        "tidegate filter build {{project}} --out filters",
        "npm test --prefix {{project}}",
    ],
};
