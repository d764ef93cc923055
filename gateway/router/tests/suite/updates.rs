//! Changed copies of a router.

use crate::kit::{get, inputs, route, routes};
use serde_json::json;
use tidegate_model::entities::Route;
use tidegate_router::{Flavor, Router};

const FLAVOR: Flavor = Flavor::TraditionalCompatible;

fn many(count: u128) -> Vec<Route> {
    (0..count)
        .map(|n| {
            route(
                n + 1,
                json!({"hosts": [format!("h{n}.test")], "paths": [format!("/svc-{n}")]}),
            )
        })
        .collect()
}

#[test]
fn the_old_router_stays_as_it_is() {
    let mut list = many(100);
    let old = Router::build(&inputs(&list), FLAVOR).0;
    list[5].paths = Some(vec!["/moved".to_owned()]);
    let new = old.update(&inputs(&list)).0;
    assert_eq!(get("h5.test/svc-5").winner(&old), Some(6));
    assert_eq!(get("h5.test/moved").winner(&old), None);
    assert_eq!(get("h5.test/svc-5").winner(&new), None);
    assert_eq!(get("h5.test/moved").winner(&new), Some(6));
}

#[test]
fn positions_follow_the_new_list() {
    let mut list = many(100);
    let old = Router::build(&inputs(&list), FLAVOR).0;
    list.remove(0);
    let new = old.update(&inputs(&list)).0;
    assert_eq!(get("h5.test/svc-5").winner(&new), Some(5));
    assert_eq!(get("h0.test/svc-0").winner(&new), None);
}

#[test]
fn faults_of_unchanged_routes_are_reported_again_and_go_when_mended() {
    let mut list = many(100);
    list[7].paths = Some(vec!["~/(".to_owned()]);
    let (router, faults) = Router::build(&inputs(&list), FLAVOR);
    assert_eq!(faults.len(), 1);
    list[3].hosts = Some(vec!["other.test".to_owned()]);
    let (router, faults) = router.update(&inputs(&list));
    assert_eq!(faults.iter().map(|fault| fault.route).collect::<Vec<_>>(), [7]);
    list[7].paths = Some(vec!["/mended".to_owned()]);
    let (router, faults) = router.update(&inputs(&list));
    assert_eq!(faults, []);
    assert_eq!(get("h7.test/mended").winner(&router), Some(8));
}

#[test]
fn thousands_of_edits_leave_no_growing_waste() {
    let mut list = many(300);
    let mut router = Router::build(&inputs(&list), FLAVOR).0;
    for round in 0..3_000_usize {
        let place = round % list.len();
        list[place].paths = Some(vec![format!("/round-{round}")]);
        router = router.update(&inputs(&list)).0;
        assert_eq!(
            get(&format!("h{place}.test/round-{round}")).winner(&router),
            Some(place as u32 + 1)
        );
    }
    assert!(
        router.memory_bytes() < 300 * 1_024 + 256 * 1_024,
        "{} bytes",
        router.memory_bytes()
    );
}

#[test]
fn a_router_can_empty_and_fill_again() {
    let list = routes(json!([{"paths": ["/a"]}]));
    let router = Router::build(&inputs(&list), FLAVOR).0;
    let empty = router.update(&[]).0;
    assert_eq!(get("h/a").winner(&empty), None);
    assert_eq!(get("h/a").winner(&empty.update(&inputs(&list)).0), Some(1));
}

/// Routes on one path that differ by something that the index looks up.
fn crowded(kind: &str, number: u128, value: usize) -> Route {
    let fields = match kind {
        "headers" => json!({"paths": ["/one"], "headers": {"x-tenant": [format!("t{value}")]}}),
        "regexes" => json!({"paths": [format!("~/one/\\d+/word-{value}$")]}),
        _ => json!({"paths": ["/one"], "methods": [format!("M{value}")]}),
    };
    route(number, fields)
}

#[test]
fn a_crowded_place_answers_like_a_new_one_after_every_edit() {
    let mut random = fastrand::Rng::with_seed(11);
    for kind in ["headers", "regexes", "methods"] {
        let mut list: Vec<Route> = (0..60).map(|n| crowded(kind, n + 1, n as usize)).collect();
        let mut router = Router::build(&inputs(&list), FLAVOR).0;
        for round in 0..60_u128 {
            for _ in 0..=random.usize(..3) {
                let (place, value) = (random.usize(..list.len()), random.usize(..75));
                match random.u8(..4) {
                    0 => drop(list.remove(place)),
                    1 => list.push(crowded(
                        kind,
                        1_000 + round * 8 + u128::from(random.u8(..8)),
                        value,
                    )),
                    _ => list[place] = crowded(kind, list[place].id.0.as_u128(), value),
                }
            }
            router = router.update(&inputs(&list)).0;
            let fresh = Router::build(&inputs(&list), FLAVOR).0;
            for value in 0..75 {
                let request = match kind {
                    "headers" => get("h/one").header("x-tenant", &format!("t{value}")),
                    "regexes" => get(&format!("h/one/7/word-{value}")),
                    _ => get("h/one").method(&format!("M{value}")),
                };
                assert_eq!(
                    request.winner(&router),
                    request.winner(&fresh),
                    "{kind} {value} in round {round}"
                );
            }
        }
    }
}
