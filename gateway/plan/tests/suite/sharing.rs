//! What an edit leaves alone is the same memory and the same state as before.

use crate::kit::{Planner, consumer, id, key, plugin, route, service, target, upstream};
use serde_json::json;
use std::sync::Arc;
use std::time::Instant;
use tidegate_model::entities::EntitySet;
use tidegate_plan::{Destination, PlannedUpstream, Snapshot};
use tidegate_plugin::exchange::{RouteIndex, ServiceIndex};
use tidegate_upstream::{Asked, Tried};

fn entities() -> EntitySet {
    EntitySet {
        services: (0..3).map(|n| service(n, "127.0.0.1")).collect(),
        routes: (0..9).map(|n| route(n, Some(n / 3), &format!("/p{n}"))).collect(),
        plugins: vec![
            plugin(0, "first", &json!({})),
            plugin(1, "second", &json!({ "route": { "id": id("route", 1) } })),
            plugin(2, "third", &json!({ "service": { "id": id("service", 2) } })),
        ],
        consumers: vec![consumer(0)],
        keyauth_credentials: vec![key(0, 0)],
        ..EntitySet::default()
    }
}

fn shared_routes(one: &Snapshot, other: &Snapshot) -> usize {
    let is_shared = |planned| one.routes.iter().any(|known| Arc::ptr_eq(known, planned));
    other.routes.iter().filter(|planned| is_shared(planned)).count()
}

fn service_of(snapshot: &Snapshot, route: u32) -> (ServiceIndex, *const tidegate_plan::PlannedService) {
    let index = snapshot
        .planned_route(RouteIndex(route))
        .unwrap()
        .service
        .unwrap();
    (index, Arc::as_ptr(snapshot.planned_service(index).unwrap()))
}

#[test]
fn an_edit_of_one_route_leaves_all_others_shared() {
    let planner = Planner::new();
    let mut entities = entities();
    let before = planner.plan(&entities, None);
    entities.routes[4].paths = Some(vec!["/moved".to_owned()]);
    let after = planner.plan(&entities, Some(&before));
    assert_eq!(shared_routes(&before, &after), 8);
    assert_eq!(service_of(&before, 4), service_of(&after, 4));
    assert!(Arc::ptr_eq(&before.identities, &after.identities));
    assert_eq!(after.version, before.version + 1);
}

#[test]
fn a_service_that_goes_leaves_the_routes_of_others_shared() {
    let planner = Planner::new();
    let mut entities = entities();
    let before = planner.plan(&entities, None);
    entities.services.remove(0);
    entities.routes.drain(..3);
    let after = planner.plan(&entities, Some(&before));
    assert_eq!(shared_routes(&before, &after), 6);
}

#[test]
fn a_plugin_on_one_route_leaves_the_chains_of_others_alone() {
    let planner = Planner::new();
    let mut entities = entities();
    let before = planner.plan(&entities, None);
    let scope = json!({ "route": { "id": id("route", 5) } });
    entities.plugins.insert(0, plugin(7, "second", &scope));
    let after = planner.plan(&entities, Some(&before));
    assert_eq!(shared_routes(&before, &after), 8);
    let chain = |snapshot: &Snapshot, route: u32| {
        snapshot
            .chain(snapshot.planned_route(RouteIndex(route)).unwrap().chain)
            .as_ptr()
    };
    assert_eq!(chain(&before, 1), chain(&after, 1));
    assert_ne!(chain(&before, 5), chain(&after, 5));
}

#[test]
fn a_plugin_keeps_its_state_when_only_labels_change() {
    let planner = Planner::new();
    let mut entities = entities();
    let instance = |snapshot: &Snapshot| {
        let chain = snapshot.chain(snapshot.global_chain);
        let instance = snapshot.instance(chain[0].base().unwrap()).unwrap();
        (
            Arc::as_ptr(&instance.plugin).cast::<()>(),
            instance.entity.tags.clone(),
        )
    };
    let before = planner.plan(&entities, None);
    entities.plugins[0].tags = Some(vec!["label".to_owned()]);
    let labelled = planner.plan(&entities, Some(&before));
    assert_eq!(instance(&labelled).1, Some(vec!["label".to_owned()]));
    entities.plugins.insert(0, plugin(9, "second", &json!({})));
    let later = planner.plan(&entities, Some(&labelled));
    assert_eq!(instance(&later), instance(&labelled));
    let state = |snapshot: &Snapshot| {
        let index = snapshot.chain(snapshot.global_chain)[0].base().unwrap();
        Arc::clone(&snapshot.instance(index).unwrap().plugin)
    };
    assert!(Arc::ptr_eq(&state(&before), &state(&later)));
}

#[test]
fn an_upstream_keeps_its_turn_until_its_targets_change() {
    let planner = Planner::new();
    let mut entities = entities();
    entities.services[0] = service(0, "u0");
    entities.upstreams = vec![upstream(0)];
    entities.targets = vec![target(0, 0, "10.0.0.1:80", 1), target(1, 0, "10.0.0.2:80", 1)];
    let upstream_of = |snapshot: &Snapshot| -> Arc<PlannedUpstream> {
        let index = snapshot.planned_route(RouteIndex(0)).unwrap().service.unwrap();
        match &snapshot.planned_service(index).unwrap().destination {
            Destination::Upstream(upstream) => Arc::clone(upstream),
            other => panic!("{other:?}"),
        }
    };
    let before = planner.plan(&entities, None);
    entities.routes[8].paths = Some(vec!["/moved".to_owned()]);
    let after = planner.plan(&entities, Some(&before));
    assert!(Arc::ptr_eq(&upstream_of(&before), &upstream_of(&after)));
    let endpoints = |snapshot: &Snapshot| upstream_of(snapshot).live.endpoints(Instant::now());
    let nothing_tried = Tried::default();
    let pick = upstream_of(&after).live.choose(&Asked {
        value: None,
        tried: &nothing_tried,
        random: 0,
        now: Instant::now(),
    });
    assert_eq!(pick.unwrap().address().to_string(), "10.0.0.1:80");
    entities.targets.pop();
    let smaller = planner.plan(&entities, Some(&after));
    assert_eq!(endpoints(&after).len(), 2);
    let [left] = &endpoints(&smaller)[..] else {
        panic!("{:?}", endpoints(&smaller));
    };
    assert_eq!(
        (left.address.to_string(), left.chosen),
        ("10.0.0.1:80".to_owned(), 1)
    );
    assert_eq!(smaller.upstreams().iter().count(), 1);
}
