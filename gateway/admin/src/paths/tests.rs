use super::{Endpoint, find, patterns};

fn text(path: &str) -> Option<&'static str> {
    find(path).map(|(pattern, _)| pattern.text.as_str())
}

#[test]
fn paths_lead_to_their_endpoints() {
    for (path, expected) in [
        ("/", Some("/")),
        ("/services", Some("/services")),
        ("/services/", Some("/services")),
        ("/services/x", Some("/services/{services}")),
        ("/plugins/enabled", Some("/plugins/enabled")),
        ("/plugins/other", Some("/plugins/{plugins}")),
        (
            "/upstreams/u/targets/all",
            Some("/upstreams/{upstreams}/targets/all"),
        ),
        ("/schemas/plugins/validate", Some("/schemas/plugins/validate")),
        ("/schemas/plugins/x", Some("/schemas/plugins/{name}")),
        (
            "/consumers/c/key-auth/k",
            Some("/consumers/{consumers}/key-auth/{keyauth_credentials}"),
        ),
        (
            "/key-auths/k/consumer",
            Some("/key-auths/{keyauth_credentials}/consumer"),
        ),
        ("/key-sets/s/keys", Some("/key-sets/{key_sets}/keys")),
        (
            "/filter-chains/f/route",
            Some("/filter-chains/{filter_chains}/route"),
        ),
        ("//services", None),
        ("/SERVICES", None),
        ("/services//x", None),
        ("/services/x/nope", None),
        ("/workspaces", None),
        ("", None),
    ] {
        assert_eq!(text(path), expected, "{path}");
    }
}

#[test]
fn names_are_decoded() {
    let (_, names) = find("/upstreams/a%20b/targets/%5B::1%5D:80").unwrap();
    assert_eq!(names, ["a b", "[::1]:80"]);
}

#[test]
fn every_path_stands_once() {
    let mut texts: Vec<_> = patterns().iter().map(|pattern| &pattern.text).collect();
    let before = texts.len();
    texts.dedup();
    assert_eq!(texts.len(), before);
}

#[test]
fn methods_are_sorted() {
    for pattern in patterns() {
        assert!(pattern.endpoint.methods().is_sorted(), "{}", pattern.text);
    }
    assert!(matches!(
        find("/targets/x").unwrap().0.endpoint,
        Endpoint::Nothing
    ));
}
