//! The router beside Kong's own engine (crate `atc-router`) on the same routes and requests.
//!
//! `cargo bench -p tidegate-benches --bench router`. Each look-up takes another of 256 requests, spread over the
//! routes. Kong's engine gets its context ready-made: only `execute` is measured.

#![allow(missing_docs, reason = "functions of a benchmark are named in its table")]
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a benchmark stops at the first surprise"
)]

use divan::{Bencher, black_box};
use serde_json::{Value, json};
use std::net::{IpAddr, Ipv4Addr};
use tidegate_model::entities::Route;
use tidegate_router::{Flavor, HeaderList, RequestFacts, RouteInput, Router};
use uuid::Uuid;

#[global_allocator]
static ALLOCATOR: divan::AllocProfiler = divan::AllocProfiler::system();

const SIZES: [usize; 4] = [10, 1_000, 10_000, 100_000];
/// Kong's engine compiles every regex when it is built: more would take minutes and gigabytes.
const REGEX_SIZES: [usize; 3] = [10, 1_000, 10_000];
const REQUESTS: usize = 256;

fn main() {
    divan::main();
}

/// A family of route sets.
#[derive(Clone, Copy)]
enum Family {
    Prefix,
    HostPrefix,
    Regex,
    Header,
}

struct Request {
    host: String,
    path: String,
    headers: HeaderList,
}

impl Family {
    fn fields(self, number: usize) -> Value {
        let path = format!("/api/v1/service-{number}/");
        match self {
            Self::Prefix => json!({"paths": [path]}),
            Self::HostPrefix => json!({"hosts": [format!("host-{number}.example.com")], "paths": [path]}),
            Self::Regex => json!({"paths": [format!(r"~/api/v\d+/service-{number}/(?<id>[0-9]+)$")]}),
            Self::Header => {
                json!({"paths": ["/api/v1/"], "headers": {"x-tenant": [format!("tenant-{number}")]}})
            }
        }
    }

    fn request(self, number: usize) -> Request {
        let headers = match self {
            Self::Header => vec![("x-tenant".to_owned(), format!("tenant-{number}").into_bytes())],
            _ => Vec::new(),
        };
        Request {
            host: format!("host-{number}.example.com"),
            path: format!("/api/v1/service-{number}/42"),
            headers: HeaderList(headers),
        }
    }

    /// What Kong generates for such a route, with its priority.
    fn expression(self, number: usize) -> (usize, String) {
        let path = format!("/api/v1/service-{number}/");
        match self {
            Self::Prefix => (path.len(), format!(r##"(http.path ^= r#"{path}"#)"##)),
            Self::HostPrefix => {
                let host = format!(r##"(http.host == r#"host-{number}.example.com"#)"##);
                (path.len(), format!(r##"{host} && (http.path ^= r#"{path}"#)"##))
            }
            Self::Regex => (
                1 << 20,
                format!(r##"(http.path ~ r#"^/api/v\d+/service-{number}/(?P<id>[0-9]+)$"#)"##),
            ),
            Self::Header => {
                let header = format!(r##"(any(lower(http.headers.x_tenant)) == r#"tenant-{number}"#)"##);
                (8, format!(r##"(http.path ^= r#"/api/v1/"#) && {header}"##))
            }
        }
    }
}

fn route(family: Family, number: usize) -> Route {
    let mut whole = json!({
        "id": Uuid::from_u128(number as u128 + 1),
        "protocols": ["http", "https"],
        "https_redirect_status_code": 426,
        "regex_priority": 0,
        "strip_path": true,
        "path_handling": "v0",
        "preserve_host": false,
        "request_buffering": true,
        "response_buffering": true,
    });
    if let (Some(whole), Value::Object(fields)) = (whole.as_object_mut(), family.fields(number)) {
        whole.extend(fields);
    }
    serde_json::from_value(whole).expect("a valid route")
}

fn routes(family: Family, count: usize) -> Vec<Route> {
    (0..count).map(|number| route(family, number)).collect()
}

fn inputs(routes: &[Route]) -> Vec<RouteInput<'_>> {
    routes.iter().map(|route| RouteInput { route }).collect()
}

fn build(routes: &[Route]) -> Router {
    Router::build(&inputs(routes), Flavor::TraditionalCompatible).0
}

/// Requests for routes spread over the set, or for none of them.
fn requests(family: Family, count: usize, hit: bool) -> Vec<Request> {
    let mut random = fastrand::Rng::with_seed(7);
    (0..REQUESTS)
        .map(|_| {
            family.request(if hit {
                random.usize(..count)
            } else {
                random.usize(count..count * 2)
            })
        })
        .collect()
}

fn facts(request: &Request) -> RequestFacts<'_> {
    let local = IpAddr::V4(Ipv4Addr::LOCALHOST);
    RequestFacts {
        method: "GET",
        scheme: "http",
        host: &request.host,
        host_port: None,
        path: request.path.as_bytes(),
        query: None,
        headers: &request.headers,
        sni: None,
        source: Some((local, 40_000)),
        destination: Some((local, 8_000)),
    }
}

fn tidegate(bencher: Bencher<'_, '_>, family: Family, count: usize, hit: bool) {
    let router = build(&routes(family, count));
    let requests = requests(family, count, hit);
    for request in &requests {
        assert_eq!(router.find(&facts(request)).is_some(), hit);
    }
    let mut next = requests.iter().cycle();
    bencher.bench_local(|| router.find(&facts(next.next().expect("endless"))));
}

fn kong(bencher: Bencher<'_, '_>, family: Family, count: usize, hit: bool) {
    use atc_router::ast::{Type, Value};
    use atc_router::{context::Context, router::Router, schema::Schema};
    let mut schema = Schema::default();
    for field in ["http.path", "http.host", "http.headers.x_tenant"] {
        schema.add_field(field, Type::String);
    }
    let mut router = Router::new(&schema);
    for number in 0..count {
        let (priority, expression) = family.expression(number);
        router
            .add_matcher(priority, Uuid::from_u128(number as u128 + 1), &expression)
            .expect("a valid expression");
    }
    let requests = requests(family, count, hit);
    let contexts = requests.iter().map(|request| {
        let mut context = Context::new(&schema);
        context.add_value("http.path", Value::String(request.path.clone()));
        context.add_value("http.host", Value::String(request.host.clone()));
        for (_, value) in &request.headers.0 {
            context.add_value(
                "http.headers.x_tenant",
                Value::String(String::from_utf8_lossy(value).into_owned()),
            );
        }
        context
    });
    let mut contexts: Vec<Context<'_>> = contexts.collect();
    for context in &mut contexts {
        assert_eq!(router.execute(context), hit);
    }
    let mut number = 0;
    bencher.bench_local(|| {
        number = (number + 1) % REQUESTS;
        black_box(router.execute(&mut contexts[number]))
    });
}

macro_rules! lookups {
    ($module:ident, $family:expr, $kong_sizes:expr) => {
        mod $module {
            use super::{Bencher, Family};

            #[divan::bench(args = crate::SIZES, sample_size = 256)]
            fn tidegate_hit(bencher: Bencher<'_, '_>, count: usize) {
                super::tidegate(bencher, $family, count, true);
            }
            #[divan::bench(args = crate::SIZES, sample_size = 256)]
            fn tidegate_miss(bencher: Bencher<'_, '_>, count: usize) {
                super::tidegate(bencher, $family, count, false);
            }
            #[divan::bench(args = $kong_sizes, max_time = 2)]
            fn kong_hit(bencher: Bencher<'_, '_>, count: usize) {
                super::kong(bencher, $family, count, true);
            }
            #[divan::bench(args = $kong_sizes, max_time = 2)]
            fn kong_miss(bencher: Bencher<'_, '_>, count: usize) {
                super::kong(bencher, $family, count, false);
            }
        }
    };
}

lookups!(prefix, Family::Prefix, crate::SIZES);
lookups!(host_prefix, Family::HostPrefix, crate::SIZES);
lookups!(regex, Family::Regex, crate::REGEX_SIZES);
lookups!(header, Family::Header, crate::SIZES);

mod change {
    use super::{Bencher, Family, Flavor, Router, SIZES, build, inputs, routes};

    #[divan::bench(args = SIZES, max_time = 3)]
    fn build_prefix(bencher: Bencher<'_, '_>, count: usize) {
        all(bencher, Family::Prefix, count);
    }

    #[divan::bench(args = SIZES, max_time = 3)]
    fn build_host_prefix(bencher: Bencher<'_, '_>, count: usize) {
        all(bencher, Family::HostPrefix, count);
    }

    #[divan::bench(args = SIZES, max_time = 3)]
    fn build_regex(bencher: Bencher<'_, '_>, count: usize) {
        all(bencher, Family::Regex, count);
    }

    #[divan::bench(args = SIZES, max_time = 3)]
    fn build_header(bencher: Bencher<'_, '_>, count: usize) {
        all(bencher, Family::Header, count);
    }

    #[divan::bench(args = SIZES, max_time = 3)]
    fn edit_prefix(bencher: Bencher<'_, '_>, count: usize) {
        one(bencher, Family::Prefix, count);
    }

    #[divan::bench(args = SIZES, max_time = 3)]
    fn edit_host_prefix(bencher: Bencher<'_, '_>, count: usize) {
        one(bencher, Family::HostPrefix, count);
    }

    #[divan::bench(args = SIZES, max_time = 3)]
    fn edit_regex(bencher: Bencher<'_, '_>, count: usize) {
        one(bencher, Family::Regex, count);
    }

    #[divan::bench(args = SIZES, max_time = 3)]
    fn edit_header(bencher: Bencher<'_, '_>, count: usize) {
        one(bencher, Family::Header, count);
    }

    fn all(bencher: Bencher<'_, '_>, family: Family, count: usize) {
        let list = routes(family, count);
        let inputs = inputs(&list);
        bencher.bench_local(|| Router::build(&inputs, Flavor::TraditionalCompatible));
    }

    /// A route in the middle gets methods.
    fn one(bencher: Bencher<'_, '_>, family: Family, count: usize) {
        let mut list = routes(family, count);
        let router = build(&list);
        list[count / 2].methods = Some(vec!["GET".to_owned()]);
        let inputs = inputs(&list);
        bencher.bench_local(|| router.update(&inputs));
    }
}
