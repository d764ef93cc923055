//! Random routes and requests: the router agrees with the naive one, with its own explanation, and after edits.

use crate::kit::{Request, get, inputs, route};
use crate::naive::Naive;
use serde_json::{Map, Value, json};
use tidegate_model::entities::Route;
use tidegate_router::{Flavor, Router, fuzz};

const HOSTS: [&str; 10] = [
    "a.test",
    "b.test",
    "*.a.test",
    "*.test",
    "a.*",
    "x.y.a.test",
    "a.test:8000",
    "b.test:81",
    "*.a.test:81",
    "B.*:80",
];
const PATHS: [&str; 20] = [
    "/",
    "/a",
    "/a/b",
    "/a/bc",
    "/ab",
    "/abc/d",
    "/b",
    "/b/c/d/e",
    "/a/b/c",
    "/ac",
    "~/a/\\d+",
    "~/a/[a-z]+$",
    "~/.*",
    "~/a/b",
    "~/(a|b)/",
    "~/ab?c",
    "~/[a-z]+/item/\\d",
    "~/[a-z]+/thing/(?<id>\\d)",
    "~/b+/x/other",
    "~/a|/b",
];
const REQUEST_PATHS: [&str; 14] = [
    "/",
    "/a",
    "/a/b",
    "/a/bcd",
    "/abc",
    "/abc/d/e",
    "/a/12/x",
    "/b/c/d/e/f",
    "/zz",
    "/q/item/7",
    "/q/thing/7",
    "/bb/x/other",
    "/ac",
    "/x/b",
];
const REQUEST_HOSTS: [&str; 8] = [
    "a.test",
    "b.test",
    "x.a.test",
    "x.y.a.test:81",
    "a.org",
    "c",
    "a.test:80",
    "b.org",
];
const METHODS: [&str; 4] = ["GET", "POST", "PUT", "PURGE"];
const VALUES: [&str; 5] = ["one", "TWO", "three", "~*^t", "four"];

struct Dice(fastrand::Rng);

impl Dice {
    fn one_in(&mut self, sides: u32) -> bool {
        self.0.u32(..sides) == 0
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.0.usize(..from.len())]
    }

    fn some(&mut self, from: &[&str]) -> Value {
        let mut picked: Vec<&str> = Vec::new();
        for _ in 0..self.0.usize(1..4) {
            let one = self.pick(from);
            if !picked.contains(&one) {
                picked.push(one);
            }
        }
        json!(picked)
    }

    fn route(&mut self, flavor: Flavor) -> Route {
        let mut fields = Map::new();
        if self.one_in(2) {
            fields.insert("hosts".into(), self.some(&HOSTS));
        }
        if !self.one_in(3) {
            fields.insert("paths".into(), self.some(&PATHS));
        }
        if self.one_in(4) {
            fields.insert("methods".into(), self.some(&METHODS));
        }
        if self.one_in(6) {
            fields.insert("snis".into(), self.some(&["a.test", "*.test", "b.*", "c.test."]));
        }
        if self.one_in(3) {
            let names: &[&str] = if self.one_in(2) { &["x-a"] } else { &["x-a", "x-b"] };
            // One value each: a list with a regex means something else to the legacy engine.
            let headers: Map<String, Value> = names
                .iter()
                .map(|name| ((*name).to_owned(), json!([self.pick(&VALUES)])))
                .collect();
            fields.insert("headers".into(), headers.into());
        }
        if flavor == Flavor::Expressions && self.one_in(5) {
            let place = if self.one_in(2) {
                json!({"port": 81})
            } else {
                json!({"ip": "127.0.0.1", "port": 8000})
            };
            fields.insert("destinations".into(), json!([place]));
        }
        if fields.is_empty() {
            fields.insert("paths".into(), json!(["/"]));
        }
        fields.insert("regex_priority".into(), json!(self.0.i64(-1..3)));
        fields.insert("created_at".into(), json!(self.0.i64(1..4)));
        let protocols = [json!(["http", "https"]), json!(["http"]), json!(["https"])];
        fields.insert("protocols".into(), protocols[self.0.usize(..3)].clone());
        route(self.0.u128(..), fields.into())
    }

    fn request(&mut self) -> Request {
        let mut request = get(&format!(
            "{}{}",
            self.pick(&REQUEST_HOSTS),
            self.pick(&REQUEST_PATHS)
        ));
        request.method = self.pick(&METHODS).to_owned();
        for name in ["x-a", "X-B", "x-a"] {
            if self.one_in(2) {
                request = request.header(name, self.pick(&VALUES));
            }
        }
        if self.one_in(3) {
            let name = self.pick(&["a.test", "x.test", "b.org", "c.test", ""]);
            request = request.tls(name);
        }
        request
    }
}

/// Compares on random requests; returns how many matched.
fn compare(router: &Router, naive: &Naive<'_>, dice: &mut Dice, requests: usize) -> usize {
    let mut matched = 0;
    for _ in 0..requests {
        let request = dice.request();
        let found = request
            .find(router)
            .map(|found| (found.route, found.matched_prefix));
        let wanted = naive.find(&request);
        if found != wanted {
            let told = router.explain(&request.facts());
            let close: Vec<String> = told.close().map(|one| format!("{one:?}")).collect();
            panic!("{found:?}, not {wanted:?} for {request:?}:\n{}", close.join("\n"));
        }
        matched += usize::from(found.is_some());
    }
    matched
}

#[test]
fn the_index_agrees_with_a_naive_matcher_on_a_hundred_thousand_requests() {
    let mut dice = Dice(fastrand::Rng::with_seed(1));
    let mut matched = 0;
    for flavor in [
        Flavor::TraditionalCompatible,
        Flavor::Traditional,
        Flavor::Expressions,
    ] {
        for round in 0..100 {
            let routes: Vec<Route> = (0..1 + round).map(|_| dice.route(flavor)).collect();
            let (router, faults) = Router::build(&inputs(&routes), flavor);
            assert_eq!(faults, []);
            let naive = Naive::new(&routes, flavor);
            matched += compare(&router, &naive, &mut dice, 340);
        }
    }
    assert!(matched > 50_000, "only {matched} requests matched a route");
}

#[test]
fn an_updated_router_answers_like_a_new_one() {
    for (seed, flavor) in [
        (2, Flavor::TraditionalCompatible),
        (3, Flavor::Traditional),
        (4, Flavor::Expressions),
    ] {
        let mut dice = Dice(fastrand::Rng::with_seed(seed));
        let mut routes: Vec<Route> = (0..150).map(|_| dice.route(flavor)).collect();
        let mut router = Router::build(&inputs(&routes), flavor).0;
        for _ in 0..60 {
            for _ in 0..dice.0.usize(1..4) {
                let place = dice.0.usize(..routes.len());
                match dice.0.u32(..4) {
                    0 => drop(routes.remove(place)),
                    1 => routes.insert(place, dice.route(flavor)),
                    2 => {
                        let id = routes[place].id;
                        routes[place] = Route {
                            id,
                            ..dice.route(flavor)
                        };
                    }
                    _ => {
                        let moved = routes.remove(place);
                        routes.push(moved);
                    }
                }
            }
            router = router.update(&inputs(&routes)).0;
            compare(&router, &Naive::new(&routes, flavor), &mut dice, 60);
        }
    }
}

#[test]
fn the_explanation_agrees_with_the_answer() {
    let mut dice = Dice(fastrand::Rng::with_seed(5));
    let routes: Vec<Route> = (0..120)
        .map(|_| dice.route(Flavor::TraditionalCompatible))
        .collect();
    let router = Router::build(&inputs(&routes), Flavor::TraditionalCompatible).0;
    for _ in 0..500 {
        let request = dice.request();
        let told = router.explain(&request.facts());
        assert_eq!(told.winner, request.find(&router), "{request:?}");
    }
}

/// Atoms that random expressions are made of.
const ATOMS: [&str; 16] = [
    r#"http.path ^= "/a""#,
    r#"http.path == "/a/b""#,
    r##"http.path ~ r#"^/a/(\d+)"#"##,
    r##"http.path ~ r#"item"#"##,
    r#"lower(http.path) ^= "/a""#,
    r#"http.host == "a.test""#,
    r#"http.host =^ ".test""#,
    r#"http.host ^= "b.""#,
    r#"http.host ^= "a""#,
    r#"http.method == "GET""#,
    r#"http.method != "POST""#,
    r#"any(http.headers.x_a) == "one""#,
    r#"lower(http.headers.x_b) == "two""#,
    "net.dst.port == 81",
    r#"net.protocol == "https""#,
    r#"http.path.segments.0 == "a""#,
];

fn expression(dice: &mut Dice, depth: u32) -> String {
    if depth == 0 || dice.one_in(3) {
        return dice.pick(&ATOMS).to_owned();
    }
    let (left, right) = (expression(dice, depth - 1), expression(dice, depth - 1));
    match dice.0.u32(..5) {
        0 | 1 => format!("({left}) && ({right})"),
        2 => format!("({left}) || ({right})"),
        3 => format!("{left} && {right}"),
        _ => format!("!({left}) && ({right})"),
    }
}

#[test]
fn expressions_are_indexed_without_changing_their_meaning() {
    let mut dice = Dice(fastrand::Rng::with_seed(6));
    let mut matched = 0;
    for _ in 0..40 {
        let routes: Vec<Route> = (0..60)
            .map(|_| {
                let fields = json!({"expression": expression(&mut dice, 3), "priority": dice.0.u32(..9)});
                if dice.one_in(4) {
                    dice.route(Flavor::Expressions)
                } else {
                    route(dice.0.u128(..), fields)
                }
            })
            .collect();
        let (router, faults) = Router::build(&inputs(&routes), Flavor::Expressions);
        assert_eq!(faults, []);
        for _ in 0..100 {
            let request = dice.request();
            let found = request.find(&router);
            assert_eq!(found, router.explain(&request.facts()).winner, "{request:?}");
            matched += usize::from(found.is_some());
        }
    }
    assert!(matched > 2_000, "only {matched} requests matched");
}

#[test]
fn random_bytes_never_make_index_and_walk_disagree() {
    let mut dice = fastrand::Rng::with_seed(7);
    let start = std::time::Instant::now();
    let mut bytes = Vec::new();
    while start.elapsed().as_secs() < 5 {
        bytes.resize(dice.usize(..1_500), 0);
        dice.fill(&mut bytes);
        // Half of the bytes from a small alphabet, so that routes and requests meet.
        for byte in &mut bytes {
            if dice.bool() {
                *byte = b"a/b.*?\x03\x01\x06"[dice.usize(..9)];
            }
        }
        fuzz(&bytes);
    }
}
