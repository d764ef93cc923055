//! The table as text: help of the command line, `tidegate.conf.default`, and the page of the manual.

use super::spec::{Definition, Effect};
use super::table::{GROUPS, Group};
use std::fmt::Write;

/// One line for each setting that has an effect, with its default.
#[must_use]
pub fn help() -> String {
    let mut out = String::from(
        "Settings (by --set NAME=VALUE, environment TIDEGATE_NAME or KONG_NAME, or tidegate.conf; earlier wins):\n",
    );
    for group in GROUPS {
        let rows: Vec<&Definition> = group
            .definitions
            .iter()
            .filter(|d| d.spec.effect == Effect::Now)
            .collect();
        if rows.is_empty() {
            continue;
        }
        let _ = write!(out, "\n  {}\n", group.title);
        for definition in rows {
            let _ = writeln!(
                out,
                "    {}{}\n        {}",
                definition.name,
                default_of(definition),
                definition.summary()
            );
        }
    }
    out.push_str("\nNames of Kong that are accepted without effect are listed by `tidegate config docs`.\n");
    out
}

fn default_of(definition: &Definition) -> String {
    if definition.spec.default.is_empty() {
        String::new()
    } else {
        format!(" [{}]", definition.spec.default)
    }
}

/// A settings file in which every setting stands with its text and default, commented out.
#[must_use]
pub fn conf_default() -> String {
    let mut out = String::from(
        "# Settings of Tidegate. Every line that starts with `#name = ` shows a default: remove the `#` to change it.\n\
         # A `#` inside a value is written `\\#`. Values may be references: {vault://env/NAME}.\n\
         # Environment variables TIDEGATE_NAME (or KONG_NAME) and the command line win over this file.\n",
    );
    for group in GROUPS {
        let _ = write!(
            out,
            "\n#{}\n# {}\n#{}\n",
            "-".repeat(78),
            group.title,
            "-".repeat(78)
        );
        for definition in group.definitions {
            let _ = write!(
                out,
                "\n#{} = {}\n",
                definition.name,
                definition.spec.default.replace('#', "\\#")
            );
            for line in definition.doc {
                let _ = writeln!(out, "#    {}", line.trim());
            }
            let _ = writeln!(out, "#    Value: {}.", plain(&definition.spec.expectation()));
            if definition.spec.effect != Effect::Now {
                let _ = writeln!(out, "#    {}", definition.spec.effect.note());
            }
        }
    }
    out
}

fn plain(text: &str) -> String {
    text.replace('`', "")
}

/// The page of the manual: every setting, and first of all the sources and their order.
#[must_use]
pub fn markdown() -> String {
    let mut out = String::from(
        "# Settings\n\n\
         A setting is given, from weakest to strongest, by its default, the file `tidegate.conf` \
         (`name = value`, `#` starts a comment), the environment variable `KONG_NAME`, the environment variable \
         `TIDEGATE_NAME`, or the command line (`--set name=value`). An empty value counts as not given.\n\n\
         - Switches are `on` and `off` (or `true` and `false`), lists are separated by commas.\n\
         - Sizes are bytes, or a number with `k`, `m` or `g` (powers of 1,024).\n\
         - Times are numbers in the unit of the setting, or numbers with `ms`, `s`, `m`, `h`, `d` or `w`, as in \
         `1h30m`.\n\
         - A value may be a reference: `{vault://env/pg-password}` is the content of the variable `PG_PASSWORD`.\n\
         - An unknown name in the file, on the command line or after `TIDEGATE_` stops the start; after `KONG_` it is \
         a warning.\n\n\
         `tidegate config show` prints the values in force and where each came from.\n",
    );
    for group in GROUPS {
        section(&mut out, group);
    }
    let _ = write!(
        out,
        "\n## Other names\n\n`nginx_http_large_client_header_buffers = NUMBER SIZE` sets `client_max_request_line` and \
         `client_max_header_line` to SIZE and `client_max_header_bytes` to the product.\n"
    );
    out
}

fn section(out: &mut String, group: &Group) {
    let _ = write!(
        out,
        "\n## {}\n\n| Setting | Default | Value | Meaning |\n|---|---|---|---|\n",
        group.title
    );
    for definition in group.definitions {
        let spec = &definition.spec;
        let default = if spec.default.is_empty() {
            "none".to_owned()
        } else {
            format!("`{}`", cell(spec.default))
        };
        let mut text = definition.text();
        if !spec.effect.note().is_empty() {
            let _ = write!(text, " {}", spec.effect.note());
        }
        if !spec.aliases.is_empty() {
            let aliases: Vec<String> = spec.aliases.iter().map(|alias| format!("`{alias}`")).collect();
            let _ = write!(text, " Also: {}.", aliases.join(", "));
        }
        let _ = writeln!(
            out,
            "| `{}` | {default} | {} | {} |",
            definition.name,
            cell(&spec.expectation()),
            cell(&text)
        );
    }
}

/// A `|` would end the cell of a table.
pub(super) fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}
