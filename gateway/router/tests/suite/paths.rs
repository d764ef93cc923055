//! Upstream paths (kong-core C.6).

use std::borrow::Cow;
use tidegate_model::entities::PathHandling::{self, V0, V1};
use tidegate_router::{UpstreamPath, upstream_path};

/// Service path, route path (empty: matched by host only), strip, request path, result.
type Row = (&'static str, &'static str, bool, &'static str, &'static str);

fn join(row: Row, handling: PathHandling) -> String {
    let (service, route, strip, request, _) = row;
    assert!(request.starts_with(route), "the row is about a match: {row:?}");
    let joined = upstream_path(Some(service), request.as_bytes(), route.len(), strip, handling);
    String::from_utf8(joined.bytes(request.as_bytes()).to_vec()).expect("text")
}

fn check(rows: &[Row], handling: PathHandling) {
    for row in rows {
        assert_eq!(join(*row, handling), row.4, "{handling:?} {row:?}");
    }
}

#[test]
fn segments_are_joined_by_one_slash() {
    check(
        &[
            ("/", "/", true, "/route/", "/route/"),
            ("/", "/", false, "/route/", "/route/"),
            ("/", "/route", true, "/route", "/"),
            ("/", "/route", true, "/route/", "/"),
            ("/", "/route", true, "/routereq", "/req"),
            ("/srv", "/rou", false, "/roureq", "/srv/roureq"),
            ("/srv", "/rou", true, "/roureq", "/srv/req"),
            ("/srv/", "/rou", true, "/rou", "/srv"),
            ("/service", "/", true, "/", "/service"),
            ("/service", "/", false, "/", "/service"),
            ("/service", "/", true, "/route", "/service/route"),
            ("/service", "/", false, "/route", "/service/route"),
            ("/service", "/", true, "/route/", "/service/route/"),
            ("/service", "/route", true, "/route", "/service"),
            ("/service", "/route", true, "/route/", "/service/"),
            ("/service", "/route", true, "/routereq", "/service/req"),
            ("/service", "/route/", true, "/route/", "/service/"),
            ("/service", "/route/", true, "/route/req", "/service/req"),
            ("/service/", "/route", true, "/route", "/service"),
            ("/service/", "/route", true, "/route/", "/service/"),
            ("/service/", "/route", true, "/routereq", "/service/req"),
            ("/service/", "/route/", false, "/route/req", "/service/route/req"),
            ("/service", "/route", false, "/route/", "/service/route/"),
            ("/service", "/route", false, "/routereq", "/service/routereq"),
        ],
        V0,
    );
}

#[test]
fn strings_are_joined_as_they_are() {
    check(
        &[
            ("/", "/", true, "/route/", "/route/"),
            ("/", "/route", true, "/route", "/"),
            ("/", "/route", true, "/route/", "/"),
            ("/", "/route", true, "/routereq", "/req"),
            ("/srv", "/rou", false, "/roureq", "/srvroureq"),
            ("/srv", "/rou", true, "/roureq", "/srvreq"),
            ("/srv/", "/rou", true, "/rou", "/srv/"),
            ("/service", "/", true, "/", "/service"),
            ("/service", "/", true, "/route", "/serviceroute"),
            ("/service", "/route", true, "/route", "/service"),
            ("/service", "/route", true, "/route/", "/service/"),
            ("/service", "/route/", true, "/route/", "/service"),
            ("/service", "/route/", true, "/route/req", "/servicereq"),
            ("/service/", "/route", true, "/route", "/service/"),
            ("/service/", "/route/", false, "/route/req", "/service/route/req"),
            ("/service", "", true, "/route/", "/serviceroute/"),
            ("/service", "", false, "/route/", "/serviceroute/"),
            ("/service", "/route", true, "/route./req", "/servicereq"),
            ("/service", "/route", false, "/route../req", "/serviceroute../req"),
        ],
        V1,
    );
}

#[test]
fn without_a_path_on_the_route_stripping_changes_nothing() {
    for strip in [true, false] {
        check(
            &[
                ("/service", "", strip, "/", "/service"),
                ("/service", "", strip, "/route", "/service/route"),
            ],
            V0,
        );
    }
}

#[test]
fn a_stripped_prefix_leaves_no_dot_segment_behind() {
    check(
        &[
            ("/service", "/route", true, "/route./req", "/service/req"),
            ("/service", "/route", true, "/route../req", "/service/req"),
            ("/service", "/route", true, "/route..", "/service"),
            ("/service", "/route", true, "/route.", "/service"),
            (
                "/service",
                "/route",
                false,
                "/route../req",
                "/service/route../req",
            ),
        ],
        V0,
    );
}

#[test]
fn a_path_that_stays_as_it_is_costs_no_copy() {
    let request = b"/a/b";
    for (service, matched, strip) in [
        (None, 2, false),
        (Some("/"), 0, true),
        (Some("/"), 1, true),
        (Some(""), 0, false),
    ] {
        let path = upstream_path(service, request, matched, strip, V0);
        assert_eq!(path, UpstreamPath::Unchanged, "{service:?} {matched} {strip}");
    }
    let stripped = upstream_path(None, request, 2, true, V0);
    assert!(
        matches!(stripped, UpstreamPath::Changed(Cow::Borrowed(b"/b"))),
        "{stripped:?}"
    );
}
