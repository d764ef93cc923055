//! decK's verbs in the binary, against a running gateway: the walk-through that newcomers follow.

use super::{Site, on_every_store};
use serde_json::json;
use std::process::{Command, Output};
use tidegate_tests::{Request, Upstream, binary};

/// A folder with a file, and the Admin API to go to.
struct Desk {
    folder: tempfile::TempDir,
    address: String,
}

impl Desk {
    fn new(site: &Site, upstream: &Upstream) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = json!({
            "_format_version": "3.0",
            "_info": { "select_tags": ["walk-through"] },
            "services": [{
                "name": "httpbin-service",
                "url": upstream.url(),
                "routes": [{ "name": "httpbin-route", "paths": ["/httpbin-route"] }],
            }],
        });
        std::fs::write(folder.path().join("httpbin.yaml"), file.to_string()).unwrap();
        Self {
            folder,
            address: format!("http://{}", site.admin().address()),
        }
    }

    fn gateway(&self, arguments: &str) -> Output {
        Command::new(binary::path())
            .arg("gateway")
            .args(arguments.split(' '))
            .current_dir(self.folder.path())
            .env_clear()
            .env("DECK_KONG_ADDR", &self.address)
            .output()
            .unwrap()
    }

    fn prints(&self, arguments: &str, expected: &str) {
        let output = self.gateway(arguments);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments}: {stderr}");
        assert_eq!(String::from_utf8_lossy(&output.stdout), expected, "{arguments}");
    }
}

fn summary(created: u32, updated: u32, deleted: u32) -> String {
    format!("Summary:\n  Created: {created}\n  Updated: {updated}\n  Deleted: {deleted}\n")
}

async fn the_walk_through(site: &Site) {
    let upstream = Upstream::ok().await;
    let untagged = json!({ "username": "somebody-else" });
    site.admin().post("/consumers", untagged).await;
    let desk = Desk::new(site, &upstream);
    tokio::task::block_in_place(|| {
        desk.prints("ping", "Successfully connected to Kong!\nKong version:  3.9.1\n");
        let created = "creating service httpbin-service\ncreating route httpbin-route\n";
        desk.prints("sync httpbin.yaml", &format!("{created}{}", summary(2, 0, 0)));
    });
    site.reaches(&Request::get("/httpbin-route/get"), &upstream).await;
    tokio::task::block_in_place(|| {
        desk.prints("sync httpbin.yaml", &summary(0, 0, 0));
        desk.prints("diff --non-zero-exit-code httpbin.yaml", &summary(0, 0, 0));
        let file = desk.folder.path().join("httpbin.yaml");
        let text = std::fs::read_to_string(&file).unwrap();
        std::fs::write(&file, text.replace("/httpbin-route\"]", "/elsewhere\"]")).unwrap();
        let changed = desk.gateway("diff --non-zero-exit-code httpbin.yaml");
        assert_eq!(changed.status.code(), Some(2), "{changed:?}");
        let shown = String::from_utf8_lossy(&changed.stdout);
        assert!(
            shown.contains("-    \"/httpbin-route\"\n+    \"/elsewhere\"\n"),
            "{shown}"
        );
        let deleted = "deleting route httpbin-route\ndeleting service httpbin-service\n";
        let expected = format!("{deleted}{}", summary(0, 0, 2));
        desk.prints("reset -f --select-tag walk-through", &expected);
    });
    site.answers(&Request::get("/httpbin-route/get"), 404).await;
    let left = site.admin().get("/consumers/somebody-else").await;
    assert_eq!(
        left["username"], "somebody-else",
        "what lacks the tag is left alone"
    );
    tokio::task::block_in_place(|| {
        let expected = format!("deleting consumer somebody-else\n{}", summary(0, 0, 1));
        desk.prints("reset -f", &expected);
    });
}

on_every_store!(the_walk_through);
