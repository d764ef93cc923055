use super::{Sides, plan};
use crate::defaults::Schemas;
use crate::event::Op;
use crate::fetch::membership;
use crate::kinds::Kind;
use crate::state::{Entity, State};
use proptest::prelude::*;
use serde_json::{Value, json};

fn entity(kind: Kind, body: Value) -> Entity {
    let Value::Object(body) = body else {
        panic!("not an object");
    };
    Entity {
        kind,
        id: body["id"].as_str().expect("an id").to_owned(),
        body,
    }
}

fn state(entities: &[(Kind, Value)]) -> State {
    let mut state = State::default();
    for (kind, body) in entities {
        assert!(state.insert(entity(*kind, body.clone())), "{body}");
    }
    state
}

fn events(current: &State, target: &State, keeps_others: bool) -> Vec<String> {
    let sides = Sides {
        current,
        target,
        lookups: &State::default(),
        schemas: &Schemas::default(),
        keeps_others,
    };
    plan(&sides)
        .iter()
        .flatten()
        .map(|event| format!("{} {} {}", event.op.verb(), event.kind().row().label, event.label))
        .collect()
}

#[test]
fn events_go_down_the_levels_and_back_up() {
    let old = [
        (Kind::Service, json!({"id": "1", "name": "old"})),
        (
            Kind::Route,
            json!({"id": "2", "name": "old-route", "service": {"id": "1"}}),
        ),
        (Kind::Service, json!({"id": "3", "name": "kept", "port": 80})),
    ];
    let new = [
        (
            Kind::Plugin,
            json!({"id": "6", "name": "cors", "route": {"id": "5"}}),
        ),
        (
            Kind::Route,
            json!({"id": "5", "name": "new-route", "service": {"id": "4"}}),
        ),
        (Kind::Service, json!({"id": "4", "name": "new"})),
        (Kind::Service, json!({"id": "3", "name": "kept", "port": 81})),
        (Kind::Consumer, json!({"id": "7", "username": "alice"})),
    ];
    let (current, target) = (state(&old), state(&new));
    let creates = [
        "creating consumer alice",
        "creating service new",
        "updating service kept",
        "creating route new-route",
        "creating plugin cors for route new-route",
    ];
    let deletes = ["deleting route old-route", "deleting service old"];
    assert_eq!(
        events(&current, &target, false),
        [&creates[..], &deletes[..]].concat()
    );
    assert_eq!(events(&current, &target, true), creates);
}

#[test]
fn a_name_under_another_id_is_deleted_first_with_what_hangs_on_it() {
    let current = state(&[
        (Kind::Service, json!({"id": "1", "name": "s"})),
        (
            Kind::Route,
            json!({"id": "2", "name": "r", "service": {"id": "1"}}),
        ),
        (
            Kind::Plugin,
            json!({"id": "3", "name": "cors", "route": {"id": "2"}}),
        ),
        (Kind::Route, json!({"id": "4", "name": "other"})),
    ]);
    let target = state(&[
        (Kind::Service, json!({"id": "9", "name": "s"})),
        (
            Kind::Route,
            json!({"id": "2", "name": "r", "service": {"id": "9"}}),
        ),
        (Kind::Route, json!({"id": "4", "name": "other"})),
    ]);
    assert_eq!(
        events(&current, &target, false),
        [
            "deleting plugin cors for route r",
            "deleting route r",
            "deleting service s",
            "creating service s",
            "creating route r",
        ]
    );
}

#[test]
fn what_the_server_generated_is_kept() {
    let current = state(&[(
        Kind::JwtAuth,
        json!({"id": "1", "key": "k", "secret": "made", "consumer": {"id": "c"}, "created_at": 5}),
    )]);
    let same = state(&[(
        Kind::JwtAuth,
        json!({"id": "1", "key": "k", "consumer": {"id": "c"}}),
    )]);
    assert_eq!(events(&current, &same, false), Vec::<String>::new());
    let tagged = json!({"id": "1", "key": "k", "consumer": {"id": "c"}, "tags": ["t"]});
    let tagged = state(&[(Kind::JwtAuth, tagged)]);
    let sides = Sides {
        current: &current,
        target: &tagged,
        lookups: &State::default(),
        schemas: &Schemas::default(),
        keeps_others: false,
    };
    let stages = plan(&sides);
    assert_eq!(stages[0][0].op, Op::Update);
    assert_eq!(stages[0][0].entity.body["secret"], "made");
    assert_eq!(stages[0][0].entity.body["created_at"], 5);
}

#[test]
fn members_out_of_sight_stay_in_their_groups() {
    let mut current = state(&[
        (Kind::ConsumerGroup, json!({"id": "g", "name": "gold"})),
        (Kind::Consumer, json!({"id": "seen", "username": "a"})),
    ]);
    current.insert(membership("seen", "g"));
    current.insert(membership("unseen", "g"));
    let target = state(&[
        (Kind::ConsumerGroup, json!({"id": "g", "name": "gold"})),
        (Kind::Consumer, json!({"id": "seen", "username": "a"})),
    ]);
    assert_eq!(
        events(&current, &target, false),
        ["deleting consumer-group-consumer a"]
    );
}

fn services() -> impl Strategy<Value = State> {
    prop::collection::btree_map(0..6_u8, (0..4_u8, 79..82_u16), 0..6).prop_map(|services| {
        let mut state = State::default();
        for (id, (name, port)) in services {
            let body = json!({"id": id.to_string(), "name": format!("s{name}"), "port": port});
            state.insert(entity(Kind::Service, body));
        }
        state
    })
}

proptest! {
    /// Carrying the events out, in order, makes the current state the target; no name is ever there twice.
    #[test]
    fn carried_out_a_plan_leads_to_the_target(current in services(), target in services()) {
        let sides = Sides {
            current: &current,
            target: &target,
            lookups: &State::default(),
            schemas: &Schemas::default(),
            keeps_others: false,
        };
        let mut rows: Vec<Entity> = current.rows(Kind::Service).iter().map(|row| (**row).clone()).collect();
        for event in plan(&sides).iter().flatten() {
            rows.retain(|row| row.id != event.entity.id);
            if event.op != Op::Delete {
                prop_assert!(rows.iter().all(|row| row.body["name"] != event.entity.body["name"]));
                rows.push((*event.entity).clone());
            }
        }
        let sorted = |mut rows: Vec<Value>| { rows.sort_by_key(Value::to_string); rows };
        let bodies = |rows: &[Entity]| sorted(rows.iter().map(|row| Value::Object(row.body.clone())).collect());
        let expected: Vec<Entity> = target.rows(Kind::Service).iter().map(|row| (**row).clone()).collect();
        prop_assert_eq!(bodies(&rows), bodies(&expected));
    }

    #[test]
    fn there_is_nothing_to_do_between_equal_states(current in services()) {
        prop_assert_eq!(events(&current, &current, false), Vec::<String>::new());
    }
}
