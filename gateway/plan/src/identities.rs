//! Compiles consumers and their credentials.

use hashbrown::HashMap;
use http::HeaderValue;
use std::sync::Arc;
use tidegate_model::entities::EntitySet;
use tidegate_model::ids::{ConsumerGroupId, ConsumerId};
use tidegate_plugin::identity::{BasicEntry, ConsumerEntry, ConsumerIndex, Identities, KeyEntry};

/// Those of the snapshot before when nothing that makes them changed.
pub(crate) fn plan_identities(
    entities: &EntitySet,
    now_seconds: f64,
    previous: Option<&Arc<Identities>>,
) -> Arc<Identities> {
    let parents = Parents::of(entities);
    match previous.filter(|previous| are_made_of(previous, entities, &parents)) {
        Some(previous) => Arc::clone(previous),
        None => Arc::new(build(entities, now_seconds, parents)),
    }
}

/// What consumers belong to.
struct Parents {
    /// Consumer groups, sorted by name.
    groups: HashMap<ConsumerId, Vec<ConsumerGroupId>>,
    acls: HashMap<ConsumerId, Vec<String>>,
}

impl Parents {
    fn of(entities: &EntitySet) -> Self {
        let mut acls: HashMap<ConsumerId, Vec<String>> = HashMap::new();
        for acl in &entities.acls {
            acls.entry(acl.consumer.id).or_default().push(acl.group.clone());
        }
        Self {
            groups: groups_by_consumer(entities),
            acls,
        }
    }
}

fn are_made_of(identities: &Identities, entities: &EntitySet, parents: &Parents) -> bool {
    let (keys, basic) = (&entities.keyauth_credentials, &entities.basicauth_credentials);
    let counts = (
        identities.consumers.len(),
        identities.keys.len(),
        identities.basic.len(),
    );
    counts == (entities.consumers.len(), keys.len(), basic.len())
        && identities
            .consumers
            .iter()
            .zip(&entities.consumers)
            .all(|(entry, consumer)| {
                let id = &consumer.id;
                entry.consumer == *consumer
                    && entry.acl_groups == parents.acls.get(id).map_or(&[] as &[_], Vec::as_slice)
                    && entry.groups == parents.groups.get(id).map_or(&[] as &[_], Vec::as_slice)
            })
        && keys.iter().all(|own| {
            identities
                .keys
                .get(&own.key)
                .is_some_and(|entry| entry.credential == *own)
        })
        && basic.iter().all(|own| {
            let entry = identities.basic.get(&own.username);
            entry.is_some_and(|entry| entry.credential == *own)
        })
}

fn build(entities: &EntitySet, now_seconds: f64, mut parents: Parents) -> Identities {
    let mut identities = Identities::default();
    for consumer in &entities.consumers {
        let index = ConsumerIndex(u32::try_from(identities.consumers.len()).unwrap_or(u32::MAX));
        identities.by_id.insert(consumer.id.0, index);
        if let Some(username) = &consumer.username {
            identities.by_username.insert(username.clone(), index);
        }
        let acl_groups = parents.acls.remove(&consumer.id).unwrap_or_default();
        identities.consumers.push(ConsumerEntry {
            id_header: header(&consumer.id.to_string()),
            username_header: consumer.username.as_deref().map(header),
            custom_id_header: consumer.custom_id.as_deref().map(header),
            acl_groups_header: header(&acl_groups.join(", ")),
            acl_groups,
            groups: parents.groups.remove(&consumer.id).unwrap_or_default(),
            consumer: consumer.clone(),
        });
    }
    add_credentials(entities, now_seconds, &mut identities);
    identities
}

fn add_credentials(entities: &EntitySet, now_seconds: f64, identities: &mut Identities) {
    for credential in &entities.keyauth_credentials {
        let Some(consumer) = identities.by_id.get(&credential.consumer.id.0).copied() else {
            continue;
        };
        #[allow(
            clippy::cast_precision_loss,
            reason = "seconds since the epoch fit a double exactly"
        )]
        let since = credential
            .created_at
            .map_or(now_seconds, |seconds| seconds as f64);
        let entry = KeyEntry {
            consumer,
            identifier_header: header(&credential.id.to_string()),
            expires_at: credential.ttl.filter(|ttl| *ttl > 0.0).map(|ttl| since + ttl),
            credential: credential.clone(),
        };
        identities.keys.insert(credential.key.clone(), entry);
    }
    for credential in &entities.basicauth_credentials {
        let Some(consumer) = identities.by_id.get(&credential.consumer.id.0).copied() else {
            continue;
        };
        identities.basic.insert(
            credential.username.clone(),
            BasicEntry {
                credential: credential.clone(),
                consumer,
            },
        );
    }
}

/// Groups of each consumer, sorted by the name of the group.
fn groups_by_consumer(entities: &EntitySet) -> HashMap<ConsumerId, Vec<ConsumerGroupId>> {
    let names: HashMap<ConsumerGroupId, &str> = entities
        .consumer_groups
        .iter()
        .map(|group| (group.id, group.name.as_str()))
        .collect();
    let mut members: HashMap<ConsumerId, Vec<ConsumerGroupId>> = HashMap::new();
    for (group, consumer) in &entities.consumer_group_members {
        members.entry(*consumer).or_default().push(*group);
    }
    for groups in members.values_mut() {
        groups.sort_by_key(|group| names.get(group).copied().unwrap_or_default());
    }
    members
}

/// Text as a header value; bytes that a header cannot carry become `?`.
pub(crate) fn header(text: &str) -> HeaderValue {
    HeaderValue::from_bytes(text.as_bytes()).unwrap_or_else(|_| {
        let safe: String = text
            .chars()
            .map(|c| if c.is_control() { '?' } else { c })
            .collect();
        HeaderValue::from_bytes(safe.as_bytes()).unwrap_or_else(|_| HeaderValue::from_static(""))
    })
}
