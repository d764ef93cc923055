//! What there is to configure: one row per collection, for everything that treats entities alike.

use crate::entities::{
    Acl, BasicAuthCredential, CaCertificate, Certificate, Consumer, ConsumerGroup, FilterChain,
    HmacAuthCredential, JwtSecret, Key, KeyAuthCredential, KeySet, OAuth2Credential, Plugin, Route, Service,
    Sni, Target, Upstream, Vault,
};
use crate::schema::{Declared, RecordSchema, Shape};

/// One kind of entity.
#[derive(Debug, Clone, Copy)]
pub struct EntityType {
    /// Name of the list in files and of the entity in texts, e.g. `services`.
    pub collection: &'static str,
    /// Path of the collection in the Admin API, without slashes, e.g. `key-sets`.
    pub admin_path: &'static str,
    /// Path below its parent, where that differs, e.g. `key-auth` below a consumer.
    pub nested_path: &'static str,
    /// The field that names an entity to people; accepted wherever an id is.
    pub endpoint_key: Option<&'static str>,
    /// The fields that identify an entity together (kong-core B.3); empty when there are none.
    pub cache_key: &'static [&'static str],
    /// Combinations of fields of which each may occur once. One whose first field is unset does not count; the other
    /// fields count as unset where they are.
    pub unique_together: &'static [&'static [&'static str]],
    /// Whether it belongs to a workspace.
    pub is_workspaceable: bool,
    /// Lists that an entry of a file may hold for its children.
    pub children: &'static [Child],
    schema: fn() -> &'static RecordSchema,
}

/// A list of children below a parent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Child {
    /// Collection of the children, which is also the name of the list.
    pub collection: &'static str,
    /// The field of a child that points to the parent.
    pub field: &'static str,
}

impl EntityType {
    /// Fields, defaults and rules.
    #[must_use]
    pub fn schema(&self) -> &'static RecordSchema {
        (self.schema)()
    }

    /// The name of one, e.g. `service`.
    #[must_use]
    pub fn singular(&self) -> &'static str {
        self.collection.strip_suffix('s').unwrap_or(self.collection)
    }

    /// The fields that point to other entities, with the collections they point to.
    pub fn references(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        self.schema()
            .fields
            .iter()
            .filter_map(|field| match field.kind.shape {
                Shape::Foreign(collection) => Some((field.name, collection)),
                _ => None,
            })
    }
}

/// The row of a collection.
#[must_use]
pub fn entity_type(collection: &str) -> Option<&'static EntityType> {
    ENTITIES.iter().find(|entity| entity.collection == collection)
}

/// Every collection, parents ahead of their children.
#[must_use]
pub fn entity_table() -> &'static [EntityType] {
    ENTITIES
}

const fn row<T: Declared>(collection: &'static str, endpoint_key: Option<&'static str>) -> EntityType {
    EntityType {
        collection,
        admin_path: collection,
        nested_path: collection,
        endpoint_key,
        cache_key: &[],
        unique_together: &[],
        is_workspaceable: true,
        children: &[],
        schema: T::schema,
    }
}

const fn child(collection: &'static str, field: &'static str) -> Child {
    Child { collection, field }
}

static ENTITIES: &[EntityType] = &[
    EntityType {
        is_workspaceable: false,
        ..row::<CaCertificate>("ca_certificates", None)
    },
    EntityType {
        children: &[
            child("snis", "certificate"),
            child("services", "client_certificate"),
            child("upstreams", "client_certificate"),
        ],
        ..row::<Certificate>("certificates", None)
    },
    row::<Sni>("snis", Some("name")),
    EntityType {
        children: &[
            child("routes", "service"),
            child("plugins", "service"),
            child("filter_chains", "service"),
        ],
        ..row::<Service>("services", Some("name"))
    },
    EntityType {
        children: &[child("plugins", "route"), child("filter_chains", "route")],
        ..row::<Route>("routes", Some("name"))
    },
    EntityType {
        children: &[
            child("plugins", "consumer"),
            child("keyauth_credentials", "consumer"),
            child("basicauth_credentials", "consumer"),
            child("jwt_secrets", "consumer"),
            child("hmacauth_credentials", "consumer"),
            child("acls", "consumer"),
            child("oauth2_credentials", "consumer"),
        ],
        ..row::<Consumer>("consumers", Some("username"))
    },
    EntityType {
        children: &[child("plugins", "consumer_group")],
        ..row::<ConsumerGroup>("consumer_groups", Some("name"))
    },
    EntityType {
        cache_key: &["name", "route", "service", "consumer"],
        unique_together: &[&["name", "route", "service", "consumer", "consumer_group"]],
        ..row::<Plugin>("plugins", Some("instance_name"))
    },
    EntityType {
        children: &[child("targets", "upstream")],
        ..row::<Upstream>("upstreams", Some("name"))
    },
    EntityType {
        cache_key: &["upstream", "target"],
        unique_together: &[&["upstream", "target"]],
        ..row::<Target>("targets", Some("target"))
    },
    EntityType {
        cache_key: &["prefix"],
        ..row::<Vault>("vaults", Some("prefix"))
    },
    EntityType {
        admin_path: "key-sets",
        nested_path: "key-sets",
        children: &[child("keys", "set")],
        ..row::<KeySet>("key_sets", Some("name"))
    },
    EntityType {
        cache_key: &["kid", "set"],
        unique_together: &[&["kid", "set"]],
        ..row::<Key>("keys", Some("name"))
    },
    EntityType {
        admin_path: "filter-chains",
        nested_path: "filter-chains",
        cache_key: &["route", "service"],
        unique_together: &[&["route"], &["service"]],
        ..row::<FilterChain>("filter_chains", Some("name"))
    },
    EntityType {
        admin_path: "key-auths",
        nested_path: "key-auth",
        cache_key: &["key"],
        ..row::<KeyAuthCredential>("keyauth_credentials", Some("key"))
    },
    EntityType {
        admin_path: "basic-auths",
        nested_path: "basic-auth",
        cache_key: &["username"],
        ..row::<BasicAuthCredential>("basicauth_credentials", Some("username"))
    },
    EntityType {
        admin_path: "jwts",
        nested_path: "jwt",
        cache_key: &["key"],
        ..row::<JwtSecret>("jwt_secrets", Some("key"))
    },
    EntityType {
        admin_path: "hmac-auths",
        nested_path: "hmac-auth",
        cache_key: &["username"],
        ..row::<HmacAuthCredential>("hmacauth_credentials", Some("username"))
    },
    EntityType {
        cache_key: &["consumer", "group"],
        unique_together: &[&["consumer", "group"]],
        ..row::<Acl>("acls", Some("group"))
    },
    EntityType {
        admin_path: "oauth2",
        nested_path: "oauth2",
        cache_key: &["client_id"],
        ..row::<OAuth2Credential>("oauth2_credentials", Some("client_id"))
    },
];

#[cfg(test)]
mod tests {
    use super::{entity_table, entity_type};

    #[test]
    fn every_child_points_to_its_parent() {
        for parent in entity_table() {
            for child in parent.children {
                let row = entity_type(child.collection).expect(child.collection);
                let field = row.references().find(|(name, _)| *name == child.field);
                assert_eq!(
                    field,
                    Some((child.field, parent.collection)),
                    "{}",
                    child.collection
                );
            }
        }
    }

    #[test]
    fn every_reference_leads_to_a_collection_and_every_key_is_a_field() {
        for entity in entity_table() {
            for (field, target) in entity.references() {
                assert!(entity_type(target).is_some(), "{}.{field}", entity.collection);
            }
            let together = entity.unique_together.iter().copied().flatten();
            for key in entity
                .cache_key
                .iter()
                .chain(&entity.endpoint_key)
                .chain(together)
            {
                let is_field = entity.schema().fields.iter().any(|field| field.name == *key);
                assert!(is_field, "{}.{key}", entity.collection);
            }
        }
    }

    #[test]
    fn parents_come_ahead_of_their_children() {
        let position = |name| entity_table().iter().position(|entity| entity.collection == name);
        // A certificate may hold services and upstreams, so it comes ahead of these too.
        for parent in entity_table() {
            for child in parent.children {
                assert!(
                    position(parent.collection) < position(child.collection),
                    "{}",
                    child.collection
                );
            }
        }
    }

    #[test]
    fn singular_names_are_those_of_flattened_errors() {
        assert_eq!(
            entity_type("key_sets").map(|entity| entity.singular()),
            Some("key_set")
        );
        assert_eq!(
            entity_type("ca_certificates").map(|entity| entity.singular()),
            Some("ca_certificate")
        );
    }
}
