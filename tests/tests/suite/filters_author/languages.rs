//! The same filter in every language, and the way to a first filter in each.

use super::cli::tidegate;
use super::{START, example, guest_target, hmac};
use serde_json::{Value, json};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;
use tempfile::TempDir;
use tidegate_filter_test::{Harness, Request};
use tidegate_tests::{Gateway, Upstream, binary};

#[path = "languages/hmac_vectors.rs"]
mod hmac_vectors;
#[path = "languages/kept.rs"]
mod kept;

#[derive(Debug, Clone, Copy)]
enum Language {
    Rust,
    RustComponent,
    C,
    AssemblyScript,
    JavaScript,
    Python,
}

const LANGUAGES: [Language; 6] = [
    Language::Rust,
    Language::RustComponent,
    Language::C,
    Language::AssemblyScript,
    Language::JavaScript,
    Language::Python,
];

/// Those whose compilers are there: `cargo xtask test` names the ones that it could not install.
fn languages() -> impl Iterator<Item = Language> {
    LANGUAGES.into_iter().filter(|language| !language.is_left_out())
}

const SECRET: &str = "0123456789abcdef";

impl Language {
    fn is_left_out(self) -> bool {
        let left_out = std::env::var("FILTER_LANGUAGES_LEFT_OUT").unwrap_or_default();
        let name = format!("{self:?}").replace("Component", "");
        left_out.split(',').any(|out| out == name)
    }

    /// As `filter new --lang` has it.
    const fn name(self) -> &'static str {
        match self {
            Self::Rust => "rust",
            Self::RustComponent => "rust-component",
            Self::C => "c",
            Self::AssemblyScript => "assemblyscript",
            Self::JavaScript => "javascript",
            Self::Python => "python",
        }
    }

    /// What an instance may have: one page of WebAssembly's for what there is at the start, and at most one more; an
    /// interpreter has its heap of objects, which does not grow with the exchanges.
    const fn kib_of_memory(self) -> u64 {
        match self {
            Self::Rust | Self::RustComponent | Self::C | Self::AssemblyScript => 128,
            Self::JavaScript => 48 << 10,
            Self::Python => 16 << 10,
        }
    }

    const fn is_component(self) -> bool {
        matches!(self, Self::RustComponent | Self::JavaScript | Self::Python)
    }

    /// The module of `sign-request`, built once per test process.
    fn signer(self) -> &'static Path {
        static MODULES: [OnceLock<PathBuf>; LANGUAGES.len()] = [const { OnceLock::new() }; LANGUAGES.len()];
        MODULES[self as usize].get_or_init(|| match self {
            Self::Rust => example("sign_request"),
            Self::RustComponent => example("sign_request_component"),
            _ => {
                let name = format!("sign-request-{}", self.name());
                let project = root().join("examples/filters").join(&name);
                let out = match self {
                    Self::JavaScript | Self::Python => kept::built(&project),
                    _ => build(&project, &guest_target().join("examples")),
                };
                out.join(format!("{}.wasm", name.replace('-', "_")))
            }
        })
    }

    /// The signer with what it gets by itself: no schema is between it and the configuration, which is text.
    fn alone(self, config: &str) -> Harness {
        let folder = tempfile::tempdir().unwrap();
        let module = folder.path().join("signer.wasm");
        std::fs::copy(self.signer(), &module).unwrap();
        Harness::load(module).unwrap().config(Value::from(config))
    }

    /// The test that a new project comes with.
    fn test(self, project: &Path) -> Command {
        let mut command = match self {
            Self::C => Command::new("sh"),
            Self::AssemblyScript | Self::JavaScript => Command::new("npm"),
            Self::Python => Command::new("python3"),
            Self::Rust | Self::RustComponent => {
                Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
            }
        };
        match self {
            Self::C => command.arg(project.join("test.sh")),
            Self::AssemblyScript | Self::JavaScript => command.args(["test", "--prefix"]).arg(project),
            Self::Python => command.args(["-m", "unittest", "discover"]).arg(project),
            Self::Rust | Self::RustComponent => {
                // The host that the test runs the filter in is there already: in this test's own target folder, when
                // it is compiled from the same lock file in the same way.
                std::fs::copy(root().join("Cargo.lock"), project.join("Cargo.lock")).unwrap();
                command.env("CARGO_TARGET_DIR", guest_target().parent().unwrap());
                command.args(["test", "--config", "profile.dev.package.\"*\".opt-level=2"]);
                command.args(["--config", "profile.dev.debug=\"line-tables-only\""]);
                command.arg("--manifest-path").arg(project.join("Cargo.toml"))
            }
        };
        command
    }
}

fn root() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    root.canonicalize().unwrap()
}

/// Runs a command with the gateway's binary and the compilers that `cargo xtask test` installs in its search path.
fn run(command: &mut Command) {
    let own = [
        binary::path().parent().unwrap().to_path_buf(),
        guest_target().join("node_modules/.bin"),
        guest_target().join("javascript/node_modules/.bin"),
        guest_target().join("venv/bin"),
    ];
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path: OsString = std::env::join_paths(own.into_iter().chain(std::env::split_paths(&path))).unwrap();
    let output = command.env("PATH", path).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    assert!(
        output.status.success(),
        "{command:?}: {}\n`cargo xtask test` installs what the languages of filters need",
        String::from_utf8_lossy(&said)
    );
}

/// Builds a project by the command line. Gives the folder of the modules.
fn build(project: &Path, out: &Path) -> PathBuf {
    let mut command = Command::new(binary::path());
    command
        .args(["filter", "build"])
        .arg(project)
        .arg("--out")
        .arg(out);
    run(command.env("CARGO_TARGET_DIR", guest_target()));
    out.to_path_buf()
}

#[test]
fn a_request_is_signed_alike_in_every_language() {
    for language in languages() {
        let mut harness = Harness::load(language.signer()).unwrap();
        // Secrets around the block of SHA-256, which is also where longer ones are digested first.
        for secret_bytes in [16, 63, 64, 65, 131] {
            let secret: String = "sécret-".chars().cycle().take(secret_bytes).collect();
            harness = harness.config(json!({ "secret": secret }));
            for (minute, path_bytes) in [1, 30, 43, 44, 51, 52, 100, 1_000].into_iter().enumerate() {
                let path = format!("/{}?a=%20", "p".repeat(path_bytes));
                let seconds = START + 60 * minute as u64;
                let signature = hex::encode(hmac(&secret, &format!("POST\n{path}\n{seconds}")));
                let forged = Request::new("POST", &path)
                    .header("x-gateway-signature", "t=1,v1=forged")
                    .header("x-gateway-signature", "t=2,v1=forged");
                let passed = harness.request(forged);
                passed
                    .expect_header("x-gateway-signature", &format!("t={seconds},v1={signature}"))
                    .expect_status(200);
                harness.advance(Duration::from_secs(60));
            }
            harness = Harness::load(language.signer()).unwrap();
        }
        let mut renamed = harness.config(json!({ "secret": SECRET, "header": "x-signed" }));
        let passed = renamed.request(Request::get("/"));
        let signature = hex::encode(hmac(SECRET, &format!("GET\n/\n{START}")));
        passed
            .expect_header("x-signed", &format!("t={START},v1={signature}"))
            .expect_no_header("x-gateway-signature");
    }
}

#[test]
fn every_language_refuses_a_configuration_with_the_place_of_its_fault() {
    for language in languages() {
        let by_schema = Harness::load(language.signer()).unwrap();
        let refusal = by_schema.config(json!({ "secret": "short" })).refusal();
        assert!(refusal.unwrap().contains("config.secret"), "{language:?}");
        let folder = tempfile::tempdir().unwrap();
        std::fs::copy(language.signer(), folder.path().join("signer.wasm")).unwrap();
        std::fs::write(folder.path().join("request.http"), "GET /\n\n").unwrap();
        for (config, reason) in [
            (
                r#"{"secret": "0123456789abcde"}"#,
                "config.secret: must have at least 16 bytes",
            ),
            (r#"{"secret": "0123456789abcdef", "other": "1"}"#, "other"),
            (r#"{"header": "x-signed"}"#, "secret"),
            (r#"{"secret": 12}"#, "config.secret: "),
        ] {
            let run = ["filter", "run", "signer.wasm", "request.http", "--config", config];
            let output = tidegate(folder.path(), &run);
            assert_eq!(output.status.code(), Some(1), "{language:?} takes {config}");
            let log = String::from_utf8(output.stderr).unwrap();
            // A module logs what is wrong, a component answers it.
            let begins = if language.is_component() {
                "tidegate: the configuration is refused: config: "
            } else {
                "ERROR config"
            };
            let line = log.lines().find(|line| line.starts_with(begins));
            let line = line.unwrap_or_else(|| panic!("{language:?} {config}: {log}"));
            let reason = if language.is_component() {
                reason.replace("config.secret:", "`secret`:")
            } else {
                reason.to_owned()
            };
            assert!(line.contains(&reason), "{language:?} {config}: {line}");
        }
    }
}

#[test]
fn every_language_refuses_text_that_is_no_json() {
    for language in languages() {
        for text in [
            "",
            "{",
            "[]",
            r#"{"secret": 1}"#,
            r#"{"secret": "0123456789abcdef"#,
            r#"{"secret": "0123456789abcdef""#,
            r#"{"secret": "0123456789abcdef",}"#,
            r#"{"secret": "0123456789abcdef"} x"#,
            r#"{"secret" "0123456789abcdef"}"#,
            r#"{"secret": "0123456789abcdef" "header": "x"}"#,
            r#"{secret: "0123456789abcdef"}"#,
            r#"{"secret": "0123456789abcdef\"}"#,
            r#"{"secret": "0123456789abcdef\x"}"#,
            r#"{"secret": "0123456789abcdef\u12"}"#,
            r#"{"secret": "0123456789abcdef\u12g4"}"#,
            r#"{"secret": "0123456789abcdef\ud800"}"#,
            r#"{"secret": "0123456789abcdef\ud800\u0041"}"#,
            r#"{"secret": "0123456789abcdef\udc00"}"#,
            "{\"secret\": \"0123456789abcdef\n\"}",
        ] {
            let refusal = language.alone(text).refusal();
            let refusal = refusal.unwrap_or_else(|| panic!("{language:?} takes {text}"));
            let is_its_own = if language.is_component() {
                !refusal.contains("configure failed")
            } else {
                refusal.contains("answered false")
            };
            assert!(is_its_own, "{language:?} {text}: {refusal}");
        }
    }
}

#[test]
fn every_language_reads_the_escapes_of_json() {
    let text = r#" { "\u0073ecret" : "\"\\\/\b\f\n\r\t\u0000\u00E9\u20ac\uD83D\ude00 é€😀 0123456789" , "header":"x-s" } "#;
    let secret = "\"\\/\u{8}\u{c}\n\r\t\0é€😀 é€😀 0123456789";
    let signature = hex::encode(hmac(secret, &format!("GET\n/\n{START}")));
    for language in languages() {
        let passed = language.alone(text).request(Request::get("/"));
        passed.expect_header("x-s", &format!("t={START},v1={signature}"));
    }
}

#[test]
fn no_language_keeps_what_an_exchange_used() {
    for language in languages() {
        let config = json!({ "secret": SECRET }).to_string();
        let module = language.signer().to_str().unwrap();
        let bench = [
            "filter",
            "bench",
            module,
            "--config",
            &config,
            "--exchanges",
            "5000",
        ];
        let output = tidegate(Path::new("/"), &bench);
        let text = String::from_utf8(output.stdout).unwrap();
        let words = text.split(' ').collect::<Vec<_>>();
        let place = words.windows(2).position(|words| words == ["KiB", "of"]).unwrap();
        let kib: u64 = words[place - 1].parse().unwrap();
        assert!(kib <= language.kib_of_memory(), "{language:?}: {text}");
    }
}

/// What the page for authors promises: `filter new`, `build`, the project's own test, a gateway, a request.
async fn from_nothing_to_a_route(language: Language) {
    if language.is_left_out() {
        return;
    }
    let folder = TempDir::new().unwrap();
    let project = folder.path().join("my-filter");
    let mut new = Command::new(binary::path());
    new.args(["filter", "new", "--lang", language.name(), "--sdk"])
        .arg(root().join("sdk"));
    run(new.arg(&project));
    // The tests of these build the project themselves, which takes long enough.
    let filters = match language {
        Language::JavaScript | Language::Python => project.join("filters"),
        _ => build(&project, &folder.path().join("filters")),
    };
    let cache = folder.path().join("cache");
    run(language.test(&project).env("XDG_CACHE_HOME", &cache));
    // What the test has compiled is not compiled again.
    std::fs::rename(cache.join("tidegate/filters"), folder.path().join("filter_cache")).unwrap();

    let upstream = Upstream::ok().await;
    let yaml = format!(
        "services:\n- name: s\n  url: {}\n  routes:\n  - {{name: greeted, paths: [/a]}}\n  - {{name: plain, paths: [/b]}}\n\
         plugins:\n- {{name: my_filter, route: greeted, config: {{value: good morning}}}}\n",
        upstream.url()
    );
    let gateway = Gateway::with(yaml)
        .setting("prefix", folder.path().display().to_string())
        .setting("wasm", "on")
        .setting("wasm_filters_path", filters.display().to_string())
        .start()
        .await;
    assert_eq!(gateway.get("/a").await.status, 200);
    assert_eq!(upstream.last().headers.all("x-greeting"), ["good morning"]);
    assert_eq!(gateway.get("/b").await.status, 200);
    assert_eq!(upstream.last().header("x-greeting"), "");
}

#[tokio::test]
#[ignore = "its own test compiles the host for minutes: `cargo xtask test` runs it when nothing else runs"]
async fn a_filter_in_rust_comes_from_nothing_to_a_route() {
    from_nothing_to_a_route(Language::Rust).await;
}

#[tokio::test]
async fn a_filter_in_c_comes_from_nothing_to_a_route() {
    from_nothing_to_a_route(Language::C).await;
}

#[tokio::test]
async fn a_filter_in_assemblyscript_comes_from_nothing_to_a_route() {
    from_nothing_to_a_route(Language::AssemblyScript).await;
}

#[tokio::test]
#[ignore = "its own test compiles the host for minutes: `cargo xtask test` runs it when nothing else runs"]
async fn a_component_in_rust_comes_from_nothing_to_a_route() {
    from_nothing_to_a_route(Language::RustComponent).await;
}

#[tokio::test]
async fn a_filter_in_javascript_comes_from_nothing_to_a_route() {
    from_nothing_to_a_route(Language::JavaScript).await;
}

#[tokio::test]
async fn a_filter_in_python_comes_from_nothing_to_a_route() {
    from_nothing_to_a_route(Language::Python).await;
}
