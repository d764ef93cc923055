//! Times that a file does not give.

use crate::kit::{Planner, consumer, key, plugin, route, service};
use serde_json::json;
use tidegate_model::entities::EntitySet;
use tidegate_plan::keep_times;

fn loaded_at(now: i64) -> EntitySet {
    let mut entities = EntitySet {
        services: vec![service(0, "127.0.0.1")],
        routes: vec![route(0, Some(0), "/a"), route(1, Some(0), "/b")],
        plugins: vec![plugin(0, "first", &json!({}))],
        consumers: vec![consumer(0)],
        keyauth_credentials: vec![key(0, 0)],
        ..EntitySet::default()
    };
    for route in &mut entities.routes {
        (route.created_at, route.updated_at) = (Some(now), Some(now));
    }
    entities.services[0].created_at = Some(now);
    entities.plugins[0].updated_at = Some(now);
    entities.keyauth_credentials[0].created_at = Some(now);
    entities
}

#[test]
fn what_did_not_change_keeps_its_times() {
    let planner = Planner::new();
    let first = loaded_at(100);
    let before = planner.plan(&first, None);
    let mut second = loaded_at(200);
    keep_times(&mut second, &before, 200);
    assert_eq!(second, first);
}

#[test]
fn a_changed_entity_keeps_its_creation_and_a_new_one_has_its_own() {
    let planner = Planner::new();
    let before = planner.plan(&loaded_at(100), None);
    let mut second = loaded_at(200);
    second.routes[0].strip_path = false;
    second.routes[1].id = tidegate_model::ids::RouteId(crate::kit::id("route", 9));
    keep_times(&mut second, &before, 200);
    let times = |route: usize| (second.routes[route].created_at, second.routes[route].updated_at);
    assert_eq!(times(0), (Some(100), Some(200)));
    assert_eq!(times(1), (Some(200), Some(200)));
}

#[test]
fn times_that_the_file_gives_are_left_alone() {
    let planner = Planner::new();
    let before = planner.plan(&loaded_at(100), None);
    let mut second = loaded_at(200);
    second.routes[0].created_at = Some(7);
    keep_times(&mut second, &before, 200);
    assert_eq!(second.routes[0].created_at, Some(7));
}
