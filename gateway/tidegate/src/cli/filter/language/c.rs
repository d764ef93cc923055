use super::{Template, template};

pub(super) const TEMPLATE: Template = Template {
    files: &[
        ("filter.c", template!("c/filter.c.in")),
        ("compile_flags.txt", template!("c/compile_flags.txt.in")),
        ("filter.meta.json", template!("c/filter.meta.json.in")),
        ("request.http", template!("c/request.http.in")),
        ("expected.txt", template!("c/expected.txt.in")),
        ("test.sh", template!("c/test.sh.in")),
        ("README.md", template!("c/README.md.in")),
    ],
    ignored: &["/build", "/filters"],
    next: &[
        "tidegate filter build {{project}} --out filters",
        "sh {{project}}/test.sh",
    ],
};
