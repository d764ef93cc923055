//! Entities of one side, found by id and by what else tells them apart.

use crate::kinds::Kind;
use crate::matching;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

/// One entity, with its id among its members and without members that are not set.
#[derive(Debug, Clone)]
pub(crate) struct Entity {
    pub kind: Kind,
    pub id: String,
    pub body: Map<String, Value>,
}

impl Entity {
    pub(crate) fn text(&self, field: &str) -> Option<&str> {
        self.body.get(field)?.as_str()
    }

    /// Id of what a field refers to.
    pub(crate) fn reference(&self, field: &str) -> Option<&str> {
        referred(&self.body, field)
    }
}

/// Id of what a field refers to.
pub(crate) fn referred<'b>(body: &'b Map<String, Value>, field: &str) -> Option<&'b str> {
    body.get(field)?.get("id")?.as_str()
}

#[derive(Debug, Default)]
struct Table {
    rows: Vec<Rc<Entity>>,
    by_id: HashMap<String, usize>,
    by_key: HashMap<String, usize>,
}

/// The entities of one side.
#[derive(Debug, Default)]
pub(crate) struct State {
    tables: BTreeMap<Kind, Table>,
}

impl State {
    /// Files an entity. False: one with its id, or with what tells it apart, is here already; the first stays.
    pub(crate) fn insert(&mut self, entity: Entity) -> bool {
        let keys = matching::keys(entity.kind, &entity.body);
        let is_known = keys.iter().any(|key| self.find(entity.kind, key).is_some());
        !is_known && self.file(entity, keys)
    }

    /// Files an entity that a server has: it knows what may be there twice.
    pub(crate) fn admit(&mut self, entity: Entity) {
        let keys = matching::keys(entity.kind, &entity.body);
        self.file(entity, keys);
    }

    fn file(&mut self, entity: Entity, keys: Vec<String>) -> bool {
        let table = self.tables.entry(entity.kind).or_default();
        if table.by_id.contains_key(&entity.id) {
            return false;
        }
        let at = table.rows.len();
        for key in keys {
            table.by_key.entry(key).or_insert(at);
        }
        table.by_id.insert(entity.id.clone(), at);
        table.rows.push(Rc::new(entity));
        true
    }

    pub(crate) fn rows(&self, kind: Kind) -> &[Rc<Entity>] {
        self.tables.get(&kind).map_or(&[], |table| &table.rows)
    }

    pub(crate) fn get(&self, kind: Kind, id: &str) -> Option<&Rc<Entity>> {
        let table = self.tables.get(&kind)?;
        table.rows.get(*table.by_id.get(id)?)
    }

    /// The entity that a key belongs to.
    pub(crate) fn find(&self, kind: Kind, key: &str) -> Option<&Rc<Entity>> {
        let table = self.tables.get(&kind)?;
        table.rows.get(*table.by_key.get(key)?)
    }

    /// By id, or by one of the names of its kind.
    pub(crate) fn find_named(&self, kind: Kind, name: &str) -> Option<&Rc<Entity>> {
        let keys = matching::keys_of_name(kind, name);
        self.get(kind, name)
            .or_else(|| keys.iter().find_map(|key| self.find(kind, key)))
    }
}
