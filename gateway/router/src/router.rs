//! The router: built once per configuration, shared by all workers, replaced by a changed copy.

use crate::compile::{CompiledRoute, Patterns, fingerprint};
use crate::facts::RequestFacts;
use crate::index::Index;
use crate::matched::Match;
use crate::routes::Routes;
use crate::search::Search;
use std::hash::{BuildHasher, RandomState};
use tidegate_model::entities::{PathHandling, Route};

/// An update that concerns more than one route in this many files all of them anew.
const FULL_BUILD_SHARE: usize = 8;

/// Which rules order the routes (kong-core C.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Flavor {
    /// Classic fields; ties go to the greater id.
    #[default]
    TraditionalCompatible,
    /// Classic fields with the order of the legacy engine; ties go to the route created first.
    Traditional,
    /// Classic fields and expressions.
    Expressions,
}

impl Flavor {
    /// How paths are joined in this flavour: `v1` exists only in the legacy engine.
    #[must_use]
    pub fn path_handling(self, configured: PathHandling) -> PathHandling {
        match self {
            Self::Traditional => configured,
            Self::TraditionalCompatible | Self::Expressions => PathHandling::V0,
        }
    }
}

/// One route on its way into the router. The position in the list is the order of creation.
#[derive(Clone, Copy, Debug)]
pub struct RouteInput<'a> {
    /// The entity.
    pub route: &'a Route,
}

/// A route that is left out because it cannot be compiled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteFault {
    /// Position in the input.
    pub route: usize,
    /// What is wrong with it.
    pub message: String,
}

/// Finds the route of a request. Immutable; cheap to share in an `Arc`.
pub struct Router {
    pub(crate) flavor: Flavor,
    pub(crate) routes: Routes,
    index: Index,
    /// Seed of the fingerprints, so that nobody can prepare two routes that look the same.
    seed: u64,
}

impl std::fmt::Debug for Router {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Router")
            .field("flavor", &self.flavor)
            .field("routes", &self.routes.len())
            .finish()
    }
}

impl Router {
    /// Compiles routes. Faulty ones are reported and left out, stream routes are left out.
    #[must_use]
    pub fn build(routes: &[RouteInput<'_>], flavor: Flavor) -> (Self, Vec<RouteFault>) {
        let seed = RandomState::new().hash_one(0_u8);
        let empty = Self {
            flavor,
            routes: Routes::default(),
            index: Index::build(&Routes::default()),
            seed,
        };
        empty.update(routes)
    }

    /// The rules that order its routes.
    #[must_use]
    pub fn flavor(&self) -> Flavor {
        self.flavor
    }

    /// The route that takes the request.
    #[must_use]
    pub fn find(&self, request: &RequestFacts<'_>) -> Option<Match> {
        Search::run(&self.routes, &self.index, request)
    }

    /// The router for a changed list of routes: the same as a new one, at a cost that follows the change. `self` stays
    /// as it is. All faults are reported, also those of unchanged routes.
    #[must_use]
    pub fn update(&self, routes: &[RouteInput<'_>]) -> (Self, Vec<RouteFault>) {
        let mut table = self.routes.clone();
        let edit = Edit::between(self, routes, &mut table);
        let index = if edit.is_small(table.len()) && !self.index.is_mostly_waste() {
            self.edited_index(&edit, &mut table)
        } else {
            edit.apply(self.flavor, &mut table, |_, _, _| {}, |_, _, _| {});
            Index::build(&table)
        };
        let mut faults = edit.duplicates;
        faults.extend(table.iter().filter_map(|(slot, route)| {
            let message = route.fault.as_deref()?.to_owned();
            Some(RouteFault {
                route: table.position(slot) as usize,
                message,
            })
        }));
        faults.sort_by_key(|fault| fault.route);
        (
            Self {
                flavor: self.flavor,
                routes: table,
                index,
                seed: self.seed,
            },
            faults,
        )
    }

    /// Bytes of heap that routes and index take, give or take what the allocator adds. Automata of regexes that have
    /// been used are not counted.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        self.routes.memory_bytes() + self.index.memory_bytes()
    }

    fn edited_index(&self, edit: &Edit<'_>, table: &mut Routes) -> Index {
        let mut index = self.index.clone();
        let mut edits = Vec::new();
        let mut inserted = Vec::new();
        edit.apply(
            self.flavor,
            table,
            |slot, route, _| index.remove(slot, route, &mut edits),
            |slot, _, _| inserted.push(slot),
        );
        for slot in inserted {
            if let Some(route) = table.get(slot) {
                index.insert(slot, route, table, &mut edits);
            }
        }
        index.refresh(edits, table);
        index
    }
}

/// The difference between a router and a list of routes.
struct Edit<'a> {
    /// New and changed routes with position and fingerprint.
    fresh: Vec<(&'a Route, u32, u64)>,
    /// Numbers of routes that changed or are gone.
    stale: Vec<u32>,
    /// Numbers of routes that are gone.
    gone: Vec<u32>,
    /// Routes whose id another one has.
    duplicates: Vec<RouteFault>,
    /// Routes that stay have changed places where places matter.
    is_reordered: bool,
}

impl<'a> Edit<'a> {
    /// Compares, and gives the routes that stay their new positions.
    fn between(router: &Router, routes: &[RouteInput<'a>], table: &mut Routes) -> Self {
        let mut edit = Self {
            fresh: Vec::new(),
            stale: Vec::new(),
            gone: Vec::new(),
            duplicates: Vec::new(),
            is_reordered: false,
        };
        let mut claimed = vec![false; table.capacity()];
        let mut new_ids = hashbrown::HashSet::new();
        let mut last = None;
        for (position, RouteInput { route }) in routes.iter().enumerate() {
            let number = u32::try_from(position).unwrap_or(u32::MAX);
            let print = fingerprint(route, router.seed);
            let slot = router.routes.slot_of(&route.id.0);
            let is_free = match slot.and_then(|slot| claimed.get_mut(slot as usize)) {
                Some(claim) => !std::mem::replace(claim, true),
                None => new_ids.insert(route.id.0),
            };
            if !is_free {
                let message = format!("another route has the same id {}", route.id);
                edit.duplicates.push(RouteFault {
                    route: position,
                    message,
                });
                continue;
            }
            let unchanged = slot.filter(|slot| {
                router
                    .routes
                    .get(*slot)
                    .is_some_and(|own| own.fingerprint == print)
            });
            match unchanged {
                Some(slot) => {
                    let before = Some(router.routes.position(slot));
                    edit.is_reordered |= router.flavor == Flavor::Traditional && before < last;
                    last = before;
                    table.set_position(slot, number);
                }
                None => {
                    edit.stale.extend(slot);
                    edit.fresh.push((route, number, print));
                }
            }
        }
        let known = router.routes.iter().map(|(slot, _)| slot);
        edit.gone = known
            .filter(|slot| !claimed.get(*slot as usize).copied().unwrap_or(false))
            .collect();
        edit.stale.extend_from_slice(&edit.gone);
        edit
    }

    fn is_small(&self, routes: usize) -> bool {
        !self.is_reordered && self.stale.len() + self.fresh.len() <= routes / FULL_BUILD_SHARE
    }

    /// Brings the table up to date: first everything stale goes, then everything fresh comes.
    fn apply(
        &self,
        flavor: Flavor,
        table: &mut Routes,
        mut on_remove: impl FnMut(u32, &CompiledRoute, &Routes),
        mut on_insert: impl FnMut(u32, u32, &Routes),
    ) {
        for slot in &self.stale {
            if let Some(route) = table.get(*slot) {
                on_remove(*slot, route, table);
            }
        }
        for slot in &self.gone {
            table.remove(*slot);
        }
        let mut patterns = Patterns::new();
        for (route, position, print) in &self.fresh {
            let slot = table.put(
                CompiledRoute::new(route, *print, flavor, &mut patterns),
                *position,
            );
            on_insert(slot, *position, table);
        }
    }
}
