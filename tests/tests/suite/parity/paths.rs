//! What path the upstream sees (kong-core C.3 and C.6).

use crate::ask::{ask, service, service_at};
use tidegate_tests::{Gateway, RawClient, Upstream};

struct Case {
    /// Path of the service's URL.
    service: &'static str,
    /// Route as YAML fields.
    route: &'static str,
    /// Targets asked for, with those that the upstream sees.
    targets: &'static [(&'static str, &'static str)],
}

const CASES: &[Case] = &[
    Case {
        service: "/",
        route: "paths: [/route]",
        targets: &[("/route", "/"), ("/route/", "/"), ("/routereq", "/req")],
    },
    Case {
        service: "/service",
        route: "paths: [/route]",
        targets: &[
            ("/route", "/service"),
            ("/route/", "/service/"),
            ("/routereq", "/service/req"),
        ],
    },
    Case {
        service: "/service/",
        route: "paths: [/route]",
        targets: &[
            ("/route", "/service"),
            ("/route/", "/service/"),
            ("/routereq", "/service/req"),
        ],
    },
    Case {
        service: "/service",
        route: "paths: [/route/]",
        targets: &[("/route/", "/service/"), ("/route/req", "/service/req")],
    },
    Case {
        service: "/service",
        route: "paths: [/]",
        targets: &[("/", "/service"), ("/route/", "/service/route/")],
    },
    Case {
        service: "/service",
        route: "paths: [/route], strip_path: false",
        targets: &[("/route/", "/service/route/"), ("/routereq", "/service/routereq")],
    },
    Case {
        service: "/srv",
        route: "paths: [/rou], strip_path: false",
        targets: &[("/roureq", "/srv/roureq")],
    },
    Case {
        service: "/service",
        route: "hosts: [localhost]",
        targets: &[("/", "/service"), ("/route", "/service/route")],
    },
    Case {
        service: "/service",
        route: "paths: [/route]",
        targets: &[
            ("/route./req", "/service/req"),
            ("/route%2E/req", "/service/req"),
            ("/route../req", "/service/req"),
        ],
    },
    Case {
        service: "/service",
        route: "paths: [/route], strip_path: false",
        targets: &[("/route../req", "/service/route../req")],
    },
    Case {
        service: "/",
        route: "paths: ['~/version/\\d+/service']",
        targets: &[("/version/1/service/path", "/path")],
    },
    Case {
        service: "/srv",
        route: "paths: [/rou], path_handling: v1",
        targets: &[("/roureq", "/srv/req")],
    },
    Case {
        service: "/",
        route: "paths: [/hello]",
        targets: &[("/h%65llo/anything/a/../b", "/anything/b")],
    },
    Case {
        service: "/",
        route: "paths: [/anything/world], strip_path: false",
        targets: &[
            ("/anything/./a/../wor%6cd/a/../b", "/anything/world/b"),
            (
                "/anything/world/cat%20and%20dog",
                "/anything/world/cat%20and%20dog",
            ),
        ],
    },
    Case {
        service: "/",
        route: "paths: [/], strip_path: false",
        targets: &[
            ("/x%2fy", "/x%2Fy"),
            ("/endel%C3%B8st", "/endel%C3%B8st"),
            ("/a/b/..%2f../secret", "/a/b/..%2F../secret"),
            ("/a/%2e%2e/p", "/p"),
            ("/p?a=%2F&b=c+d&&x", "/p?a=%2F&b=c+d&&x"),
            ("/p?", "/p?"),
            ("/p?hello", "/p?hello"),
        ],
    },
];

#[tokio::test]
async fn the_upstream_sees_the_path_that_service_route_and_stripping_make() {
    let upstream = Upstream::ok().await;
    for case in CASES {
        let url = format!("{}{}", upstream.url(), case.service);
        let gateway = Gateway::start(service_at(&url, "", &format!("- {{name: r, {}}}", case.route))).await;
        let mut client = RawClient::connect(gateway.proxy()).await;
        for (target, expected) in case.targets {
            let response = client.call(&ask(&format!("GET {target}"))).await;
            assert_eq!(response.status, 200, "{target} with {}", case.route);
            assert_eq!(
                upstream.last().target,
                *expected,
                "{target} with service {} and {}",
                case.service,
                case.route
            );
        }
    }
}

#[tokio::test]
async fn the_forwarded_path_is_what_the_client_sent() {
    let upstream = Upstream::ok().await;
    let gateway = Gateway::start(service(&upstream, "- {paths: [/foo/bar, /hello]}")).await;
    for target in ["/foo/a/../bar", "/h%65llo", "/hello?q=1"] {
        gateway.get(target).await;
        let sent = target.split('?').next().unwrap();
        assert_eq!(
            upstream.last().header("X-Forwarded-Path"),
            sent,
            "not normalised, without the query"
        );
    }
}

#[tokio::test]
async fn the_forwarded_prefix_is_what_was_stripped() {
    let upstream = Upstream::ok().await;
    let routes = "- {name: regex, paths: ['~/version/\\d+/service']}
- {name: plain, paths: [/foo]}
- {name: kept, paths: [/kept], strip_path: false}
- {name: root, paths: [/]}";
    let gateway = Gateway::start(service(&upstream, routes)).await;
    for (target, prefix) in [
        ("/version/1/service/path", Some("/version/1/service")),
        ("/foo/x", Some("/foo")),
        ("/kept/x", None),
        ("/y", None),
    ] {
        gateway
            .call(&ask(&format!("GET {target} X-Forwarded-Prefix:/spoofed")))
            .await;
        assert_eq!(
            upstream.last().headers.get("X-Forwarded-Prefix"),
            prefix,
            "{target}"
        );
    }
}

#[tokio::test]
async fn two_prefixes_of_one_service_do_not_mix() {
    let upstream = Upstream::ok().await;
    let gateway = Gateway::start(service(&upstream, "- {paths: [/one]}\n- {paths: [/another]}")).await;
    let mut client = RawClient::connect(gateway.proxy()).await;
    for _ in 0..10 {
        for target in ["/one/x", "/another/x"] {
            client.call(&ask(&format!("GET {target}"))).await;
            assert_eq!(upstream.last().target, "/x");
        }
    }
}

#[tokio::test]
async fn captures_of_a_regex_serve_templates() {
    let upstream = Upstream::ok().await;
    let routes = r#"- name: r
  paths: ['~/users/(?<id>\w+)/(?<tail>[a-z]*)']
  plugins:
  - name: request-transformer
    config:
      add:
        headers: ["x-id:$(uri_captures.id)", "x-tail:$(uri_captures.tail)", "x-whole:$(uri_captures[0])"]
"#;
    let gateway = Gateway::start(service(&upstream, routes)).await;
    gateway.get("/users/%6aohn/abc").await;
    let request = upstream.last();
    assert_eq!(
        request.header("x-id"),
        "john",
        "captures come from the normalised path"
    );
    assert_eq!(
        (request.header("x-tail"), request.header("x-whole")),
        ("abc", "/users/john/abc")
    );
    gateway.get("/users/7/").await;
    assert_eq!(
        upstream.last().headers.get("x-tail"),
        Some(""),
        "a group that matched nothing is empty, not missing"
    );
}

#[tokio::test]
async fn the_host_that_the_upstream_sees_follows_preserve_host() {
    let upstream = Upstream::ok().await;
    let own = upstream.address().to_string();
    let routes = "- {name: kept, paths: [/kept], preserve_host: true}\n- {name: changed, paths: [/changed]}";
    let gateway = Gateway::start(service(&upstream, routes)).await;
    for (request, host) in [
        ("GET /kept @a.test:1234", "a.test:1234"),
        ("GET /kept @a.test", "a.test"),
        ("GET /changed @a.test:1234", own.as_str()),
    ] {
        gateway.call(&ask(request)).await;
        assert_eq!(upstream.last().header("Host"), host, "{request}");
    }
}

#[tokio::test]
async fn a_group_that_took_no_part_is_missing_rather_than_empty() {
    let upstream = Upstream::ok().await;
    let routes = r#"- name: r
  paths: ['~/users/(?<id>\d+)?']
  plugins:
  - name: request-transformer
    config: {add: {headers: ["x-id:$(uri_captures.id or 'none')"]}}
"#;
    let gateway = Gateway::start(service(&upstream, routes)).await;
    for (target, id) in [("/users/7", "7"), ("/users/", "none")] {
        gateway.get(target).await;
        assert_eq!(upstream.last().header("x-id"), id, "{target}");
    }
}

#[test]
fn the_port_that_a_protocol_has_anyway_is_no_part_of_the_host() {
    for (url, host) in [
        ("http://name.test", "name.test"),
        ("http://name.test:80", "name.test"),
        ("http://name.test:81", "name.test:81"),
        ("https://name.test", "name.test"),
        ("https://name.test:8443", "name.test:8443"),
        ("http://name.test:443", "name.test:443"),
    ] {
        let yaml = format!(
            "_format_version: \"3.0\"\n{}",
            service_at(url, "", "- {paths: [/]}")
        );
        let (told, _folder) = crate::operations::run(&["explain", "GET http://a.test/", "-c", "FILE"], &yaml);
        let told = String::from_utf8_lossy(&told.stdout).into_owned();
        // The first such line is the request's.
        let shown = told.lines().filter_map(|line| line.strip_prefix("host")).nth(1);
        assert_eq!(shown.map(str::trim), Some(host), "{url}: {told}");
    }
}
