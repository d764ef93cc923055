use super::RequestTransformer;
use serde_json::{Value, json};
use tidegate_plugin::testing::{Access, Harness};
use tidegate_plugin::{BodyAccess, Kind, Needs};

mod bodies;

fn harness(config: Value) -> Harness {
    Harness::new(RequestTransformer).config(config)
}

fn get(config: Value, target: &str, headers: &[(&str, &str)]) -> Access {
    let harness = harness(config);
    let request = harness.request("GET", target);
    headers
        .iter()
        .fold(request, |request, (name, value)| request.header(name, value))
        .run()
}

fn with_captures(config: Value) -> Access {
    let groups = [Some("/requests/user1/foo/user2/bar"), Some("foo"), Some("bar")];
    let harness = harness(config);
    harness
        .request("GET", "/requests/user1/foo/user2/bar")
        .captures(&groups, &[("user1", 1), ("user2", 2)])
        .run()
}

#[test]
fn the_method_is_replaced() {
    assert_eq!(get(json!({ "http_method": "POST" }), "/", &[]).method(), "POST");
}

#[test]
fn a_form_becomes_query_when_the_method_becomes_get() {
    let harness = harness(json!({ "http_method": "GET" }));
    let request = harness
        .request("POST", "/p?q1&a=0")
        .header("Content-Type", "application/x-www-form-urlencoded");
    let access = request.body("a=1&b=%20&c").run();
    assert_eq!((access.method(), access.query()), ("GET", "a=0&a=1&b=%20&c&q1"));
    assert_eq!(access.body().as_ref(), b"a=1&b=%20&c");
    let json = harness
        .request("POST", "/p?q1")
        .header("Content-Type", "application/json")
        .body("{\"a\":1}")
        .run();
    assert_eq!(json.query(), "q1");
}

#[test]
fn headers_are_removed_and_others_kept() {
    let access = get(
        json!({ "remove": { "headers": ["X-To-Remove", "host"] } }),
        "/",
        &[("x-to-remove", "1"), ("x-other", "2")],
    );
    assert!(access.header("x-to-remove").is_empty());
    assert_eq!(access.header("x-other"), ["2"]);
    assert_eq!(access.header("host"), ["gateway.test"], "Host cannot be removed");
}

#[test]
fn headers_are_renamed_with_all_lines_and_replace_those_of_the_new_name() {
    let config = || json!({ "rename": { "headers": ["x-a:x-b"] } });
    let access = get(config(), "/", &[("x-a", "1"), ("x-a", "2"), ("x-b", "old")]);
    assert!(access.header("x-a").is_empty());
    assert_eq!(access.header("x-b"), ["1", "2"]);
    assert_eq!(get(config(), "/", &[("x-b", "old")]).header("x-b"), ["old"]);
    let same = get(
        json!({ "rename": { "headers": ["x-a:X-A"] } }),
        "/",
        &[("x-a", "1")],
    );
    assert_eq!(same.header("x-a"), ["1"]);
}

#[test]
fn headers_are_replaced_only_when_they_are_there() {
    let config = || json!({ "replace": { "headers": ["h1:v1"] } });
    assert_eq!(
        get(config(), "/", &[("h1", "a"), ("h1", "b")]).header("h1"),
        ["v1"]
    );
    assert!(get(config(), "/", &[]).header("h1").is_empty());
}

#[test]
fn host_can_be_replaced_and_nothing_else() {
    let access = get(json!({ "replace": { "headers": ["Host:mark"] } }), "/", &[]);
    assert_eq!(access.host_header(), Some("mark"));
    let access = get(
        json!({ "add": { "headers": ["host:x"] }, "append": { "headers": ["host:y"] } }),
        "/",
        &[],
    );
    assert_eq!(
        (access.host_header(), access.header("host")),
        (None, vec!["gateway.test"])
    );
}

#[test]
fn headers_are_added_only_when_they_are_not_there() {
    let config = || json!({ "add": { "headers": ["h1:v1:w", "h2:"] } });
    assert_eq!(get(config(), "/", &[]).header("h1"), ["v1:w"]);
    assert_eq!(get(config(), "/", &[("h1", "a")]).header("h1"), ["a"]);
    assert!(
        get(config(), "/", &[]).header("h2").is_empty(),
        "an entry without a value says nothing"
    );
}

#[test]
fn headers_are_appended_in_order() {
    let access = get(
        json!({ "append": { "headers": ["h1:v1", "h1:v2", "h2:v1", "h3:#x"] } }),
        "/",
        &[("h1", "v0")],
    );
    assert_eq!(access.header("h1"), ["v0", "v1", "v2"]);
    assert_eq!(access.header("h2"), ["v1"]);
    assert_eq!(access.header("h3"), ["#x"]);
}

#[test]
fn header_rules_run_in_order_each_on_what_the_last_left() {
    let config = json!({
        "remove": { "headers": ["H2"] },
        "rename": { "headers": ["H1:H6"] },
        "replace": { "headers": ["H6:rep"] },
        "add": { "headers": ["H1:back", "H4:four", "H2:again"] },
        "append": { "headers": ["H4:five", "H6:app"] },
    });
    let access = get(config, "/", &[("H1", "v1"), ("H2", "v2")]);
    assert_eq!(access.header("h1"), ["back"]);
    assert_eq!(
        access.header("h2"),
        ["again"],
        "remove and add of one header sends the new value"
    );
    assert_eq!(access.header("h4"), ["four", "five"]);
    assert_eq!(access.header("h6"), ["rep", "app"]);
}

#[test]
fn a_secret_cannot_be_displaced_by_the_client() {
    let config = json!({ "remove": { "headers": ["Authorization"] }, "add": { "headers": ["Authorization:Bearer s3cret"] } });
    let access = get(
        config,
        "/",
        &[("Authorization", "mine"), ("authorization", "mine too")],
    );
    assert_eq!(access.header("authorization"), ["Bearer s3cret"]);
}

#[test]
fn the_path_is_replaced_by_a_template_over_captures() {
    let uri = "/requests/user2/$(uri_captures.user2)/user1/$(uri_captures.user1)";
    assert_eq!(
        with_captures(json!({ "replace": { "uri": uri } })).path(),
        "/requests/user2/bar/user1/foo"
    );
    let access = with_captures(json!({ "replace": { "uri": "/requests$(uri_captures[0])" } }));
    assert_eq!(access.path(), "/requests/requests/user1/foo/user2/bar");
    let access = get(
        json!({ "replace": { "uri": "/u/$(uri_captures['nope'])" } }),
        "/a?q=%20x%2f",
        &[],
    );
    assert_eq!((access.path(), access.query()), ("/u/", "q=%20x%2f"));
}

#[test]
fn the_new_path_is_escaped_and_cannot_end_the_request_line() {
    let access = get(
        json!({ "replace": { "uri": "/a b/$(headers.x)" } }),
        "/",
        &[("x", "c\td#\u{e9}")],
    );
    assert_eq!(access.path(), "/a%20b/c%09d%23%C3%A9");
    let access = get(json!({ "replace": { "uri": "/a?b=1" } }), "/?c=2", &[]);
    assert_eq!((access.path(), access.query()), ("/a", "b=1&c=2"));
}

#[test]
fn a_path_without_leading_slash_fails_the_request() {
    let access = get(json!({ "replace": { "uri": "$(10*3)" } }), "/", &[]);
    assert!(access.fault().is_some());
    let finished = access.finish();
    assert_eq!(finished.status(), 500);
    assert_eq!(
        finished.json(),
        json!({ "message": "An unexpected error occurred" })
    );
}

#[test]
fn query_arguments_are_added_with_a_default_for_missing_captures() {
    let config = || json!({ "add": { "querystring": ["q:$(uri_captures.user1 or 'default1')"] } });
    assert_eq!(get(config(), "/a", &[]).query(), "q=default1");
    assert_eq!(with_captures(config()).query(), "q=foo");
}

#[test]
fn query_rules_run_in_order_and_write_the_query_anew() {
    let config = json!({
        "remove": { "querystring": ["q2"] },
        "rename": { "querystring": ["q1:q6", "nope:q9"] },
        "replace": { "querystring": ["q6:rep", "q8:no"] },
        "add": { "querystring": ["q1:back", "q4:four"] },
        "append": { "querystring": ["q4:five", "q6:app"] },
    });
    let access = get(config, "/p?q3=b&q1=v1&q2=v2&q3=a&q9", &[]);
    assert_eq!(
        access.query(),
        "q1=back&q3=b&q3=a&q4=four&q4=five&q6=rep&q6=app&q9"
    );
    let access = get(json!({ "append": { "querystring": ["q1:v1"] } }), "/?q1=v0", &[]);
    assert_eq!(access.query(), "q1=v0&q1=v1");
    let access = get(json!({ "remove": { "querystring": ["q1"] } }), "/?q1=v0", &[]);
    assert_eq!(access.query(), "");
}

#[test]
fn without_query_rules_the_query_is_forwarded_as_it_is() {
    let target = "/?expected=$&+,/:;?@&b=%2f+";
    assert_eq!(
        get(json!({ "add": { "headers": ["a:b"] } }), target, &[]).query(),
        &target[2..]
    );
}

#[test]
fn values_that_look_like_urls_are_encoded_in_the_query() {
    let access = get(
        json!({ "add": { "querystring": ["u:http://x/y?z=1&w"] } }),
        "/",
        &[],
    );
    assert_eq!(access.query(), "u=http%3A%2F%2Fx%2Fy%3Fz%3D1%26w");
}

#[test]
fn templates_see_the_request_as_it_was() {
    let config = json!({
        "remove": { "headers": ["x-remove-header"], "querystring": ["q"] },
        "add": {
            "headers": ["x:$(headers['x-remove-header'])", "y:$(headers.nope)"],
            "querystring": ["r:$(query_params.q)-$(headers.x_remove_header)"],
        },
    });
    let access = get(config, "/?q=1", &[("x-remove-header", "old")]);
    assert_eq!(access.header("x"), ["old"]);
    assert_eq!(
        access.header("y"),
        [""],
        "what is absent renders as nothing, and the header is sent"
    );
    assert_eq!(access.query(), "r=1-old");
}

#[test]
fn rendered_text_is_not_rendered_again() {
    let config = || json!({ "add": { "headers": ["x:$('$(uri_captures.user1)')", "y:$(headers.z)"] } });
    let access = get(config(), "/", &[("z", "$(headers.host)")]);
    assert_eq!(access.header("x"), ["$(uri_captures.user1)"]);
    assert_eq!(access.header("y"), ["$(headers.host)"]);
}

#[test]
fn the_first_of_repeated_headers_can_be_picked() {
    let value = r#"x:$(type(headers["X-Foo"]) == "table" and headers["X-Foo"][1] or headers["X-Foo"])"#;
    let config = || json!({ "add": { "headers": [value] } });
    assert_eq!(
        get(config(), "/", &[("x-foo", "1"), ("x-foo", "2")]).header("x"),
        ["1"]
    );
    assert_eq!(get(config(), "/", &[("x-foo", "3")]).header("x"), ["3"]);
}

#[test]
fn values_shared_by_earlier_plugins_are_seen() {
    let harness = harness(json!({ "add": { "headers": ["x:$(shared.my_version)"] } }));
    let shared = json!({ "my_version": "1.2" }).as_object().cloned().map(Box::new);
    assert_eq!(
        harness
            .request("GET", "/")
            .with(|x| x.shared = shared)
            .run()
            .header("x"),
        ["1.2"]
    );
}

#[test]
fn a_template_that_fails_ends_the_request_and_changes_nothing() {
    let access = get(
        json!({ "remove": { "headers": ["a"] }, "add": { "headers": ["x:$(foo())"] } }),
        "/",
        &[("a", "1")],
    );
    let fault = access.fault().expect("a fault");
    assert_eq!(
        fault.message,
        "config.add.headers[0]: attempt to call 'foo' (a nil value)"
    );
    assert_eq!(access.header("a"), ["1"]);
}

#[test]
fn a_rendered_value_cannot_break_a_header() {
    let access = get(
        json!({ "add": { "headers": ["x:$(query_params.q)"] } }),
        "/?q=a%0d%0aEvil:1",
        &[],
    );
    assert!(access.fault().is_some());
    assert!(access.header("x").is_empty());
}

#[test]
fn the_body_is_asked_for_only_when_a_rule_needs_it() {
    let needs = |config: Value| harness(config).plugin().needs();
    let wanted = Needs {
        request_body: BodyAccess::Buffered,
    };
    assert_eq!(
        needs(json!({ "add": { "headers": ["a:b"], "querystring": ["a:b"] } })),
        Needs::default()
    );
    assert_eq!(needs(json!({ "http_method": "POST" })), Needs::default());
    assert_eq!(needs(json!({ "http_method": "GET" })), wanted);
    assert_eq!(needs(json!({ "remove": { "body": ["a"] } })), wanted);
}

#[test]
fn faulty_entries_are_refused_by_name() {
    let refused = |config: Value| harness(config).violations().join("; ");
    assert_eq!(
        refused(json!({ "add": { "headers": ["h"] } })),
        "config.add.headers[0]: invalid value: h"
    );
    assert_eq!(
        refused(json!({ "replace": { "body": ["p"] } })),
        "config.replace.body[0]: key 'p' has no value"
    );
    assert_eq!(
        refused(json!({ "rename": { "querystring": ["p:"] } })),
        "config.rename.querystring[0]: key 'p' has no value"
    );
    assert_eq!(
        refused(json!({ "remove": { "headers": ["a b"] } })),
        "config.remove.headers[0]: 'a b' is not a valid header"
    );
    assert_eq!(
        refused(json!({ "rename": { "headers": ["h:a b"] } })),
        "config.rename.headers[0]: 'a b' is not a valid header"
    );
    assert_eq!(
        refused(json!({ "http_method": "get" })),
        "config.http_method: invalid value: get"
    );
    let refusal = refused(json!({ "add": { "headers": ["x:$(shared.x = true)"] } }));
    assert!(
        refusal.starts_with(
            "config.add.headers[0]: value '$(shared.x = true)' is not in supported format, error:"
        )
    );
    assert!(
        refusal.ends_with("assignment is not supported in templates"),
        "{refusal}"
    );
    assert!(
        refused(json!({ "replace": { "uri": "/$(os.exit())" } }))
            .contains("'os' is not supported in templates")
    );
}

#[test]
fn the_table_accepts_a_vault_reference_in_place_of_an_entry() {
    let config = json!({ "add": { "headers": ["{vault://env/header}", "a:Bearer {vault://env/secret}"] } });
    let processed = RequestTransformer
        .schema()
        .process(config.as_object().expect("an object"));
    assert_eq!(processed.violations, []);
}

#[test]
fn a_secret_that_is_no_template_is_not_shown_in_the_error() {
    let config = serde_json::from_value(
        RequestTransformer
            .schema()
            .process(&serde_json::Map::new())
            .value
            .into(),
    );
    let mut config: super::Config = config.expect("defaults");
    config.add.headers = vec!["a:Bearer s3cret$(os.time())".to_owned()];
    let error = super::Instance::new(&config).err().expect("refused");
    assert_eq!(
        error.to_string(),
        "config.add.headers[0]: the value is not in supported format at character 18"
    );
}
