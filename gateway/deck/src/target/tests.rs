use super::{Surroundings, build, drafts};
use crate::content::{Variables, read};
use crate::defaults::Schemas;
use crate::fetch::membership;
use crate::kinds::Kind;
use crate::state::{Entity, State};
use serde_json::{Map, Value, json};

fn target(text: &str, current: &State, tags: &[&str]) -> Result<State, String> {
    let mut content =
        read(&["-".to_owned()], &mut text.as_bytes(), Variables::Kept).map_err(|error| error.to_string())?;
    let drafts = drafts(&mut content).map_err(|error| error.to_string())?;
    let tags: Vec<String> = tags.iter().map(|tag| (*tag).to_owned()).collect();
    let surroundings = Surroundings {
        current,
        lookups: &[],
        schemas: &Schemas::default(),
        info: &content.info,
        tags: &tags,
    };
    build(drafts, &surroundings).map_err(|error| error.to_string())
}

fn service(id: &str, name: &str) -> State {
    let mut state = State::default();
    let body = Map::from_iter([("id".to_owned(), json!(id)), ("name".to_owned(), json!(name))]);
    state.insert(Entity {
        kind: Kind::Service,
        id: id.to_owned(),
        body,
    });
    state
}

#[test]
fn nested_entities_point_to_their_parents_and_carry_the_tags() {
    let text = "_info: {defaults: {service: {retries: 1}}}\n_plugin_configs: {shared: {a: 1, b: 2}}\n\
                services:\n- name: s\n  url: http://h\n  tags: [own]\n  routes:\n  - name: r\n    plugins:\n    \
                - {name: cors, _config: shared, config: {b: 3}}\n";
    let state = target(text, &State::default(), &["team"]).expect("a good file");
    let (service, route, plugin) = (
        &state.rows(Kind::Service)[0],
        &state.rows(Kind::Route)[0],
        &state.rows(Kind::Plugin)[0],
    );
    assert_eq!(route.reference("service"), Some(service.id.as_str()));
    assert_eq!(plugin.reference("route"), Some(route.id.as_str()));
    assert_eq!(plugin.body["config"], json!({"a": 1, "b": 3}));
    assert_eq!(service.body["tags"], json!(["own", "team"]));
    assert_eq!(plugin.body["tags"], json!(["team"]));
    assert_eq!(service.body["retries"], 1);
}

#[test]
fn entities_keep_the_ids_that_the_server_has() {
    let current = service("11111111-1111-4111-8111-111111111111", "s");
    let state = target(
        "services: [{name: s}, {name: t}, {name: u, id: own}]",
        &current,
        &[],
    )
    .expect("a good file");
    assert_eq!(
        state.rows(Kind::Service)[0].id,
        "11111111-1111-4111-8111-111111111111"
    );
    assert!(uuid::Uuid::parse_str(&state.rows(Kind::Service)[1].id).is_ok());
    assert_eq!(state.rows(Kind::Service)[2].id, "own");
}

#[test]
fn memberships_may_be_told_by_either_side_and_by_both() {
    let text = "consumers:\n- username: alice\n  groups: [{name: gold}]\n- custom_id: '7'\nconsumer_groups:\n\
                - name: gold\n  consumers: [{username: alice}, {custom_id: '7'}]\n";
    let state = target(text, &State::default(), &["t"]).expect("a good file");
    let group = &state.rows(Kind::ConsumerGroup)[0].id;
    let expected: Vec<Value> = state
        .rows(Kind::Consumer)
        .iter()
        .map(|consumer| Value::Object(membership(&consumer.id, group).body))
        .collect();
    let found: Vec<Value> = state
        .rows(Kind::Membership)
        .iter()
        .map(|member| Value::Object(member.body.clone()))
        .collect();
    assert_eq!(found, expected);
}

#[test]
fn what_is_wrong_among_entities_is_named() {
    for (text, expected) in [
        (
            "services: [{name: a}, {name: a}]",
            "inserting service into state: inserting service a: entity already exists",
        ),
        (
            "plugins: [{name: cors, service: b}]",
            "building state: service b for plugin cors: entity not found",
        ),
        (
            "routes: [{name: r, service: {name: b}}]",
            "building state: service b for route r: entity not found",
        ),
        (
            "consumers: [{username: a, groups: [{name: g}]}]",
            "building state: consumer-group g for consumer-group-consumer : entity not found",
        ),
        (
            "plugins: [{name: cors, _config: x}]",
            "building state: _plugin_config \"x\" not found",
        ),
    ] {
        assert_eq!(
            target(text, &State::default(), &[]).err().as_deref(),
            Some(expected),
            "{text}"
        );
    }
}

#[test]
fn a_certificate_that_is_kept_elsewhere_is_taken_by_its_id() {
    let id = "22222222-2222-4222-8222-222222222222";
    let text = format!("services: [{{name: a, host: h, client_certificate: {id}}}]");
    let state = target(&text, &State::default(), &[]).expect("a good file");
    assert_eq!(
        state.rows(Kind::Service)[0].reference("client_certificate"),
        Some(id)
    );
}
