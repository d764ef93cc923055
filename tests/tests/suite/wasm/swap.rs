//! A filter's file is replaced while the gateway serves.

use super::guest::{Folder, adding};
use tidegate_tests::wait::PATIENCE;
use tidegate_tests::{Gateway, RawClient, Request, Upstream, eventually};

#[tokio::test]
async fn a_replaced_file_comes_into_service_without_a_failed_request() {
    let upstream = Upstream::ok().await;
    let folder = Folder::new().with("test", &adding("x-version", "1"));
    let yaml = format!(
        "services:\n- name: s\n  url: {}\n  routes:\n  - {{name: a, paths: [/]}}\n\
         filter_chains:\n- {{name: c, service: s, filters: [{{name: test}}]}}\n",
        upstream.url()
    );
    let gateway = folder.attached(Gateway::with(yaml)).start().await;
    let mut client = RawClient::connect(gateway.proxy()).await;
    assert_eq!(client.call(&Request::get("/")).await.header("x-version"), "1");
    let mut version_of = async || {
        let answer = client.call(&Request::get("/")).await;
        assert_eq!(answer.status, 200);
        answer.header("x-version").to_owned()
    };
    folder.install("test", &adding("x-version", "2"));
    eventually("the new filter serves", PATIENCE, async || {
        (version_of().await == "2").then_some(())
    })
    .await;
    // One that cannot be loaded leaves the old one where it is, and says why.
    folder.put("test.wasm", b"no module");
    eventually("the refusal is told", PATIENCE, async || {
        assert_eq!(version_of().await, "2");
        let refused = gateway.status_page("/status").await.text();
        refused.contains("not a WebAssembly module").then_some(())
    })
    .await;
    folder.install("test", &adding("x-version", "3"));
    eventually("the mended filter serves", PATIENCE, async || {
        (version_of().await == "3").then_some(())
    })
    .await;
}
