//! What the language of a filter costs, for one that works on many headers.

use crate::bench::helper;
use crate::bench::peers::Workdir;
use crate::bench::report::Table;
use crate::shell::{self, target_dir};
use crate::test::compilers;
use anyhow::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Language, what it stands for among the compilers, and the project; the rest of the modules are of the workspace.
const LANGUAGES: [(&str, &str, &str); 6] = [
    ("Rust", "Rust", "loop"),
    ("C", "C", "loop-c"),
    ("AssemblyScript", "AssemblyScript", "loop-assemblyscript"),
    ("Rust, component", "Rust", "loop-component"),
    ("JavaScript, component", "JavaScript", "loop-javascript"),
    ("Python, component", "Python", "loop-python"),
];

pub(crate) fn run(workdir: &Workdir) -> Result<Vec<Table>> {
    let left_out = compilers::install();
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("../benches/filters");
    let out = target_dir().join("filters/loops");
    let mut modules: Vec<(&str, PathBuf)> = Vec::new();
    println!("building the filters");
    build(workdir, &sources, &out)?;
    for (language, compiler, project) in LANGUAGES {
        if left_out.contains(&compiler) {
            println!("left out: {language}, whose compiler could not be installed");
            continue;
        }
        if compiler != "Rust" {
            build(workdir, &sources.join(project), &out)?;
        }
        modules.push((language, out.join(format!("{}.wasm", project.replace('-', "_")))));
    }
    let mut measure = Command::new(helper("filter-languages")?);
    measure.args(modules.iter().map(|(_, module)| module));
    let said = shell::output(&mut measure)?;
    let mut table = Table::new(
        "A filter that sets, reads and removes 20 headers, by language, in the host without a gateway around it",
        &[
            "language",
            "us/exchange",
            "x native",
            "KiB an instance",
            "module KiB",
        ],
    );
    let mut native = None;
    for (line, (language, module)) in said
        .lines()
        .zip([("native", PathBuf::new())].iter().chain(&modules))
    {
        let [_, micros, kib] = line.split(' ').collect::<Vec<_>>()[..] else {
            anyhow::bail!("three words are expected: {line}");
        };
        let micros: f64 = micros.parse().context(line.to_owned())?;
        let size = fs::metadata(module).map_or(0, |metadata| metadata.len() / 1_024);
        table.row(&[
            (*language).to_owned(),
            format!("{micros:.2}"),
            format!("{:.1}", micros / *native.get_or_insert(micros)),
            kib.to_owned(),
            size.to_string(),
        ]);
    }
    Ok(vec![table])
}

/// By the program itself, with the compilers that were installed for it in its search path.
fn build(workdir: &Workdir, project: &Path, out: &Path) -> Result<()> {
    let mut command = Command::new(workdir.binary());
    command
        .args(["filter", "build"])
        .arg(project)
        .arg("--out")
        .arg(out);
    command.env("PATH", compilers::search_path()?);
    shell::output(&mut command).map(drop)
}
