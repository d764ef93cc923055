//! The routes of a router by number, id and position.

use crate::compile::{CompiledRoute, Part, PathKind};
use crate::index::Item;
use foldhash::fast::RandomState;
use hashbrown::HashMap;
use std::sync::Arc;
use uuid::Uuid;

/// Numbers are stable over updates, positions follow the input.
#[derive(Clone, Default)]
pub(crate) struct Routes {
    slots: Vec<Option<Arc<CompiledRoute>>>,
    positions: Vec<u32>,
    by_id: HashMap<Uuid, u32, RandomState>,
    free: Vec<u32>,
}

impl Routes {
    /// Numbers in use and free.
    pub(crate) fn capacity(&self) -> usize {
        self.slots.len()
    }

    /// Routes that are there.
    pub(crate) fn len(&self) -> usize {
        self.by_id.len()
    }

    pub(crate) fn get(&self, slot: u32) -> Option<&CompiledRoute> {
        self.slots.get(slot as usize)?.as_deref()
    }

    pub(crate) fn part(&self, item: &Item) -> Option<&Part> {
        self.get(item.slot)?.parts.get(usize::from(item.part))
    }

    pub(crate) fn path(&self, item: &Item) -> Option<&PathKind> {
        self.part(item)?.paths.get(usize::from(item.path))
    }

    pub(crate) fn position(&self, slot: u32) -> u32 {
        self.positions.get(slot as usize).copied().unwrap_or(u32::MAX)
    }

    pub(crate) fn set_position(&mut self, slot: u32, position: u32) {
        if let Some(own) = self.positions.get_mut(slot as usize) {
            *own = position;
        }
    }

    pub(crate) fn slot_of(&self, id: &Uuid) -> Option<u32> {
        self.by_id.get(id).copied()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &CompiledRoute)> {
        let slots = self.slots.iter().enumerate();
        slots.filter_map(|(slot, route)| Some((slot as u32, route.as_deref()?)))
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        let table = self.slots.capacity() * 12 + self.by_id.capacity() * 25;
        table + self.iter().map(|(_, route)| route.memory_bytes()).sum::<usize>()
    }

    /// Adds a route, or replaces the one with its id. Returns its number.
    pub(crate) fn put(&mut self, route: CompiledRoute, position: u32) -> u32 {
        let known = self.slot_of(&route.id);
        let slot = known.or_else(|| self.free.pop()).unwrap_or_else(|| {
            self.slots.push(None);
            self.positions.push(0);
            (self.slots.len() - 1) as u32
        });
        self.by_id.insert(route.id, slot);
        self.set_position(slot, position);
        if let Some(place) = self.slots.get_mut(slot as usize) {
            *place = Some(Arc::new(route));
        }
        slot
    }

    pub(crate) fn remove(&mut self, slot: u32) {
        let gone = self.slots.get_mut(slot as usize).and_then(Option::take);
        if let Some(route) = gone {
            self.by_id.remove(&route.id);
            self.free.push(slot);
        }
    }
}
