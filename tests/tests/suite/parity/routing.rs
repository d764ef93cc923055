//! Which route a request takes (kong-core C.2 to C.5).

use crate::ask::{answered_by, ask, each, revealing, service};
use tidegate_tests::tls::Hello;
use tidegate_tests::{Gateway, RawClient, Request, Upstream};

struct Case {
    name: &'static str,
    /// Routes of one service as a YAML list.
    routes: &'static str,
    /// Requests with the route that takes them, or the status when none does.
    asks: &'static [(&'static str, &'static str)],
}

const HOSTS: &[Case] = &[
    Case {
        name: "a host without a port matches whatever port the client names",
        routes: "- {name: a, hosts: [a.test]}",
        asks: &[
            ("GET / @a.test", "a"),
            ("GET / @a.test:9999", "a"),
            ("GET / @b.test", "404"),
        ],
    },
    Case {
        name: "a host with a port matches that port alone",
        routes: "- {name: a, hosts: [\"a.test:9999\"]}",
        asks: &[("GET / @a.test:9999", "a"), ("GET / @a.test:1", "404")],
    },
    Case {
        name: "a leading wildcard stands for one label or more",
        routes: "- {name: a, hosts: [\"*.a.test\"]}",
        asks: &[
            ("GET / @x.a.test", "a"),
            ("GET / @x.y.a.test", "a"),
            ("GET / @a.test", "404"),
        ],
    },
    Case {
        name: "a trailing wildcard stands for the end",
        routes: "- {name: a, hosts: [\"a.*\"]}",
        asks: &[
            ("GET / @a.com", "a"),
            ("GET / @a.co.uk", "a"),
            ("GET / @b.a.com", "404"),
        ],
    },
    Case {
        name: "a whole host beats a wildcard",
        routes: "- {name: wild, hosts: [\"*.a.test\"]}\n- {name: whole, hosts: [x.a.test]}",
        asks: &[("GET / @x.a.test", "whole"), ("GET / @y.a.test", "wild")],
    },
    Case {
        name: "two kinds of attributes beat one, wildcard or not",
        routes: "- {name: two, hosts: [\"*.a.test\"], paths: [/p]}\n- {name: one, hosts: [x.a.test]}",
        asks: &[("GET /p @x.a.test", "two"), ("GET /q @x.a.test", "one")],
    },
    Case {
        name: "with the same kinds a whole host beats a wildcard",
        routes: "- {name: wild, hosts: [\"*.a.test\"], paths: [/p]}\n- {name: whole, hosts: [x.a.test], paths: [/p]}",
        asks: &[("GET /p @x.a.test", "whole")],
    },
    Case {
        name: "the case of a host does not matter",
        routes: "- {name: a, hosts: [a.test]}",
        asks: &[("GET / @A.TEST", "a"), ("GET / @a.Test:80", "a")],
    },
];

const PATHS: &[Case] = &[
    Case {
        name: "a path is a prefix of bytes, not of segments",
        routes: "- {name: a, paths: [/foo]}",
        asks: &[
            ("GET /foo", "a"),
            ("GET /foo/", "a"),
            ("GET /foo/bar", "a"),
            ("GET /foobar", "a"),
            ("GET /fo", "404"),
            ("GET /x/foo", "404"),
        ],
    },
    Case {
        name: "the longer prefix wins, whatever the order of the routes",
        routes: "- {name: long, paths: [/a/b]}\n- {name: short, paths: [/a]}",
        asks: &[("GET /a/b/c", "long"), ("GET /a/c", "short")],
    },
    Case {
        name: "each path of a route ranks by its own length",
        routes: "- {name: one, paths: [/a, /a/b/c/d]}\n- {name: two, paths: [/a/b]}",
        asks: &[
            ("GET /a/b/c/d", "one"),
            ("GET /a/b/x", "two"),
            ("GET /a/x", "one"),
        ],
    },
    Case {
        name: "a regex is anchored at its start and ends where it says",
        routes: "- {name: a, paths: [\"~/users/\\\\d+/profile$\"]}",
        asks: &[
            ("GET /users/12/profile", "a"),
            ("GET /users/x/profile", "404"),
            ("GET /x/users/12/profile", "404"),
            ("GET /users/12/profile/x", "404"),
        ],
    },
    Case {
        name: "a regex without an end goes on",
        routes: "- {name: a, paths: [\"~/users/\\\\d+\"]}",
        asks: &[("GET /users/1/anything", "a")],
    },
    Case {
        name: "a regex beats a prefix, however long",
        routes: "- {name: plain, paths: [/users/1/profile]}\n- {name: regex, paths: [\"~/users/\\\\d+\"]}",
        asks: &[("GET /users/1/profile", "regex")],
    },
    Case {
        name: "among regexes the greater regex_priority wins",
        routes: "- {name: low, paths: [\"~/v/\\\\d+\"], regex_priority: 0}\n- {name: high, paths: [\"~/v/\\\\w+\"], regex_priority: 5}",
        asks: &[("GET /v/1", "high")],
    },
    Case {
        name: "regex_priority means nothing for plain paths",
        routes: "- {name: short, paths: [/p], regex_priority: 100}\n- {name: long, paths: [/p/q]}",
        asks: &[("GET /p/q", "long")],
    },
    Case {
        name: "plain paths of a route with a regex rank as plain paths",
        routes: "- {name: mixed, paths: [\"~/x\", /longprefix]}\n- {name: plain, paths: [/long]}",
        asks: &[
            ("GET /longprefix", "mixed"),
            ("GET /longer", "plain"),
            ("GET /x", "mixed"),
        ],
    },
    Case {
        name: "the query takes no part in matching paths",
        routes: "- {name: a, paths: [\"~/p$\"]}",
        asks: &[("GET /p?x=/q", "a")],
    },
    Case {
        name: "paths are compared in their normal form",
        routes: "- {name: a, paths: [/foo/bar]}",
        asks: &[
            ("GET /foo/a/../bar", "a"),
            ("GET /foo//bar", "a"),
            ("GET /foo/./bar", "a"),
            ("GET /f%6fo/bar", "a"),
        ],
    },
    Case {
        name: "an escaped slash separates nothing",
        routes: "- {name: secret, paths: [/secret]}\n- {name: rest, paths: [/]}",
        asks: &[("GET /a%2fsecret", "rest"), ("GET /x%2F..%2Fsecret", "rest")],
    },
];

const OTHERS: &[Case] = &[
    Case {
        name: "a method alone is a rule",
        routes: "- {name: a, methods: [GET]}",
        asks: &[("GET /", "a"), ("POST /", "404")],
    },
    Case {
        name: "methods may be unusual",
        routes: "- {name: a, methods: [PURGE]}",
        asks: &[("PURGE /", "a")],
    },
    Case {
        name: "of three rules of one kind the host wins",
        routes: "- {name: method, methods: [GET]}\n- {name: path, paths: [/p]}\n- {name: host, hosts: [a.test]}",
        asks: &[("GET /p @a.test", "host")],
    },
    Case {
        name: "three kinds beat two",
        routes: "- {name: two, hosts: [a.test], paths: [/p]}\n- {name: three, hosts: [a.test], paths: [/p], methods: [GET]}",
        asks: &[("GET /p @a.test", "three"), ("POST /p @a.test", "two")],
    },
    Case {
        name: "a rule that matches by half does not match",
        routes: "- {name: half, hosts: [a.test], methods: [POST]}\n- {name: whole, paths: [/p]}",
        asks: &[("GET /p @a.test", "whole")],
    },
    Case {
        name: "one of the values of a header is enough",
        routes: "- {name: a, headers: {version: [v1, v2]}}",
        asks: &[
            ("GET / version:v2", "a"),
            ("GET / version:v3", "404"),
            ("GET /", "404"),
        ],
    },
    Case {
        name: "names and values of headers are compared without case",
        routes: "- {name: a, headers: {Version: [V1]}}",
        asks: &[("GET / vErSiOn:v1", "a")],
    },
    Case {
        name: "all headers of a route must be there",
        routes: "- {name: a, headers: {a: [\"1\"], b: [\"2\"]}}",
        asks: &[("GET / a:1", "404"), ("GET / a:1 b:2", "a")],
    },
    Case {
        name: "any of repeated headers may match",
        routes: "- {name: a, headers: {x: [b]}}",
        asks: &[("GET / x:a x:b", "a")],
    },
    Case {
        name: "a header value may be a regex",
        routes: "- {name: a, headers: {x: [\"~*^v[0-9]+$\"]}}",
        asks: &[("GET / x:V12", "a"), ("GET / x:vv", "404")],
    },
    Case {
        name: "more headers beat fewer",
        routes: "- {name: one, headers: {a: [\"1\"]}}\n- {name: two, headers: {a: [\"1\"], b: [\"2\"]}}",
        asks: &[("GET / a:1 b:2", "two"), ("GET / a:1", "one")],
    },
    Case {
        name: "more headers beat a longer path",
        routes: "- {name: two, headers: {a: [\"1\"], b: [\"2\"]}, paths: [/p]}\n- {name: long, headers: {a: [\"1\"]}, paths: [/p/long]}",
        asks: &[("GET /p/long a:1 b:2", "two")],
    },
    Case {
        name: "of routes that differ in nothing but their id the greater id wins",
        routes: "- {name: less, id: 11111111-1111-4111-8111-111111111111, paths: [/p]}\n- {name: greater, id: 22222222-2222-4222-8222-222222222222, paths: [/p]}",
        asks: &[("GET /p", "greater")],
    },
    Case {
        name: "a route for http alone serves https as well",
        routes: "- {name: a, protocols: [http], paths: [/p]}",
        asks: &[("GET /p", "a")],
    },
];

async fn run(cases: &'static [Case]) {
    let upstream = Upstream::ok().await;
    let upstream = &upstream;
    each(cases, |case| async move {
        let gateway = revealing(service(upstream, case.routes)).await;
        for (request, expected) in case.asks {
            let response = gateway.call(&ask(request).header("Kong-Debug", "1")).await;
            let found = answered_by(&response);
            if found != *expected {
                return Err(format!(
                    "{}: {request} went to {found} instead of {expected}",
                    case.name
                ));
            }
        }
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn hosts_match_as_documented() {
    run(HOSTS).await;
}

#[tokio::test]
async fn paths_match_as_documented() {
    run(PATHS).await;
}

#[tokio::test]
async fn methods_headers_and_ties_match_as_documented() {
    run(OTHERS).await;
}

#[tokio::test]
async fn without_any_route_everything_is_unrouted() {
    let gateway = Gateway::start("services: []\n").await;
    let response = gateway.get("/").await;
    assert_eq!(
        (response.status, response.message().as_str()),
        (404, "no Route matched with those values")
    );
    assert!(
        response.headers.has("Server") && !response.headers.has("Via"),
        "{response:?}"
    );
}

#[tokio::test]
async fn the_listening_port_stands_in_for_a_missing_one_in_the_host() {
    let upstream = Upstream::ok().await;
    let yaml = service(&upstream, "- {name: a, hosts: [\"a.test:80\"]}");
    let gateway = Gateway::with(yaml)
        .setting("allow_debug_header", "on")
        .setting("port_maps", "80:{proxy_port}")
        .start()
        .await;
    let response = gateway.call(&ask("GET / @a.test Kong-Debug:1")).await;
    assert_eq!(
        answered_by(&response),
        "a",
        "the port is 80 outside, by port_maps"
    );
}

#[tokio::test]
async fn a_disabled_service_takes_no_requests() {
    let upstream = Upstream::ok().await;
    let url = upstream.url();
    let disabled =
        format!("- {{name: off, url: \"{url}\", enabled: false, routes: [{{name: p, paths: [/p]}}]}}");
    let other = format!("- {{name: on, url: \"{url}\", routes: [{{name: rest, paths: [/]}}]}}");
    let gateway = revealing(format!("services:\n{disabled}\n{other}\n")).await;
    assert_eq!(
        answered_by(&gateway.call(&ask("GET /p Kong-Debug:1")).await),
        "rest"
    );
    let gateway = revealing(format!("services:\n{disabled}\n")).await;
    assert_eq!(gateway.get("/p").await.status, 404);
}

#[tokio::test]
async fn a_route_without_a_service_answers_503_unless_a_plugin_answers() {
    let gateway = Gateway::start(
        "routes:
- {name: bare, paths: [/bare]}
- name: ended
  paths: [/ended]
  plugins: [{name: request-termination, config: {status_code: 200, message: done}}]
",
    )
    .await;
    let response = gateway.get("/bare").await;
    assert_eq!(
        (response.status, response.message().as_str()),
        (503, "no Service found with those values")
    );
    assert_eq!(gateway.get("/ended").await.status, 200);
}

#[tokio::test]
async fn trace_is_not_allowed_on_any_route() {
    let upstream = Upstream::ok().await;
    let gateway = Gateway::start(service(&upstream, "- {paths: [/]}")).await;
    let response = gateway.call(&ask("TRACE /")).await;
    assert_eq!(response.status, 405);
    let text = response.text();
    assert!(text.starts_with("Method not allowed\nrequest_id: "), "{text}");
    assert!(upstream.requests().is_empty());
}

#[tokio::test]
async fn http_1_0_needs_no_host() {
    let upstream = Upstream::ok().await;
    let gateway = Gateway::start(service(&upstream, "- {methods: [GET]}")).await;
    let mut client = gateway.send("GET / HTTP/1.0\r\n\r\n").await;
    assert_eq!(client.response().await.status, 200);
    client.assert_closed("HTTP/1.0 without keep-alive").await;
    let mut client = gateway
        .send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        .await;
    let response = client.response().await;
    assert!(
        response.header("connection").eq_ignore_ascii_case("keep-alive"),
        "{response:?}"
    );
    assert_eq!(
        upstream.last().version,
        "HTTP/1.1",
        "the upstream is spoken to in HTTP/1.1 all the same"
    );
}

#[tokio::test]
async fn a_route_cached_without_a_header_is_not_taken_when_the_header_is_there() {
    let upstream = Upstream::ok().await;
    let gateway = revealing(service(
        &upstream,
        "- {name: plain, paths: [/p]}\n- {name: beta, paths: [/p], headers: {x: [beta]}}",
    ))
    .await;
    let mut client = RawClient::connect(gateway.proxy()).await;
    for _ in 0..3 {
        assert_eq!(
            answered_by(&client.call(&ask("GET /p Kong-Debug:1")).await),
            "plain"
        );
        assert_eq!(
            answered_by(&client.call(&ask("GET /p x:beta Kong-Debug:1")).await),
            "beta"
        );
    }
}

#[tokio::test]
async fn a_routing_header_counts_wherever_it_stands() {
    let upstream = Upstream::ok().await;
    let gateway = revealing(service(&upstream, "- {name: a, headers: {wanted: [\"yes\"]}}")).await;
    let mut request = Request::get("/").header("Kong-Debug", "1");
    for index in 0..150 {
        request = request.header(&format!("x-{index}"), "1");
    }
    assert_eq!(
        answered_by(&gateway.call(&request.header("wanted", "yes")).await),
        "a"
    );
}

#[tokio::test]
async fn server_names_of_tls_choose_routes() {
    let upstream = Upstream::ok().await;
    let routes = "- {name: exact, snis: [a.test], protocols: [https]}
- {name: leading, snis: [\"*.b.test\"], protocols: [https]}
- {name: trailing, snis: [\"c.*\"], protocols: [https]}
- {name: dotted, snis: [d.test.], protocols: [https]}";
    let gateway = revealing(service(&upstream, routes)).await;
    for (sni, expected) in [
        ("a.test", "exact"),
        ("x.b.test", "leading"),
        ("c.example", "trailing"),
        ("d.test", "dotted"),
        ("z.test", "404"),
    ] {
        let mut client = RawClient::connect_tls(gateway.tls(), Hello::to(sni)).await;
        let response = client.call(&ask("GET / Kong-Debug:1")).await;
        assert_eq!(answered_by(&response), expected, "SNI {sni}");
    }
    assert_eq!(
        gateway.get("/").await.status,
        426,
        "without TLS there is no server name: the protocol decides"
    );
}

#[tokio::test]
async fn protocols_of_a_route_bind_in_the_flavour_expressions() {
    let upstream = Upstream::ok().await;
    let yaml = service(&upstream, "- {name: a, protocols: [http], paths: [/p]}");
    for (flavour, status) in [("traditional_compatible", 200), ("expressions", 404)] {
        let gateway = Gateway::with(yaml.clone())
            .setting("router_flavor", flavour)
            .start()
            .await;
        let mut client = RawClient::connect_tls(gateway.tls(), Hello::to("localhost")).await;
        assert_eq!(
            client.call(&ask("GET /p")).await.status,
            status,
            "flavour {flavour}"
        );
    }
}

#[tokio::test]
async fn expressions_choose_routes_by_priority() {
    let upstream = Upstream::ok().await;
    let routes = "- {name: low, expression: 'http.path ^= \"/p\"', priority: 10}
- {name: high, expression: 'http.path ^= \"/p\" && http.headers.x == \"1\"', priority: 100}
- {name: query, expression: 'http.queries.a == \"\"', priority: 1}";
    let gateway = Gateway::with(service(&upstream, routes))
        .setting("router_flavor", "expressions")
        .setting("allow_debug_header", "on")
        .start()
        .await;
    for (request, expected) in [
        ("GET /p", "low"),
        ("GET /p x:1", "high"),
        ("GET /q?a", "query"),
        ("GET /q?a=", "query"),
        ("GET /q?b", "404"),
    ] {
        let response = gateway.call(&ask(request).header("Kong-Debug", "1")).await;
        assert_eq!(answered_by(&response), expected, "{request}");
    }
}
