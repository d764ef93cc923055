//! A snapshot made by hand.

use crate::exchange::{RouteIndex, ServiceIndex, SnapshotView};
use crate::identity::{ConsumerEntry, ConsumerIndex, Identities, KeyEntry};
use crate::services::Services;
use http::HeaderValue;
use std::sync::Arc;
use tidegate_model::entities::{Consumer, KeyAuthCredential, Route, Service};
use tidegate_model::ids::{ConsumerId, CredentialId, ForeignKey};
use uuid::Uuid;

/// At most one route and one service, any number of consumers.
pub(super) struct TestSnapshot {
    pub(super) route: Option<Route>,
    pub(super) service: Option<Service>,
    pub(super) identities: Identities,
    pub(super) services: Arc<Services>,
}

impl Default for TestSnapshot {
    fn default() -> Self {
        Self {
            route: None,
            service: None,
            identities: Identities::default(),
            services: Arc::new(Services::detached()),
        }
    }
}

impl Clone for TestSnapshot {
    fn clone(&self) -> Self {
        let mut copy = Self {
            route: self.route.clone(),
            service: self.service.clone(),
            identities: Identities::default(),
            services: Arc::clone(&self.services),
        };
        copy.identities.consumers.clone_from(&self.identities.consumers);
        copy.identities.by_id.clone_from(&self.identities.by_id);
        copy.identities
            .by_username
            .clone_from(&self.identities.by_username);
        copy.identities.keys.clone_from(&self.identities.keys);
        copy
    }
}

impl SnapshotView for TestSnapshot {
    fn route(&self, _index: RouteIndex) -> Option<&Route> {
        self.route.as_ref()
    }
    fn service(&self, _index: ServiceIndex) -> Option<&Service> {
        self.service.as_ref()
    }
    fn identities(&self) -> &Identities {
        &self.identities
    }
    fn services(&self) -> &Services {
        &self.services
    }
}

impl TestSnapshot {
    pub(super) fn add_consumer(&mut self, username: &str, custom_id: Option<&str>) -> ConsumerIndex {
        let id = Uuid::new_v5(&Uuid::NAMESPACE_OID, username.as_bytes());
        let index = ConsumerIndex(u32::try_from(self.identities.consumers.len()).unwrap_or(u32::MAX));
        self.identities.consumers.push(ConsumerEntry {
            consumer: Consumer {
                id: ConsumerId(id),
                created_at: None,
                updated_at: None,
                username: Some(username.to_owned()),
                custom_id: custom_id.map(str::to_owned),
                tags: None,
            },
            id_header: header(&id.to_string()),
            username_header: Some(header(username)),
            custom_id_header: custom_id.map(header),
            acl_groups: Vec::new(),
            acl_groups_header: HeaderValue::from_static(""),
            groups: Vec::new(),
        });
        self.identities.by_id.insert(id, index);
        self.identities.by_username.insert(username.to_owned(), index);
        index
    }

    pub(super) fn add_key(&mut self, username: &str, key: &str, expires_at: Option<f64>) {
        let consumer = self.find_or_add(username);
        let owner = ConsumerId(Uuid::new_v5(&Uuid::NAMESPACE_OID, username.as_bytes()));
        let id = Uuid::new_v5(&Uuid::NAMESPACE_URL, key.as_bytes());
        let credential = KeyAuthCredential {
            id: CredentialId(id),
            created_at: None,
            consumer: ForeignKey { id: owner },
            key: key.to_owned(),
            ttl: None,
            tags: None,
        };
        let entry = KeyEntry {
            credential,
            consumer,
            identifier_header: header(&id.to_string()),
            expires_at,
        };
        self.identities.keys.insert(key.to_owned(), entry);
    }

    pub(super) fn add_acl(&mut self, username: &str, group: &str) {
        let index = self.find_or_add(username);
        if let Some(entry) = self.identities.consumers.get_mut(index.0 as usize) {
            entry.acl_groups.push(group.to_owned());
            entry.acl_groups_header = header(&entry.acl_groups.join(", "));
        }
    }

    fn find_or_add(&mut self, username: &str) -> ConsumerIndex {
        match self.identities.by_username.get(username) {
            Some(index) => *index,
            None => self.add_consumer(username, None),
        }
    }
}

fn header(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or_else(|_| panic!("{text:?} cannot be a header value"))
}
