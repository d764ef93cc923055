//! Random transactions on the catalog and on a plain list of records with the rules written out by hand.

use super::{Catalog, Query, TagFilter};
use crate::clock::Clock;
use crate::conflict::Conflict;
use crate::row::Row;
use crate::transaction::Transaction;
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use uuid::Uuid;

mod expiry;

type Record = Map<String, Value>;
/// Collection, id, record.
type Model = BTreeMap<(&'static str, Uuid), Record>;

/// One collection by hand: name, unique keys, references with what they point to and whether they cascade.
struct Rules {
    name: &'static str,
    unique: &'static [&'static [&'static str]],
    references: &'static [(&'static str, &'static str, bool)],
}

const fn rules(
    name: &'static str,
    unique: &'static [&'static [&'static str]],
    references: &'static [(&'static str, &'static str, bool)],
) -> Rules {
    Rules {
        name,
        unique,
        references,
    }
}

const RULES: &[Rules] = &[
    rules("ca_certificates", &[&["cert_digest"]], &[]),
    rules("certificates", &[], &[]),
    rules("snis", &[&["name"]], &[("certificate", "certificates", true)]),
    rules(
        "services",
        &[&["name"]],
        &[("client_certificate", "certificates", false)],
    ),
    rules("routes", &[&["name"]], &[("service", "services", false)]),
    rules("consumers", &[&["username"], &["custom_id"]], &[]),
    rules("consumer_groups", &[&["name"]], &[]),
    rules(
        "plugins",
        &[
            &["instance_name"],
            &["name", "route", "service", "consumer", "consumer_group"],
        ],
        &[
            ("service", "services", true),
            ("route", "routes", true),
            ("consumer", "consumers", true),
            ("consumer_group", "consumer_groups", true),
        ],
    ),
    rules(
        "acls",
        &[&["consumer", "group"]],
        &[("consumer", "consumers", true)],
    ),
    rules(
        "consumer_group_consumers",
        &[&["consumer", "consumer_group"]],
        &[
            ("consumer", "consumers", true),
            ("consumer_group", "consumer_groups", true),
        ],
    ),
    rules(
        "filter_chains",
        &[&["name"], &["route"], &["service"]],
        &[("route", "routes", true), ("service", "services", true)],
    ),
];

#[derive(Debug, Clone)]
enum Step {
    Insert(usize, Seed),
    Update(usize, Seed),
    Upsert(usize, Seed),
    Delete(usize, u8),
    Clear,
}

/// What a record is made of: small numbers, so that things collide.
#[derive(Debug, Clone)]
struct Seed {
    id: u8,
    texts: [u8; 3],
    references: [u8; 4],
    tags: u8,
}

fn id(collection: usize, number: u8) -> Uuid {
    Uuid::from_u128(((collection as u128) << 64) | u128::from(number))
}

fn record(rules: usize, seed: &Seed) -> Record {
    let position = |name: &str| RULES.iter().position(|rules| rules.name == name).unwrap();
    let mut record = Record::new();
    record.insert("id".into(), json!(id(rules, seed.id)));
    for (number, (field, target, _)) in RULES[rules].references.iter().enumerate() {
        let reference = match seed.references[number] {
            0 | 1 => Value::Null,
            number => json!({"id": id(position(target), number - 2)}),
        };
        record.insert((*field).into(), reference);
    }
    let texts = RULES[rules].unique.iter().copied().flatten();
    let texts = texts.filter(|field| !RULES[rules].references.iter().any(|(name, ..)| name == *field));
    for (number, field) in texts.enumerate() {
        let text = match seed.texts[number] {
            0 => Value::Null,
            number => json!(format!("text {number}")),
        };
        record.insert((*field).into(), text);
    }
    if RULES[rules].name == "services" && seed.texts[2] > 1 {
        let trusted = [id(0, seed.texts[2]), id(0, 0)];
        record.insert("ca_certificates".into(), json!(trusted));
    }
    let tags: Vec<String> = (0..3)
        .filter(|bit| seed.tags >> bit & 1 == 1)
        .map(|bit| format!("tag {bit}"))
        .collect();
    record.insert(
        "tags".into(),
        if tags.is_empty() { Value::Null } else { json!(tags) },
    );
    record
}

fn points_to(record: &Record, field: &str, id: Uuid) -> bool {
    record.get(field).and_then(|reference| reference.get("id")) == Some(&json!(id))
}

/// Whether the model takes the record; kinds of conflict by name.
fn write(model: &mut Model, rules: usize, record: &Record, may_be: Option<bool>) -> Result<(), &'static str> {
    let Rules {
        name,
        unique,
        references,
    } = &RULES[rules];
    let own: Uuid = serde_json::from_value(record["id"].clone()).unwrap();
    match (may_be, model.contains_key(&(*name, own))) {
        (Some(false), true) => return Err("primary key"),
        (Some(true), false) => return Err("not found"),
        _ => {}
    }
    for fields in *unique {
        let values = |record: &Record| -> Vec<Value> {
            fields
                .iter()
                .map(|field| record.get(*field).cloned().unwrap_or_default())
                .collect()
        };
        let is_taken = model.iter().any(|((collection, id), other)| {
            collection == name && *id != own && values(other) == values(record)
        });
        if is_taken && !values(record)[0].is_null() {
            return Err("unique");
        }
    }
    for (field, target, _) in *references {
        let to = &record[*field];
        if !to.is_null()
            && !model
                .keys()
                .any(|(collection, id)| collection == target && to["id"] == json!(id))
        {
            return Err("missing reference");
        }
    }
    model.insert((*name, own), record.clone());
    Ok(())
}

fn delete(model: &mut Model, collection: &'static str, gone: Uuid) -> Result<bool, &'static str> {
    if !model.contains_key(&(collection, gone)) {
        return Ok(false);
    }
    let mut cascade = Vec::new();
    for ((other, other_id), record) in model.iter() {
        let rules = RULES.iter().find(|rules| rules.name == *other).unwrap();
        for (field, _, does_cascade) in rules
            .references
            .iter()
            .filter(|(_, target, _)| *target == collection)
        {
            if points_to(record, field, gone) {
                if !does_cascade {
                    return Err("referenced");
                }
                cascade.push((*other, *other_id));
            }
        }
        let trusted = record.get("ca_certificates").and_then(Value::as_array);
        if collection == "ca_certificates" && trusted.is_some_and(|ids| ids.contains(&json!(gone))) {
            return Err("in use");
        }
    }
    for (collection, id) in cascade {
        delete(model, collection, id)?;
    }
    model.remove(&(collection, gone));
    Ok(true)
}

fn kind(conflict: &Conflict) -> &'static str {
    match conflict {
        Conflict::PrimaryKey { .. } => "primary key",
        Conflict::Unique { .. } => "unique",
        Conflict::MissingReference { .. } => "missing reference",
        Conflict::Referenced { .. } => "referenced",
        Conflict::InUse { .. } => "in use",
        Conflict::NotFound { .. } => "not found",
        Conflict::Malformed { .. } => "malformed",
    }
}

fn apply(step: &Step, transaction: &mut Transaction<'_>, model: &mut Model) -> Result<(), TestCaseError> {
    let outcome =
        |written: Result<Arc<Row>, Conflict>| written.map(|_| ()).map_err(|conflict| kind(&conflict));
    match step {
        Step::Insert(rules, seed) => {
            let record = record(*rules, seed);
            let ours = outcome(transaction.insert(RULES[*rules].name, &record));
            prop_assert_eq!(ours, write(model, *rules, &record, Some(false)));
        }
        Step::Update(rules, seed) => {
            let record = record(*rules, seed);
            let ours = outcome(transaction.update(RULES[*rules].name, &record));
            prop_assert_eq!(ours, write(model, *rules, &record, Some(true)));
        }
        Step::Upsert(rules, seed) => {
            let record = record(*rules, seed);
            let ours = outcome(transaction.upsert(RULES[*rules].name, &record));
            prop_assert_eq!(ours, write(model, *rules, &record, None));
        }
        Step::Delete(rules, number) => {
            let (name, id) = (RULES[*rules].name, id(*rules, *number));
            let ours = transaction.delete(name, id).map_err(|conflict| kind(&conflict));
            prop_assert_eq!(ours, delete(model, name, id));
        }
        Step::Clear => {
            transaction.clear();
            model.clear();
        }
    }
    Ok(())
}

/// Every question has the same answer from both.
fn agree(catalog: &Catalog, model: &Model) -> Result<(), TestCaseError> {
    for (number, rules) in RULES.iter().enumerate() {
        let all: Vec<(Uuid, &Record)> = model
            .iter()
            .filter(|((collection, _), _)| *collection == rules.name)
            .map(|((_, id), record)| (*id, record))
            .collect();
        let ids = |keep: &dyn Fn(&Record) -> bool| -> Vec<Uuid> {
            all.iter()
                .filter(|(_, record)| keep(record))
                .map(|(id, _)| *id)
                .collect()
        };
        prop_assert_eq!(catalog.len(rules.name), all.len());
        for (id, record) in &all {
            let row = catalog.get(rules.name, *id).expect("a row of the model");
            prop_assert_eq!(&row.value(), *record);
            for fields in rules.unique.iter().filter(|fields| !record[fields[0]].is_null()) {
                let values: Vec<(&str, &Value)> = fields
                    .iter()
                    .rev()
                    .map(|field| (*field, &record[*field]))
                    .collect();
                prop_assert_eq!(
                    catalog.find_together(rules.name, &values).map(|row| row.id()),
                    Some(*id)
                );
            }
        }
        for (field, target, _) in rules.references {
            let position = RULES.iter().position(|rules| rules.name == *target).unwrap();
            for parent in (0..4).map(|number| id(position, number)) {
                let children: Vec<Uuid> = catalog
                    .children(rules.name, field, parent)
                    .map(|row| row.id())
                    .collect();
                prop_assert_eq!(children, ids(&|record| points_to(record, field, parent)));
                let pages = paged(catalog, rules.name, Some((*field, parent)), None);
                prop_assert_eq!(pages, ids(&|record| points_to(record, field, parent)));
            }
        }
        let has = |record: &Record, tag: &str| {
            record["tags"]
                .as_array()
                .is_some_and(|tags| tags.contains(&json!(tag)))
        };
        let tags = || vec!["tag 0".to_owned(), "tag 2".to_owned()];
        let both = paged(catalog, rules.name, None, Some(&TagFilter::All(tags())));
        prop_assert_eq!(both, ids(&|record| has(record, "tag 0") && has(record, "tag 2")));
        let either = paged(catalog, rules.name, None, Some(&TagFilter::Any(tags())));
        prop_assert_eq!(
            either,
            ids(&|record| has(record, "tag 0") || has(record, "tag 2"))
        );
        prop_assert_eq!(
            catalog
                .find(rules.name, "name", "no such text")
                .map(|row| row.id()),
            None
        );
        prop_assert!(catalog.get(rules.name, id(number, 9)).is_none());
    }
    Ok(())
}

/// The ids of a list, read in pages of two.
fn paged(
    catalog: &Catalog,
    collection: &str,
    of: Option<(&str, Uuid)>,
    tags: Option<&TagFilter>,
) -> Vec<Uuid> {
    let (mut ids, mut after) = (Vec::new(), None);
    loop {
        let page = catalog.page(&Query {
            collection,
            of,
            tags: tags.cloned(),
            after,
            size: 2,
        });
        ids.extend(page.rows.iter().map(|row| row.id()));
        after = page.next;
        if after.is_none() {
            return ids;
        }
        assert_eq!(page.rows.len(), 2, "a page with a successor is full");
    }
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let seed = (
        0..4_u8,
        [0..3_u8, 0..3, 0..4],
        [0..6_u8, 0..6, 0..6, 0..6],
        0..8_u8,
    );
    let seed = seed.prop_map(|(id, texts, references, tags)| Seed {
        id,
        texts,
        references,
        tags,
    });
    let step = (0..RULES.len(), seed, 0..400_u16).prop_map(|(rules, seed, kind)| match kind {
        0..130 => Step::Insert(rules, seed),
        130..180 => Step::Update(rules, seed),
        180..270 => Step::Upsert(rules, seed),
        270..399 => Step::Delete(rules, seed.id),
        _ => Step::Clear,
    });
    prop::collection::vec(step, 1..30)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    #[test]
    fn it_answers_as_a_plain_list_with_the_rules_by_hand(
        transactions in prop::collection::vec((steps(), any::<bool>()), 1..12),
    ) {
        let mut catalog = Catalog::empty(Clock::default());
        let mut model = Model::new();
        for (steps, is_kept) in transactions {
            let (catalog_before, model_before) = (catalog.clone(), model.clone());
            let mut log = Vec::new();
            for step in &steps {
                apply(step, &mut Transaction::new(&mut catalog, &mut log), &mut model)?;
            }
            // The log says all there is to know: who follows it has the same rows.
            let mut follower = catalog_before.clone();
            log.iter().for_each(|change| follower.apply(change));
            agree(&follower, &model)?;
            prop_assert!(follower.difference(&catalog).is_empty());
            agree(&catalog_before, &model_before)?;
            if !is_kept {
                (catalog, model) = (catalog_before, model_before);
            }
            agree(&catalog, &model)?;
        }
    }
}
