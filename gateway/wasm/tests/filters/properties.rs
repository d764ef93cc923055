use crate::support::{GOT, Guest, OUT, World, drive_exchange, fine, received, sent};
use serde_json::json;
use tidegate_wasm::testing::{Drive, Outcome, TestWorld, exchange_in};
use tidegate_wasm::{FilterOptions, PropertyEncoding, upstream_choice};

fn show(guest: &mut Guest, map: i32, path: &str) -> String {
    let name = guest.text(&format!("p-{}", path.replace(['\0', '_'], "-").to_lowercase()));
    let path = guest.text(path);
    format!("(call $ok (call $get_property {path} {OUT})) (call $show (i32.const {map}) {name} {GOT})")
}

fn world() -> TestWorld {
    let route = json!({ "id": "7fca84d6-7d37-4a74-a7b0-93e576089a41", "name": "r1", "protocols": ["http"], "paths": ["/"] });
    let service =
        json!({ "id": "fc73f2af-890d-4f9b-8363-af8945001f7f", "name": "s1", "host": "backend.test" });
    TestWorld {
        route: Some(declared(&route)),
        service: Some(declared(&service)),
        ..TestWorld::default()
    }
}

fn declared<T: tidegate_model::schema::Declared + serde::de::DeserializeOwned>(
    value: &serde_json::Value,
) -> T {
    let processed = T::schema().process(value.as_object().expect("an object"));
    serde_json::from_value(processed.value.into()).expect("an entity")
}

fn through(guest: &Guest, options: FilterOptions, change: impl FnOnce(Drive) -> Drive) -> Outcome {
    let filter = World::new().filter(guest, options);
    fine(drive_exchange(
        &filter,
        exchange_in(world(), "GET", "/path?q=1"),
        change,
    ))
}

#[test]
fn facts_of_the_request_are_found_by_envoys_and_kongs_names() {
    let cases = [
        ("request\0path", "/path?q=1"),
        ("request.url_path", "/path"),
        ("request\0query", "q=1"),
        ("request\0host", "gateway.test"),
        ("request\0method\0", "GET"),
        ("request\0scheme", "http"),
        ("request\0protocol", "HTTP/1.1"),
        ("request\0headers\0x-a", "1,2"),
        ("request\0id", "0123456789abcdef0123456789abcdef"),
        ("source\0address", "127.0.0.1:40000"),
        ("destination\0address", "127.0.0.1:8000"),
        ("plugin_name", "test"),
        ("cluster_name", "backend.test"),
        ("xds\0route_name", "r1"),
        ("kong.route_name", "r1"),
        ("kong.service_id", "fc73f2af-890d-4f9b-8363-af8945001f7f"),
        ("kong\0request\0forwarded_port", "8000"),
        ("ngx.request_uri", "/path?q=1"),
        ("ngx\0remote_addr", "127.0.0.1"),
        ("ngx.http_x_a", "1"),
    ];
    for (path, value) in cases {
        let mut guest = Guest::new();
        let statements = show(&mut guest, 0, path);
        let outcome = through(
            &guest.on("request_headers", &statements, 0),
            FilterOptions::default(),
            |drive| drive.header("x-a", "1").header("x-a", "2"),
        );
        let name = format!("p-{}", path.replace(['\0', '_'], "-").to_lowercase());
        assert_eq!(sent(&outcome, &name), Some(value), "{path:?}");
    }
}

#[test]
fn numbers_are_eight_bytes_or_text() {
    for (encoding, length, first) in [
        (PropertyEncoding::Envoy, 8, 201 & 0xff),
        (PropertyEncoding::Text, 3, i32::from(b'2')),
    ] {
        let mut guest = Guest::new();
        let path = guest.text("response\0code");
        let statements = format!(
            "(call $ok (call $get_property {path} {OUT}))
             (call $want (i32.load (i32.const 20)) (i32.const {length}))
             (call $want (i32.load8_u (i32.load (i32.const 16))) (i32.const {first}))"
        );
        let options = FilterOptions {
            property_encoding: encoding,
            ..FilterOptions::default()
        };
        through(
            &guest.on("response_headers", &statements, 0),
            options,
            |mut drive| {
                drive.upstream_head.0 = http::StatusCode::CREATED;
                drive
            },
        );
    }
}

#[test]
fn unknown_properties_are_not_found() {
    let mut guest = Guest::new();
    let statements: String = [
        "",
        "nothing",
        "request\0nothing",
        "kong.nothing",
        "response\0code",
        "ngx.nothing",
    ]
    .map(|path| {
        let path = guest.text(path);
        format!("(call $want (call $get_property {path} {OUT}) (i32.const 1))")
    })
    .concat();
    through(
        &guest.on("request_headers", &statements, 0),
        FilterOptions::default(),
        |drive| drive,
    );
}

#[test]
fn what_a_filter_sets_is_read_by_later_ones_and_the_runner() {
    let mut guest = Guest::new();
    let mut set = |path: &str, value: &str, wanted: i32| {
        let (path, value) = (guest.text(path), guest.text(value));
        format!("(call $want (call $set_property {path} {value}) (i32.const {wanted}))")
    };
    let statements = [
        set("my\0key", "mine", 0),
        set("kong.ctx.shared.note", "hello", 0),
        set("kong.service.target", "10.0.0.1:80", 0),
        set("kong.service.request.scheme", "https", 0),
        set("kong.route_id", "x", 2),
        set("ngx.pid", "1", 2),
        set("wasm_process_req_body", "true", 0),
    ]
    .concat();
    let read = [
        show(&mut guest, 2, "wasm\0my\0key"),
        show(&mut guest, 2, "kong.ctx.shared.note"),
    ]
    .concat();
    let late = {
        let (path, value) = (guest.text("kong.response.status"), guest.text("299"));
        format!("(call $ok (call $set_property {path} {value}))")
    };
    let guest =
        guest
            .on("request_headers", &statements, 0)
            .on("response_headers", &format!("{read}{late}"), 0);
    let outcome = through(&guest, FilterOptions::default(), |drive| drive);
    assert_eq!(received(&outcome, "p-wasm-my-key"), Some("mine"));
    assert_eq!(received(&outcome, "p-kong.ctx.shared.note"), Some("hello"));
    assert_eq!(outcome.x.response.status, 299);
    let choice = upstream_choice(&outcome.x);
    assert_eq!(
        (choice.target, choice.scheme, choice.upstream),
        (Some("10.0.0.1:80"), Some("https"), None)
    );
}
