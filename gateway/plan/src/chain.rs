//! Which instances run on a request: one of each kind, the most specific scope first.

use crate::instances::{ChangedScopes, Instance, InstanceIndex, Instances};
use crate::order::{apply_ordering, by_priority};
use crate::slots::{Renewal, Slots};
use hashbrown::HashMap;
use std::sync::Arc;
use tidegate_model::ids::{ConsumerGroupId, ConsumerId, RouteId, ServiceId};
use tidegate_plugin::identity::ConsumerEntry;
use uuid::Uuid;

/// Number of a chain in its snapshot, which it keeps in the next ones; routes with the same plugins share one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ChainIndex(pub u32);

/// What may run on a route.
#[derive(Debug)]
struct Chain {
    /// The kinds in order: one entry per kind.
    entries: Box<[ChainEntry]>,
    /// Filters in order: all of them run.
    filters: Box<[InstanceIndex]>,
    /// There are some, or some consumers have some.
    has_filters: bool,
}

/// The route and the service that have plugins of their own.
type ChainKey = (Option<RouteId>, Option<ServiceId>);

type Anywhere = HashMap<&'static str, Arc<Overrides>>;

/// The chains of a snapshot.
#[derive(Default)]
pub(crate) struct Chains {
    slots: Slots<ChainKey, Arc<Chain>>,
    /// Instances for consumers or groups without route and service, by kind.
    anywhere: Anywhere,
}

impl Chains {
    pub(crate) fn get(&self, index: ChainIndex) -> &[ChainEntry] {
        self.slots.get(index.0).map_or(&[], |chain| &chain.entries)
    }

    pub(crate) fn filters(&self, index: ChainIndex) -> &[InstanceIndex] {
        self.slots.get(index.0).map_or(&[], |chain| &chain.filters)
    }

    pub(crate) fn has_filters(&self, index: ChainIndex) -> bool {
        self.slots.get(index.0).is_some_and(|chain| chain.has_filters)
    }
}

/// One kind on a chain, with the instances that compete.
#[derive(Debug)]
pub struct ChainEntry {
    /// Winner among instances without consumer, and its rank.
    base: Option<(Rank, InstanceIndex)>,
    /// Instances for consumers or groups on this route or service.
    scoped: Option<Box<Overrides>>,
    /// Instances for consumers or groups anywhere; shared by all chains.
    anywhere: Option<Arc<Overrides>>,
}

/// Place in the table of precedence (kong-core D.2, the column with consumer groups); lower wins.
type Rank = u8;

#[derive(Debug, Default)]
struct Overrides {
    consumers: HashMap<ConsumerId, (Rank, InstanceIndex)>,
    groups: HashMap<ConsumerGroupId, (Rank, InstanceIndex)>,
}

impl ChainEntry {
    /// The instance of this kind that serves a request of that consumer.
    #[must_use]
    pub fn select(&self, consumer: Option<&ConsumerEntry>) -> Option<InstanceIndex> {
        match consumer {
            Some(consumer) if self.scoped.is_some() || self.anywhere.is_some() => self.select_for(consumer),
            _ => self.base.map(|(_, index)| index),
        }
    }

    fn select_for(&self, consumer: &ConsumerEntry) -> Option<InstanceIndex> {
        let mut best = self.base;
        let mut offer = |candidate: Option<&(Rank, InstanceIndex)>| {
            if let Some(candidate) = candidate
                && best.is_none_or(|(rank, _)| candidate.0 < rank)
            {
                best = Some(*candidate);
            }
        };
        for overrides in [self.scoped.as_deref(), self.anywhere.as_deref()]
            .into_iter()
            .flatten()
        {
            offer(overrides.consumers.get(&consumer.consumer.id));
            // Groups are sorted by name, and only a better rank replaces: the alphabetically first one wins.
            for group in &consumer.groups {
                offer(overrides.groups.get(group));
            }
        }
        best.map(|(_, index)| index)
    }

    /// Whether some consumers or groups get another instance.
    #[must_use]
    pub fn has_overrides(&self) -> bool {
        self.scoped.is_some() || self.anywhere.is_some()
    }

    /// The instance for requests without a consumer.
    #[must_use]
    pub fn base(&self) -> Option<InstanceIndex> {
        self.base.map(|(_, index)| index)
    }
}

/// Makes chains; keeps the indexes that all of them need.
pub(crate) struct ChainBuilder<'i> {
    instances: &'i Instances,
    changed: &'i ChangedScopes,
    by_route: HashMap<RouteId, Vec<InstanceIndex>>,
    by_service: HashMap<ServiceId, Vec<InstanceIndex>>,
    /// Neither route nor service.
    everywhere: Vec<InstanceIndex>,
    anywhere: Anywhere,
    made: Renewal<ChainKey, Arc<Chain>>,
}

impl<'i> ChainBuilder<'i> {
    /// Chains of `previous` serve on where nothing changed.
    pub(crate) fn new(
        instances: &'i Instances,
        changed: &'i ChangedScopes,
        previous: Option<&Chains>,
    ) -> Self {
        let mut builder = Self {
            instances,
            changed,
            by_route: HashMap::new(),
            by_service: HashMap::new(),
            everywhere: Vec::new(),
            anywhere: Anywhere::new(),
            made: Renewal::of(previous.map(|previous| &previous.slots)),
        };
        let mut shared: HashMap<&'static str, Overrides> = HashMap::new();
        for (number, instance) in instances.iter() {
            let index = InstanceIndex(number);
            match (instance.entity.route, instance.entity.service) {
                (Some(route), _) => builder.by_route.entry(route.id).or_default().push(index),
                (None, Some(service)) => builder.by_service.entry(service.id).or_default().push(index),
                (None, None)
                    if instance.entity.consumer.is_some() || instance.entity.consumer_group.is_some() =>
                {
                    if changed.everywhere {
                        shared.entry(instance.kind).or_default().offer(instance, index);
                    }
                }
                (None, None) => builder.everywhere.push(index),
            }
        }
        builder.anywhere = match previous {
            Some(previous) if !changed.everywhere => previous.anywhere.clone(),
            _ => shared
                .into_iter()
                .map(|(kind, overrides)| (kind, Arc::new(overrides)))
                .collect(),
        };
        builder
    }

    /// The chain of a route and its service; `None` and `None` for requests without a route.
    pub(crate) fn chain(&mut self, route: Option<RouteId>, service: Option<ServiceId>) -> ChainIndex {
        let own_route = route.filter(|id| self.by_route.contains_key(id));
        // A plugin scoped to route and service sits under its route, so the service counts there too.
        let own_service = service.filter(|id| self.by_service.contains_key(id) || own_route.is_some());
        let key = (own_route, own_service);
        if let Some((number, _)) = self.made.known(&key) {
            if !self.made.is_kept(number) {
                if self.has_changed(key) {
                    let chain = self.build(own_route, own_service);
                    self.made.put(key, chain);
                } else {
                    self.made.keep(number);
                }
            }
            return ChainIndex(number);
        }
        let chain = self.build(own_route, own_service);
        ChainIndex(self.made.put(key, chain))
    }

    pub(crate) fn finish(self) -> Chains {
        Chains {
            slots: self.made.finish().0,
            anywhere: self.anywhere,
        }
    }

    fn has_changed(&self, (route, service): ChainKey) -> bool {
        self.changed.everywhere
            || route.is_some_and(|id| self.changed.routes.contains(&id))
            || service.is_some_and(|id| self.changed.services.contains(&id))
    }

    fn build(&self, route: Option<RouteId>, service: Option<ServiceId>) -> Arc<Chain> {
        let of_route = route.and_then(|id| self.by_route.get(&id)).into_iter().flatten();
        let of_service = service
            .and_then(|id| self.by_service.get(&id))
            .into_iter()
            .flatten();
        let mut kinds: HashMap<&'static str, (i32, ChainEntry)> = HashMap::new();
        let mut filters: Vec<(FilterPlace<'_>, InstanceIndex)> = Vec::new();
        for index in of_route.chain(of_service).chain(&self.everywhere) {
            let Some(instance) = self.instances.get(index.0) else {
                continue;
            };
            if instance
                .entity
                .service
                .is_some_and(|wanted| Some(wanted.id) != service)
            {
                continue;
            }
            if instance.filter.is_some() && !is_for_consumers(instance) {
                filters.push((filter_place(instance), *index));
                continue;
            }
            let entry = kinds
                .entry(instance.kind)
                .or_insert_with(|| (instance.priority, self.empty_entry(instance.kind)));
            entry.1.offer(instance, *index);
        }
        for (kind, overrides) in &self.anywhere {
            let priority = overrides
                .any()
                .and_then(|index| self.instances.get(index.0))
                .map_or(0, |i| i.priority);
            kinds
                .entry(kind)
                .or_insert_with(|| (priority, self.empty_entry(kind)));
        }
        filters.sort_by_key(|(place, _)| *place);
        let has_filters = !filters.is_empty() || kinds.values().any(|(_, entry)| self.holds_filters(entry));
        let mut names: Vec<&'static str> = kinds.keys().copied().collect();
        names.sort_by(|one, other| {
            let priority = |name: &str| kinds.get(name).map_or(0, |(priority, _)| *priority);
            by_priority((priority(one), one), (priority(other), other))
        });
        apply_ordering(&mut names, |name| {
            kinds
                .get(name)
                .and_then(|(_, entry)| entry.base)
                .and_then(|(_, index)| self.instances.get(index.0))
        });
        Arc::new(Chain {
            entries: names
                .iter()
                .filter_map(|name| kinds.remove(name).map(|(_, entry)| entry))
                .collect(),
            filters: filters.into_iter().map(|(_, index)| index).collect(),
            has_filters,
        })
    }

    fn holds_filters(&self, entry: &ChainEntry) -> bool {
        let of_consumers = [entry.scoped.as_deref(), entry.anywhere.as_deref()];
        let any = of_consumers.into_iter().flatten().find_map(Overrides::any);
        any.and_then(|index| self.instances.get(index.0))
            .is_some_and(|instance| instance.filter.is_some())
    }

    fn empty_entry(&self, kind: &str) -> ChainEntry {
        ChainEntry {
            base: None,
            scoped: None,
            anywhere: self.anywhere.get(kind).cloned(),
        }
    }
}

fn is_for_consumers(instance: &Instance) -> bool {
    instance.entity.consumer.is_some() || instance.entity.consumer_group.is_some()
}

/// Scope, then entries of the chain by place, then plugins by name, times and id (proxy-wasm-host D).
type FilterPlace<'i> = (u8, Option<u32>, &'i str, Option<i64>, Option<i64>, Uuid);

/// Where a filter runs among the others of a route.
fn filter_place(instance: &Instance) -> FilterPlace<'_> {
    let entity = &*instance.entity;
    let scope = match (entity.route.is_some(), entity.service.is_some()) {
        (true, _) => 2,
        (false, true) => 1,
        (false, false) => 0,
    };
    let times = (entity.updated_at, entity.created_at);
    match instance.chain_place {
        Some(place) => (scope * 2, Some(place), "", None, None, entity.id.0),
        None => (scope * 2 + 1, None, &entity.name, times.0, times.1, entity.id.0),
    }
}

impl ChainEntry {
    fn offer(&mut self, instance: &Instance, index: InstanceIndex) {
        if instance.entity.consumer.is_some() || instance.entity.consumer_group.is_some() {
            self.scoped.get_or_insert_default().offer(instance, index);
            return;
        }
        let rank = rank_of(instance);
        if self.base.is_none_or(|(known, _)| rank < known) {
            self.base = Some((rank, index));
        }
    }
}

impl Overrides {
    fn offer(&mut self, instance: &Instance, index: InstanceIndex) {
        let rank = rank_of(instance);
        let better = |known: &mut (Rank, InstanceIndex)| {
            if rank < known.0 {
                *known = (rank, index);
            }
        };
        if let Some(consumer) = instance.entity.consumer {
            self.consumers
                .entry(consumer.id)
                .and_modify(better)
                .or_insert((rank, index));
        } else if let Some(group) = instance.entity.consumer_group {
            self.groups
                .entry(group.id)
                .and_modify(better)
                .or_insert((rank, index));
        }
    }

    fn any(&self) -> Option<InstanceIndex> {
        self.consumers
            .values()
            .chain(self.groups.values())
            .map(|(_, index)| *index)
            .next()
    }
}

/// Rank of an instance by the fields of its scope.
fn rank_of(instance: &Instance) -> Rank {
    let entity = &instance.entity;
    let (route, service) = (entity.route.is_some(), entity.service.is_some());
    match (
        entity.consumer.is_some(),
        entity.consumer_group.is_some(),
        route,
        service,
    ) {
        (true, _, true, true) => 1,
        (false, true, true, true) => 2,
        (true, _, true, false) => 3,
        (true, _, false, true) => 4,
        (false, true, true, false) => 5,
        (false, true, false, true) => 6,
        (false, false, true, true) => 7,
        (true, _, false, false) => 8,
        (false, true, false, false) => 9,
        (false, false, true, false) => 10,
        (false, false, false, true) => 11,
        (false, false, false, false) => 12,
    }
}
