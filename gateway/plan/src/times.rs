//! Times that a declarative file does not give.
//!
//! The loader stamps entities without times with the time of loading. Taken as it is, each reload would make every
//! entity a changed one, and let keys with a time to live start over.

use crate::instances::is_same;
use crate::snapshot::Snapshot;
use hashbrown::HashMap;
use std::hash::Hash;
use tidegate_model::entities::{
    BasicAuthCredential, Consumer, EntitySet, KeyAuthCredential, Plugin, Route, Service,
};
use tidegate_model::ids::{ConsumerId, CredentialId, PluginId, RouteId, ServiceId};

/// Gives entities that were stamped with `loaded_at` (Unix seconds) the times that they have in the previous snapshot:
/// the creation time always, the time of the last change when nothing else changed.
pub fn keep_times(entities: &mut EntitySet, previous: &Snapshot, loaded_at: i64) {
    let routes = previous.routes.iter().map(|known| &known.route);
    keep(&mut entities.routes, routes, loaded_at);
    keep(&mut entities.services, previous.services(), loaded_at);
    keep(&mut entities.plugins, previous.plugins(), loaded_at);
    let identities = &previous.identities;
    keep(
        &mut entities.consumers,
        identities.consumers.iter().map(|known| &known.consumer),
        loaded_at,
    );
    keep(
        &mut entities.keyauth_credentials,
        identities.keys.values().map(|known| &known.credential),
        loaded_at,
    );
    keep(
        &mut entities.basicauth_credentials,
        identities.basic.values().map(|known| &known.credential),
        loaded_at,
    );
}

/// An entity with times.
trait Stamped {
    type Id: Eq + Hash;

    fn id(&self) -> Self::Id;
    fn created_at(&mut self) -> &mut Option<i64>;
    /// `None` for entities that only know when they were created.
    fn updated_at(&mut self) -> Option<&mut Option<i64>>;
    fn is_same(&self, other: &Self) -> bool;
    /// Both times.
    fn times(&self) -> (Option<i64>, Option<i64>);
}

fn keep<'p, T: Stamped + 'p>(entities: &mut [T], known: impl Iterator<Item = &'p T>, loaded_at: i64) {
    let known: HashMap<T::Id, &T> = known.map(|known| (known.id(), known)).collect();
    let stamp = Some(loaded_at);
    for entity in entities {
        let Some(before) = known.get(&entity.id()) else {
            continue;
        };
        let (created_at, updated_at) = before.times();
        if *entity.created_at() == stamp {
            *entity.created_at() = created_at;
        }
        match entity.updated_at() {
            Some(own) if *own == stamp => *own = updated_at,
            _ => continue,
        }
        if !entity.is_same(before)
            && let Some(own) = entity.updated_at()
        {
            *own = stamp;
        }
    }
}

macro_rules! stamped {
    ($entity:ident, $id:ty) => {
        impl Stamped for $entity {
            stamped!(@common $id);
            stamped!(@same $entity);
            fn updated_at(&mut self) -> Option<&mut Option<i64>> {
                Some(&mut self.updated_at)
            }
            fn times(&self) -> (Option<i64>, Option<i64>) {
                (self.created_at, self.updated_at)
            }
        }
    };
    ($entity:ident, $id:ty, created only) => {
        impl Stamped for $entity {
            stamped!(@common $id);
            stamped!(@same $entity);
            fn updated_at(&mut self) -> Option<&mut Option<i64>> {
                None
            }
            fn times(&self) -> (Option<i64>, Option<i64>) {
                (self.created_at, None)
            }
        }
    };
    (@same Plugin) => {
        fn is_same(&self, other: &Self) -> bool {
            is_same(self, other)
        }
    };
    (@same $entity:ident) => {
        fn is_same(&self, other: &Self) -> bool {
            self == other
        }
    };
    (@common $id:ty) => {
        type Id = $id;
        fn id(&self) -> $id {
            self.id
        }
        fn created_at(&mut self) -> &mut Option<i64> {
            &mut self.created_at
        }
    };
}

stamped!(Route, RouteId);
stamped!(Service, ServiceId);
stamped!(Plugin, PluginId);
stamped!(Consumer, ConsumerId);
stamped!(KeyAuthCredential, CredentialId, created only);
stamped!(BasicAuthCredential, CredentialId, created only);
