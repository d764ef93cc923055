//! C: clang with a linker for WebAssembly, or zig, whichever is there.

use crate::tools::{compile, find, printed, program};
use crate::{BuildError, Built, module_place};
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The file that makes a folder a filter in C.
pub(crate) const MAIN: &str = "filter.c";

/// Flags of the project, one a line, as editors read them.
const FLAGS: &str = "compile_flags.txt";

/// For both compilers. Memory is copied and filled by instructions, since there is no library to do it. The small stack
/// is because all of it is cleaned for each fresh instance.
const COMMON: [&str; 9] = [
    "-O2",
    "-nostdlib",
    "-ffreestanding",
    "-Wall",
    "-Wextra",
    "-Wl,--no-entry",
    "-Wl,--strip-debug",
    "-Wl,-z,stack-size=32768",
    "-o",
];

pub(crate) fn build(folder: &Path, target_folder: Option<&Path>) -> Result<Built, BuildError> {
    let main = folder.join(MAIN);
    let unreadable = |error: io::Error| BuildError::Project {
        file: main.clone(),
        reason: error.to_string(),
    };
    let whole = folder.canonicalize().map_err(unreadable)?;
    let name = whole.file_name().unwrap_or_default().to_string_lossy();
    let module = module_place(folder, target_folder, &name)?;
    let mut compiler = Compiler::find(std::env::var_os("PATH").as_deref(), &printed)?.command();
    compiler
        .current_dir(folder)
        .args(flags(&folder.join(FLAGS)))
        .args(COMMON)
        .arg(&module)
        .args(sources(folder).map_err(unreadable)?);
    compile(compiler)?;
    Ok(Built {
        module,
        package: folder.to_path_buf(),
    })
}

/// All C files of the folder, in the order of their names.
fn sources(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let name = PathBuf::from(entry?.file_name());
        if name.extension().is_some_and(|extension| extension == "c") {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

fn flags(file: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    lines.map(str::to_owned).collect()
}

#[derive(Debug)]
enum Compiler {
    /// With the linker to call, which clang finds only under one name.
    Clang { clang: PathBuf, linker: PathBuf },
    /// `zig`, or what runs it.
    Zig(Vec<PathBuf>),
}

/// Newest first.
const CLANGS: [&str; 10] = [
    "clang", "clang-22", "clang-21", "clang-20", "clang-19", "clang-18", "clang-17", "clang-16", "clang-15",
    "clang-14",
];
const LINKERS: [&str; 10] = [
    "wasm-ld",
    "wasm-ld-22",
    "wasm-ld-21",
    "wasm-ld-20",
    "wasm-ld-19",
    "wasm-ld-18",
    "wasm-ld-17",
    "wasm-ld-16",
    "wasm-ld-15",
    "wasm-ld-14",
];

/// What a program prints when it is run with some arguments; `None` when it is not there or fails.
type Prints = dyn Fn(&Path, &[&str]) -> Option<String>;

impl Compiler {
    fn find(path: Option<&OsStr>, prints: &Prints) -> Result<Self, BuildError> {
        // Some are built without the target, such as Apple's.
        let makes_wasm =
            |clang: &PathBuf| prints(clang, &["--print-targets"]).is_some_and(|text| text.contains("wasm32"));
        let mut clangs = CLANGS.iter().filter_map(|name| find(path, &[name]));
        let clang = clangs.find(makes_wasm);
        let linker = find(path, &LINKERS).or_else(|| linker_of_rust(prints));
        let (what, install) = match (clang, linker) {
            (Some(clang), Some(linker)) => return Ok(Self::Clang { clang, linker }),
            (Some(_), None) => ("wasm-ld, the linker that clang needs", "apt-get install lld"),
            (None, _) => ("clang 14 or newer", "apt-get install clang lld"),
        };
        if let Some(zig) = find(path, &["zig"]) {
            return Ok(Self::Zig(vec![zig]));
        }
        if let Some(python) = find(path, &["python3", "python"])
            && prints(&python, &["-m", "ziglang", "version"]).is_some()
        {
            return Ok(Self::Zig(vec![python, "-m".into(), "ziglang".into()]));
        }
        Err(BuildError::Tool {
            missing: format!("C cannot be compiled to WebAssembly: there is neither {what}, nor zig"),
            install: install.to_owned(),
        })
    }

    fn command(self) -> Command {
        match self {
            Self::Clang { clang, linker } => {
                let mut command = Command::new(clang);
                command.args(["--target=wasm32-unknown-unknown", "-mbulk-memory"]);
                // What overflows the stack then traps, and changes nothing. Zig does it so by itself.
                command.arg("-Wl,--stack-first");
                command.arg(format!("-fuse-ld={}", linker.display()));
                command
            }
            Self::Zig(words) => {
                let mut words = words.into_iter();
                let mut command = Command::new(words.next().unwrap_or_else(|| "zig".into()));
                command.args(words);
                command.args([
                    "cc",
                    "-target",
                    "wasm32-freestanding",
                    "-mcpu=generic+bulk_memory",
                ]);
                command
            }
        }
    }
}

/// Rust's toolchains carry one, beside the libraries of their own machine.
fn linker_of_rust(prints: &Prints) -> Option<PathBuf> {
    let rustc = program("RUSTC", "rustc");
    let libraries =
        PathBuf::from(prints(rustc.get_program().as_ref(), &["--print", "target-libdir"])?.trim());
    let linker = libraries.parent()?.join("bin/gcc-ld/wasm-ld");
    linker.is_file().then_some(linker)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    /// A machine whose search path is one folder with some programs, of which some answer.
    struct Machine {
        root: tempfile::TempDir,
        programs: PathBuf,
    }

    impl Machine {
        fn with(names: &[&str]) -> Self {
            let root = tempfile::tempdir().unwrap();
            let machine = Self {
                programs: root.path().join("programs"),
                root,
            };
            for name in names {
                machine.put(&format!("programs/{name}"));
            }
            machine
        }

        fn put(&self, file: &str) -> PathBuf {
            let file = self.root.path().join(file);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(&file, "").unwrap();
            file
        }

        fn find(&self, answers: &'static [(&'static str, &'static str)]) -> Result<Compiler, BuildError> {
            let libraries = self.root.path().join("rustlib/host/lib");
            let prints = move |program: &Path, _: &[&str]| {
                let name = program.file_name()?.to_str()?.to_owned();
                if name == "rustc" {
                    return Some(libraries.display().to_string());
                }
                let answer = answers.iter().find(|(answering, _)| *answering == name)?;
                Some(answer.1.to_owned())
            };
            Compiler::find(Some(self.programs.as_os_str()), &prints)
        }
    }

    #[test]
    fn a_clang_that_makes_no_wasm_is_passed_over() {
        let machine = Machine::with(&["clang", "clang-16", "clang-14", "wasm-ld-16"]);
        let found = machine.find(&[
            ("clang", "x86-64"),
            ("clang-16", "wasm32 - 32-bit"),
            ("clang-14", "wasm32"),
        ]);
        let Ok(Compiler::Clang { clang, linker }) = found else {
            panic!("{found:?}");
        };
        assert_eq!(clang, machine.programs.join("clang-16"));
        assert_eq!(linker, machine.programs.join("wasm-ld-16"));
    }

    #[test]
    fn clang_borrows_the_linker_of_rust() {
        let machine = Machine::with(&["clang"]);
        let without = machine.find(&[("clang", "wasm32")]).unwrap_err().to_string();
        assert!(without.ends_with("\nrun `apt-get install lld`"), "{without}");
        let rusts = machine.put("rustlib/host/bin/gcc-ld/wasm-ld");
        let found = machine.find(&[("clang", "wasm32")]);
        assert!(
            matches!(&found, Ok(Compiler::Clang { linker, .. }) if *linker == rusts),
            "{found:?}"
        );
    }

    #[test]
    fn zig_compiles_where_clang_is_missing_also_from_a_python_package() {
        let words = |machine: &Machine, answers| match machine.find(answers) {
            Ok(Compiler::Zig(words)) => words.len(),
            other => panic!("{other:?}"),
        };
        assert_eq!(words(&Machine::with(&["python3"]), &[("python3", "0.17.1")]), 3);
        assert_eq!(words(&Machine::with(&["zig"]), &[]), 1);
    }

    #[test]
    fn what_is_missing_is_named_with_the_command_that_installs_it() {
        let error = Machine::with(&["python3"]).find(&[]).unwrap_err().to_string();
        assert!(error.contains("neither clang 14 or newer, nor zig"), "{error}");
        assert!(error.ends_with("\nrun `apt-get install clang lld`"), "{error}");
    }
}
