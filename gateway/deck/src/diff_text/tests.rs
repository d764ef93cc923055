use super::{diff_text, go_number};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

fn text(old: Value, new: Value) -> String {
    let (Value::Object(old), Value::Object(new)) = (old, new) else {
        panic!("not objects");
    };
    diff_text(&old, &new)
}

#[test]
fn a_changed_member_is_shown_old_and_new_among_the_others() {
    let shown = text(
        json!({"port": 80, "host": "a", "enabled": true, "connect_timeout": 60000}),
        json!({"port": 81, "host": "a", "enabled": true, "connect_timeout": 60000}),
    );
    let expected = " {\n   \"connect_timeout\": 60000,\n   \"enabled\": true,\n   \"host\": \"a\",\n-  \"port\": 80\n\
                    +  \"port\": 81\n }\n";
    assert_eq!(shown, expected);
}

#[test]
fn members_that_came_stand_behind_those_that_were() {
    let shown = text(
        json!({"b": 1, "c": {"x": null}}),
        json!({"a": [1], "b": 1, "c": {"x": "y"}}),
    );
    let expected = " {\n   \"b\": 1,\n   \"c\": {\n-    \"x\": null\n+    \"x\": \"y\"\n   }\n+  \"a\": [\n+    1\n+  ]\n }\n";
    assert_eq!(shown, expected);
}

/// What comes hides what it pushes away, as in decK's own output.
#[test]
fn elements_that_go_and_come_are_shown_in_their_places() {
    let shown = text(json!({"tags": ["a", "b", "c"]}), json!({"tags": ["a", "c", "d"]}));
    let expected = " {\n   \"tags\": [\n     \"a\",\n-    \"b\",\n+    \"d\"\n   ]\n }\n";
    assert_eq!(shown, expected);
}

#[test]
fn an_element_of_a_list_of_records_is_paired_with_the_likest() {
    let shown = text(
        json!({"filters": [{"name": "one", "enabled": true}]}),
        json!({"filters": [{"name": "one", "enabled": false}]}),
    );
    let expected = " {\n   \"filters\": [\n     {\n-      \"enabled\": true,\n+      \"enabled\": false,\n       \
                    \"name\": \"one\"\n     }\n   ]\n }\n";
    assert_eq!(shown, expected);
}

#[test]
fn numbers_look_as_go_prints_them() {
    for (number, shown) in [
        (0.0, "0"),
        (60_000.0, "60000"),
        (999_999.0, "999999"),
        (1_000_000.0, "1e+06"),
        (2_147_483_646.0, "2.147483646e+09"),
        (0.5, "0.5"),
        (0.00001, "1e-05"),
        (-3.0, "-3"),
    ] {
        assert_eq!(go_number(number), shown);
    }
}

fn tree() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-3..3_i64).prop_map(Value::from),
        "[a-c]{0,3}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map("[a-d]", inner, 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn object() -> impl Strategy<Value = Map<String, Value>> {
    prop::collection::btree_map("[a-d]", tree(), 0..4).prop_map(|members| members.into_iter().collect())
}

proptest! {
    #[test]
    fn equal_objects_show_no_change(object in object()) {
        let shown = diff_text(&object, &object);
        prop_assert!(shown.lines().all(|line| line.starts_with(' ')), "{}", shown);
    }

    #[test]
    fn different_objects_show_a_change_unless_elements_only_moved(old in object(), new in object()) {
        let shown = diff_text(&old, &new);
        let has_array = |object: &Map<String, Value>| Value::Object(object.clone()).to_string().contains('[');
        if old != new && !has_array(&old) && !has_array(&new) {
            prop_assert!(shown.lines().any(|line| !line.starts_with(' ')), "{}", shown);
        }
    }
}
