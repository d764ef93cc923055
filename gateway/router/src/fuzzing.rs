//! Fuzz entry: bytes become routes and requests; the index must agree with the plain walk over all routes.

use crate::facts::{HeaderList, RequestFacts};
use crate::router::{Flavor, RouteInput, Router};
use std::collections::BTreeMap;
use tidegate_model::entities::{PathHandling, Protocol, Route};
use tidegate_model::ids::RouteId;
use uuid::Uuid;

/// Most routes of one run.
const MAX_ROUTES: u8 = 24;

/// Builds a router from arbitrary bytes, sends it requests made of the rest, and compares what the index finds with
/// what the plain walk of [`Router::explain`] finds.
///
/// # Panics
/// When the two differ.
pub fn fuzz(bytes: &[u8]) {
    let mut source = Source(bytes);
    let flavor = match source.byte() % 3 {
        0 => Flavor::TraditionalCompatible,
        1 => Flavor::Traditional,
        _ => Flavor::Expressions,
    };
    let count = source.byte() % MAX_ROUTES;
    let mut routes: Vec<Route> = (0..count).map(|number| source.route(number)).collect();
    let (mut router, _) = Router::build(&inputs(&routes), flavor);
    for round in 0..4_u8 {
        for _ in 0..4 {
            source.compare(&router);
        }
        if source.0.is_empty() {
            return;
        }
        if let Some(place) = usize::from(source.byte()).checked_rem(routes.len()) {
            routes.remove(place);
        }
        routes.push(source.route(MAX_ROUTES + round));
        router = router.update(&inputs(&routes)).0;
    }
}

fn inputs(routes: &[Route]) -> Vec<RouteInput<'_>> {
    routes.iter().map(|route| RouteInput { route }).collect()
}

struct Source<'b>(&'b [u8]);

impl Source<'_> {
    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else {
            return 0;
        };
        self.0 = rest;
        *first
    }

    fn text(&mut self) -> String {
        let length = usize::from(self.byte() % 24).min(self.0.len());
        let (own, rest) = self.0.split_at(length);
        self.0 = rest;
        String::from_utf8_lossy(own).into_owned()
    }

    fn maybe<T>(&mut self, make: impl Fn(&mut Self) -> T) -> Option<Vec<T>> {
        let count = self.byte() % 4;
        (count > 0).then(|| (0..count).map(|_| make(self)).collect())
    }

    fn path(&mut self) -> String {
        let mark = if self.byte().is_multiple_of(3) { "~/" } else { "/" };
        format!("{mark}{}", self.text())
    }

    fn route(&mut self, number: u8) -> Route {
        Route {
            id: RouteId(Uuid::from_u128(
                u128::from(self.byte()) << 64 | u128::from(number),
            )),
            created_at: Some(i64::from(self.byte() % 4)),
            updated_at: None,
            name: None,
            protocols: vec![if self.byte().is_multiple_of(2) {
                Protocol::Http
            } else {
                Protocol::Https
            }],
            methods: self.maybe(Self::text),
            hosts: self.maybe(Self::text),
            paths: self.maybe(Self::path),
            headers: self
                .maybe(|own| (own.text(), vec![own.text()]))
                .map(BTreeMap::from_iter),
            https_redirect_status_code: 426,
            regex_priority: i64::from(self.byte() % 4) - 1,
            strip_path: true,
            path_handling: PathHandling::V0,
            preserve_host: false,
            request_buffering: true,
            response_buffering: true,
            snis: self.maybe(Self::text),
            sources: None,
            destinations: None,
            tags: None,
            service: None,
            expression: self.byte().is_multiple_of(8).then(|| self.text()),
            priority: Some(u64::from(self.byte())),
        }
    }

    fn compare(&mut self, router: &Router) {
        let (method, host, path) = (
            self.text(),
            self.text().to_lowercase(),
            format!("/{}", self.text()),
        );
        let query = self.text();
        let headers = HeaderList(vec![(self.text(), self.text().into_bytes())]);
        let port = u16::from(self.byte());
        let facts = RequestFacts {
            method: &method,
            scheme: if port.is_multiple_of(2) { "http" } else { "https" },
            host: &host,
            host_port: port.is_multiple_of(3).then_some(port),
            path: path.as_bytes(),
            query: Some(&query),
            headers: &headers,
            sni: Some(&host),
            source: None,
            destination: None,
        };
        let explained = router.explain(&facts).winner;
        assert_eq!(
            router.find(&facts),
            explained,
            "index and plain walk differ for {facts:?}"
        );
    }
}
