use super::{Template, template};

pub(super) const TEMPLATE: Template = Template {
    files: &[
        ("filter.py", template!("python/filter.py.in")),
        ("world.wit", template!("python/world.wit.in")),
        ("requirements.txt", template!("python/requirements.txt.in")),
        ("filter.meta.json", template!("python/filter.meta.json.in")),
        ("request.http", template!("python/request.http.in")),
        ("test_filter.py", template!("python/test_filter.py.in")),
        ("README.md", template!("python/README.md.in")),
    ],
    ignored: &["/build", "/filters", "/.venv", "__pycache__"],
    next: &[
        "python3 -m venv {{project}}/.venv && {{project}}/.venv/bin/pip install -r {{project}}/requirements.txt",
        "tidegate filter build {{project}} --out filters",
        "python3 -m unittest discover {{project}}",
    ],
};
