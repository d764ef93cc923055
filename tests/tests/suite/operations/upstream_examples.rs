//! The page of `examples/upstreams`, followed to the letter.

use std::path::Path;
use std::process::Command;
use tidegate_tests::{binary, ports};

#[test]
fn the_commands_of_the_page_on_upstreams_show_what_it_says() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .canonicalize()
        .unwrap();
    let example = root.join("examples/upstreams");
    let page = std::fs::read_to_string(example.join("README.md")).unwrap();
    let blocks = page.split("```sh\n").skip(1);
    let commands: Vec<&str> = blocks.map(|block| block.split("\n```").next().unwrap()).collect();
    assert!(commands.len() >= 7, "the page shows how it is done");
    let [proxy, status, one, two, three] = [(); 5].map(|()| ports::free_address().port().to_string());
    let moved = |text: &str| {
        [
            ("8000", &proxy),
            ("8007", &status),
            ("9001", &one),
            ("9002", &two),
            ("9003", &three),
        ]
        .iter()
        .fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
    };
    let folder = tempfile::tempdir().unwrap();
    let checkout = folder.path().join("checkout/examples/upstreams");
    std::fs::create_dir_all(&checkout).unwrap();
    let file = std::fs::read_to_string(example.join("kong.yaml")).unwrap();
    std::fs::write(checkout.join("kong.yaml"), moved(&file)).unwrap();
    let own = binary::path().parent().unwrap().to_path_buf();
    let others = std::env::var_os("PATH").unwrap();
    let path = std::env::join_paths(std::iter::once(own).chain(std::env::split_paths(&others)));
    // What the script leaves running goes with it.
    let script = format!(
        "trap 'kill ${{gateway:-}} ${{one:-}} ${{two:-}} ${{three:-}} 2>/dev/null || true' EXIT\n{}",
        moved(&commands.join("\n"))
    );
    let output = Command::new("timeout")
        .args(["120", "sh", "-eu", "-c", &script])
        .current_dir(folder.path())
        .env("PATH", path.unwrap())
        .env("CHECKOUT", folder.path().join("checkout"))
        .env("TIDEGATE_PREFIX", folder.path())
        .env("TIDEGATE_PROXY_LISTEN", format!("127.0.0.1:{proxy}"))
        .env("TIDEGATE_STATUS_LISTEN", format!("127.0.0.1:{status}"))
        .env("TIDEGATE_ADMIN_LISTEN", "off")
        .output()
        .unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stdout}\n{stderr}");
    let lines: Vec<String> = stdout
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    let count = |line: String| lines.iter().filter(|known| **known == line).count();
    let first = std::fs::read_to_string(folder.path().join("first")).unwrap();
    let in_turn = [&one, &two, &three].map(|port| (format!("in turn: 1 {port}"), 1));
    let expected = [
        (format!("before: {one}"), 4),
        (format!("after: {two}"), 4),
        (format!("canary: 95 {one}"), 1),
        (format!("canary: 5 {two}"), 1),
        (format!("sticky: 5 {}", first.trim()), 1),
        (format!("failover: 20 {three}"), 1),
        ("\"health\":\"UNHEALTHY\"".to_owned(), 1),
        (format!("recovered: 10 {one}"), 1),
        (format!("recovered: 10 {three}"), 1),
    ];
    for (line, times) in expected.into_iter().chain(in_turn) {
        assert_eq!(count(line.clone()), times, "{line} in\n{stdout}\n{stderr}");
    }
}
