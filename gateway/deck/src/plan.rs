//! The difference of two states as events, in stages: within one, the order does not matter.
//!
//! First goes what stands in the way of something new, then everything is created and updated from the top down, then
//! deleted from the bottom up. Every step is one pass over a state.

use crate::compare::{TIMES, is_same_entity};
use crate::defaults::Schemas;
use crate::event::{Change, Event, Op};
use crate::kinds::Kind;
use crate::label::label;
use crate::matching;
use crate::state::{Entity, State};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::rc::Rc;

/// What a plan is made of.
pub(crate) struct Sides<'s> {
    pub current: &'s State,
    pub target: &'s State,
    /// Entities that are left alone.
    pub lookups: &'s State,
    pub schemas: &'s Schemas,
    /// Entities that the target lacks stay.
    pub keeps_others: bool,
}

/// Events of one kind.
pub(crate) type Stage = Vec<Event>;

type Identity<'s> = (Kind, &'s str);

pub(crate) fn plan(sides: &Sides<'_>) -> Vec<Stage> {
    let mut order = Kind::ALL;
    order.sort_by_key(|kind| kind.row().level);
    let in_the_way = if sides.keeps_others {
        HashSet::new()
    } else {
        in_the_way(sides)
    };
    let deletes = |chosen: &dyn Fn(&Entity) -> bool| {
        let stages = order.iter().rev().map(|kind| {
            let rows = sides.current.rows(*kind).iter();
            rows.filter(|row| chosen(row))
                .map(|row| delete(sides, row))
                .collect::<Stage>()
        });
        stages.collect::<Vec<_>>()
    };
    let mut stages = deletes(&|row| in_the_way.contains(&(row.kind, row.id.as_str())));
    for kind in order {
        let rows = sides.target.rows(kind).iter();
        stages.push(
            rows.filter_map(|row| create_or_update(sides, row, &in_the_way))
                .collect(),
        );
    }
    if !sides.keeps_others {
        stages.extend(deletes(&|row| {
            !in_the_way.contains(&(row.kind, row.id.as_str())) && is_superfluous(sides, row)
        }));
    }
    stages.retain(|stage| !stage.is_empty());
    stages
}

fn is_superfluous(sides: &Sides<'_>, row: &Entity) -> bool {
    // Whether a consumer is in a group is the consumer's affair as well: one out of sight keeps its groups.
    let is_in_sight = row.kind != Kind::Membership
        || row
            .reference("consumer")
            .is_some_and(|consumer| sides.current.get(Kind::Consumer, consumer).is_some());
    is_in_sight
        && sides.target.get(row.kind, &row.id).is_none()
        && sides.lookups.get(row.kind, &row.id).is_none()
}

fn create_or_update(
    sides: &Sides<'_>,
    row: &Rc<Entity>,
    in_the_way: &HashSet<Identity<'_>>,
) -> Option<Event> {
    let labelled = || label(row, &[sides.target, sides.current, sides.lookups]);
    let known = sides
        .current
        .get(row.kind, &row.id)
        .filter(|_| !in_the_way.contains(&(row.kind, row.id.as_str())));
    let Some(known) = known else {
        return Some(Event {
            op: Op::Create,
            label: labelled(),
            entity: Rc::clone(row),
            change: None,
        });
    };
    if row.kind == Kind::Membership {
        return None;
    }
    let mut old = known.body.clone();
    let mut written = (**row).clone();
    carry_over(known, &mut written);
    let mut new = written.body.clone();
    sides.schemas.align(&mut old, &mut new);
    sides.schemas.fill(row.kind, &mut new);
    crate::compare::drop_unset(&mut new);
    sides.schemas.align(&mut old, &mut new);
    if is_same_entity(row.kind, &old, &new) {
        return None;
    }
    for time in TIMES {
        old.shift_remove(time);
        new.shift_remove(time);
    }
    if let Some(created) = known.body.get("created_at") {
        written
            .body
            .entry("created_at")
            .or_insert_with(|| created.clone());
    }
    Some(Event {
        op: Op::Update,
        label: labelled(),
        entity: Rc::new(written),
        change: Some(Change { old, new }),
    })
}

/// What the server made by itself stays as it is when the files do not tell.
fn carry_over(known: &Entity, written: &mut Entity) {
    for field in known.kind.row().generated {
        if let (None, Some(made)) = (written.body.get(*field), known.body.get(*field)) {
            written.body.insert((*field).to_owned(), made.clone());
        }
    }
}

fn delete(sides: &Sides<'_>, row: &Rc<Entity>) -> Event {
    Event {
        op: Op::Delete,
        label: label(row, &[sides.current, sides.lookups]),
        entity: Rc::clone(row),
        change: None,
    }
}

/// Entities that have a name, or whatever else can be there once, that another one is to have; and everything that hangs
/// on them.
fn in_the_way<'s>(sides: &Sides<'s>) -> HashSet<Identity<'s>> {
    let mut found: Vec<&Rc<Entity>> = Vec::new();
    for kind in Kind::ALL {
        for row in sides.target.rows(kind) {
            let holders = matching::keys(kind, &row.body);
            let holders = holders.iter().filter_map(|key| sides.current.find(kind, key));
            found.extend(holders.filter(|holder| holder.id != row.id));
        }
    }
    if found.is_empty() {
        return HashSet::new();
    }
    let dependants = dependants(sides.current);
    let mut seen = HashSet::new();
    while let Some(row) = found.pop() {
        if seen.insert((row.kind, row.id.as_str())) {
            found.extend(dependants.get(&(row.kind, row.id.as_str())).into_iter().flatten());
        }
    }
    seen
}

fn dependants(state: &State) -> HashMap<Identity<'_>, Vec<&Rc<Entity>>> {
    let mut dependants: HashMap<Identity<'_>, Vec<&Rc<Entity>>> = HashMap::new();
    let references: BTreeMap<Kind, _> = Kind::ALL
        .into_iter()
        .map(|kind| (kind, kind.references()))
        .collect();
    for (kind, references) in references {
        for row in state.rows(kind) {
            for (field, target) in &references {
                if let Some(id) = row
                    .body
                    .get(*field)
                    .and_then(|reference| reference.get("id")?.as_str())
                {
                    dependants.entry((*target, id)).or_default().push(row);
                }
            }
        }
    }
    dependants
}

#[cfg(test)]
mod tests;
