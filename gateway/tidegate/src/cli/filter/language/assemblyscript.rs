use super::{Template, template};

pub(super) const TEMPLATE: Template = Template {
    files: &[
        (
            "assembly/index.ts",
            template!("assemblyscript/assembly/index.ts.in"),
        ),
        ("package.json", template!("assemblyscript/package.json.in")),
        ("asconfig.json", template!("assemblyscript/asconfig.json.in")),
        (
            "filter.meta.json",
            template!("assemblyscript/filter.meta.json.in"),
        ),
        ("request.http", template!("assemblyscript/request.http.in")),
        ("expected.txt", template!("assemblyscript/expected.txt.in")),
        ("test.sh", template!("assemblyscript/test.sh.in")),
        ("README.md", template!("assemblyscript/README.md.in")),
    ],
    ignored: &["/build", "/filters", "/node_modules"],
    next: &[
        "npm install --prefix {{project}}",
        "tidegate filter build {{project}} --out filters",
        "npm test --prefix {{project}}",
    ],
};
