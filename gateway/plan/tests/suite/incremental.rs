//! A plan on top of another one answers like a plan from nothing, whatever was edited.

use crate::kit::{KINDS, Planner, answer, consumer, id, key, plugin, route, service, target, upstream};
use fastrand::Rng;
use serde_json::{Value, json};
use tidegate_model::entities::EntitySet;
use tidegate_model::ids::{ConsumerGroupId, ConsumerId};
use tidegate_plan::Snapshot;

/// Ids of one collection that the edits draw from: few, so that they meet.
const NUMBERS: usize = 12;
const ROUNDS: usize = 400;

#[test]
fn a_plan_on_top_of_others_answers_like_a_plan_from_nothing() {
    for seed in 0..3 {
        let mut random = Rng::with_seed(seed);
        let planner = Planner::new();
        let mut entities = EntitySet::default();
        let mut snapshot = planner.plan(&entities, None);
        for round in 0..ROUNDS {
            for _ in 0..random.usize(1..4) {
                edit(&mut entities, &mut random);
            }
            mend(&mut entities);
            snapshot = planner.plan(&entities, Some(&snapshot));
            let fresh = planner.plan(&entities, None);
            assert_same(&snapshot, &fresh, &format!("seed {seed}, round {round}"));
        }
    }
}

fn assert_same(one: &Snapshot, other: &Snapshot, when: &str) {
    assert_eq!(one.has_rewrite, other.has_rewrite, "{when}");
    for number in 0..=NUMBERS {
        let path = format!("/p{number}/x");
        assert_eq!(answer(one, &path), answer(other, &path), "{path}, {when}");
        let owner = |snapshot: &Snapshot| {
            let entry = snapshot.identities.key(&format!("k{number}"))?;
            let owner = snapshot.identities.consumer(entry.consumer)?;
            Some((
                owner.consumer.clone(),
                owner.acl_groups.clone(),
                owner.groups.clone(),
            ))
        };
        assert_eq!(owner(one), owner(other), "key {number}, {when}");
    }
    let ids =
        |snapshot: &Snapshot| -> Vec<_> { snapshot.routes.iter().map(|planned| planned.route.id).collect() };
    assert_eq!(ids(one), ids(other), "{when}");
}

/// Replaces, adds or removes the entity with a number.
fn put<T>(list: &mut Vec<T>, is_it: impl Fn(&T) -> bool, random: &mut Rng, new: T) {
    let place = list.iter().position(is_it);
    match (place, random.u8(..4)) {
        (Some(place), 0) => drop(list.remove(place)),
        (Some(place), _) => list[place] = new,
        (None, _) => {
            let place = random.usize(..=list.len());
            list.insert(place, new);
        }
    }
}

fn edit(entities: &mut EntitySet, random: &mut Rng) {
    let number = random.usize(..NUMBERS);
    let other = random.usize(..NUMBERS);
    match random.u8(..8) {
        0 | 1 => {
            let mut new = route(
                number,
                Some(other % 4).filter(|_| random.u8(..8) > 0),
                &format!("/p{other}"),
            );
            if random.u8(..10) == 0 {
                new.protocols = vec![tidegate_model::entities::Protocol::Tcp];
            }
            put(&mut entities.routes, |own| own.id == new.id, random, new.clone());
        }
        2 => {
            let host = ["127.0.0.1", "a.test", "u0", "u1"][random.usize(..4)];
            let mut new = service(number % 4, host);
            new.enabled = random.u8(..4) > 0;
            put(
                &mut entities.services,
                |own| own.id == new.id,
                random,
                new.clone(),
            );
        }
        3 | 4 => {
            let new = plugin(number, KINDS[random.usize(..3)], &scope(random, other));
            put(&mut entities.plugins, |own| own.id == new.id, random, new.clone());
        }
        5 => {
            let new = consumer(number % 3);
            put(
                &mut entities.consumers,
                |own| own.id == new.id,
                random,
                new.clone(),
            );
        }
        6 => {
            let new = key(number, other % 3);
            put(
                &mut entities.keyauth_credentials,
                |own| own.id == new.id,
                random,
                new.clone(),
            );
            let member = (
                ConsumerGroupId(id("group", number % 2)),
                ConsumerId(id("consumer", other % 3)),
            );
            put(
                &mut entities.consumer_group_members,
                |own| *own == member,
                random,
                member,
            );
        }
        _ => {
            let new = upstream(number % 2);
            put(
                &mut entities.upstreams,
                |own| own.id == new.id,
                random,
                new.clone(),
            );
            let new = target(number, other % 2, &format!("10.0.0.{other}:80"), random.u16(..3));
            put(&mut entities.targets, |own| own.id == new.id, random, new.clone());
        }
    }
}

/// Some scope, some configuration, some order.
fn scope(random: &mut Rng, number: usize) -> Value {
    let mut fields = json!({
        "config": { "edition": random.u8(..3) },
        "enabled": random.u8(..6) > 0,
        "tags": [format!("t{}", random.u8(..2))],
    });
    if random.bool() {
        fields["route"] = json!({ "id": id("route", number) });
    }
    if random.bool() {
        fields["service"] = json!({ "id": id("service", number % 4) });
    }
    match random.u8(..4) {
        0 => fields["consumer"] = json!({ "id": id("consumer", number % 3) }),
        1 => fields["consumer_group"] = json!({ "id": id("group", number % 2) }),
        _ => {}
    }
    if random.u8(..4) == 0 {
        fields["ordering"] = json!({ "before": { "access": [KINDS[random.usize(..3)]] } });
    }
    fields
}

/// Takes out what would be refused before it comes to a plan.
fn mend(entities: &mut EntitySet) {
    let services: Vec<_> = entities.services.iter().map(|own| own.id).collect();
    entities
        .routes
        .retain(|own| own.service.is_none_or(|service| services.contains(&service.id)));
    let upstreams: Vec<_> = entities.upstreams.iter().map(|own| own.id).collect();
    entities
        .targets
        .retain(|own| upstreams.contains(&own.upstream.id));
    // One of each kind in a scope.
    let mut scopes = std::collections::HashSet::new();
    entities.plugins.retain(|own| {
        let scope = (own.route, own.service, own.consumer, own.consumer_group);
        scopes.insert(format!("{} {scope:?}", own.name))
    });
    let consumers: Vec<_> = entities.consumers.iter().map(|own| own.id).collect();
    entities
        .keyauth_credentials
        .retain(|own| consumers.contains(&own.consumer.id));
}
