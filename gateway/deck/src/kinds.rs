//! The kinds of entities that are kept in files: how each is called, listed, written, matched and ordered.
//!
//! Fields, references and paths of the Admin API come from the tables of the model; this table adds what only a client
//! needs to know.

use tidegate_model::entity_table::{EntityType, entity_type};
use tidegate_model::schema::Shape;

/// A kind of entity. The order is that of writing within a level, and one in which references always point backwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Kind {
    Certificate,
    CaCertificate,
    Consumer,
    Vault,
    KeySet,
    ConsumerGroup,
    Sni,
    Service,
    Upstream,
    Key,
    KeyAuth,
    HmacAuth,
    JwtAuth,
    BasicAuth,
    OAuth2,
    Acl,
    MtlsAuth,
    Route,
    Target,
    Membership,
    Plugin,
    FilterChain,
}

/// What a client knows of a kind.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row {
    /// Name in output lines.
    pub label: &'static str,
    /// Name of the list in files, and of the table in `/schemas`.
    pub collection: &'static str,
    /// Fields of which one is enough to tell an entity of this kind from all others.
    pub names: &'static [&'static str],
    /// Fields that tell it together, below the entities that these refer to.
    pub scoped: &'static [&'static str],
    /// Made by the server when they are left out.
    pub generated: &'static [&'static str],
    /// Fields in whose place another kind of entity or another way to write stands.
    pub ignored: &'static [&'static str],
    /// Statuses of the list that mean: there is no such thing on this server.
    pub absent: &'static [u16],
    /// Position in the order of writing, from 0.
    pub level: usize,
}

const ROW: Row = Row {
    label: "",
    collection: "",
    names: &["name"],
    scoped: &[],
    generated: &[],
    ignored: &[],
    absent: &[],
    level: 0,
};

const OPTIONAL: &[u16] = &[403, 404];

const fn credential(label: &'static str, collection: &'static str, name: &'static [&'static str]) -> Row {
    Row {
        label,
        collection,
        names: name,
        absent: OPTIONAL,
        level: 1,
        ..ROW
    }
}

impl Kind {
    /// All kinds, referred ones ahead of those that refer to them.
    pub(crate) const ALL: [Self; 22] = [
        Self::Certificate,
        Self::CaCertificate,
        Self::Consumer,
        Self::Vault,
        Self::KeySet,
        Self::ConsumerGroup,
        Self::Sni,
        Self::Service,
        Self::Upstream,
        Self::Key,
        Self::KeyAuth,
        Self::HmacAuth,
        Self::JwtAuth,
        Self::BasicAuth,
        Self::OAuth2,
        Self::Acl,
        Self::MtlsAuth,
        Self::Route,
        Self::Target,
        Self::Membership,
        Self::Plugin,
        Self::FilterChain,
    ];

    pub(crate) const fn row(self) -> Row {
        match self {
            Self::Certificate | Self::CaCertificate | Self::Sni => self.tls_row(),
            Self::Consumer | Self::ConsumerGroup | Self::Membership => self.consumer_row(),
            _ if self.is_credential() => self.credential_row(),
            Self::Vault | Self::KeySet | Self::Key => self.secret_row(),
            _ => self.traffic_row(),
        }
    }

    const fn traffic_row(self) -> Row {
        match self {
            Self::Service => Row {
                label: "service",
                collection: "services",
                level: 1,
                ..ROW
            },
            Self::Upstream => Row {
                label: "upstream",
                collection: "upstreams",
                level: 1,
                ..ROW
            },
            Self::Route => Row {
                label: "route",
                collection: "routes",
                level: 2,
                ..ROW
            },
            Self::Target => Row {
                label: "target",
                collection: "targets",
                names: &[],
                scoped: &["target", "upstream"],
                level: 2,
                ..ROW
            },
            Self::FilterChain => Row {
                label: "filter-chain",
                collection: "filter_chains",
                scoped: &["service", "route"],
                absent: &[400, 403, 404],
                level: 3,
                ..ROW
            },
            _ => Row {
                label: "plugin",
                collection: "plugins",
                names: &[],
                scoped: &["name", "service", "route", "consumer", "consumer_group"],
                level: 3,
                ..ROW
            },
        }
    }

    const fn tls_row(self) -> Row {
        match self {
            Self::Certificate => Row {
                label: "certificate",
                collection: "certificates",
                names: &[],
                scoped: &["cert", "key"],
                // They are entities of their own in files.
                ignored: &["snis"],
                ..ROW
            },
            Self::CaCertificate => Row {
                label: "ca-certificate",
                collection: "ca_certificates",
                names: &["cert"],
                generated: &["cert_digest"],
                ..ROW
            },
            _ => Row {
                label: "sni",
                collection: "snis",
                level: 1,
                ..ROW
            },
        }
    }

    const fn consumer_row(self) -> Row {
        match self {
            Self::Consumer => Row {
                label: "consumer",
                collection: "consumers",
                names: &["username", "custom_id"],
                ..ROW
            },
            Self::ConsumerGroup => Row {
                label: "consumer-group",
                collection: "consumer_groups",
                absent: OPTIONAL,
                level: 1,
                ..ROW
            },
            _ => Row {
                label: "consumer-group-consumer",
                collection: "consumer_group_consumers",
                names: &[],
                scoped: &["consumer", "consumer_group"],
                level: 2,
                ..ROW
            },
        }
    }

    const fn credential_row(self) -> Row {
        match self {
            Self::KeyAuth => Row {
                generated: &["key"],
                ..credential("key-auth", "keyauth_credentials", &["key"])
            },
            Self::HmacAuth => Row {
                generated: &["secret"],
                ..credential("hmac-auth", "hmacauth_credentials", &["username"])
            },
            Self::JwtAuth => Row {
                generated: &["key", "secret"],
                ..credential("jwt-auth", "jwt_secrets", &["key"])
            },
            Self::BasicAuth => credential("basic-auth", "basicauth_credentials", &["username"]),
            Self::OAuth2 => Row {
                generated: &["client_id", "client_secret"],
                ..credential("oauth2-cred", "oauth2_credentials", &["client_id"])
            },
            Self::Acl => Row {
                scoped: &["group", "consumer"],
                ..credential("acl-group", "acls", &[])
            },
            _ => Row {
                scoped: &["subject_name", "ca_certificate"],
                ..credential("mtls-auth", "mtls_auth_credentials", &[])
            },
        }
    }

    const fn secret_row(self) -> Row {
        match self {
            Self::Vault => Row {
                label: "vault",
                collection: "vaults",
                names: &["prefix"],
                absent: OPTIONAL,
                ..ROW
            },
            Self::KeySet => Row {
                label: "key-set",
                collection: "key_sets",
                absent: OPTIONAL,
                ..ROW
            },
            _ => Row {
                label: "key",
                collection: "keys",
                scoped: &["kid", "set"],
                absent: OPTIONAL,
                level: 1,
                ..ROW
            },
        }
    }

    /// The kind of a list in files.
    pub(crate) fn of_collection(collection: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.row().collection == collection)
    }

    fn table(self) -> Option<&'static EntityType> {
        entity_type(self.row().collection)
    }

    /// Path of the list in the Admin API, without a leading slash.
    pub(crate) fn list_path(self) -> &'static str {
        match self {
            Self::MtlsAuth => "mtls-auths",
            _ => self.table().map_or("", |table| table.admin_path),
        }
    }

    /// Path of a credential below its consumer.
    pub(crate) fn credential_path(self) -> &'static str {
        match self {
            Self::MtlsAuth => "mtls-auth",
            _ => self.table().map_or("", |table| table.nested_path),
        }
    }

    /// Whether it hangs on a consumer.
    pub(crate) const fn is_credential(self) -> bool {
        matches!(
            self,
            Self::KeyAuth
                | Self::HmacAuth
                | Self::JwtAuth
                | Self::BasicAuth
                | Self::OAuth2
                | Self::Acl
                | Self::MtlsAuth
        )
    }

    /// Whether bodies that are written carry the server's defaults (and `_info.defaults` exist for it).
    pub(crate) const fn is_written_with_defaults(self) -> bool {
        matches!(self, Self::Service | Self::Route | Self::Upstream | Self::Target)
    }

    /// The fields that refer to other entities.
    pub(crate) fn references(self) -> Vec<(&'static str, Self)> {
        match self {
            Self::Membership => vec![
                ("consumer", Self::Consumer),
                ("consumer_group", Self::ConsumerGroup),
            ],
            Self::MtlsAuth => vec![
                ("consumer", Self::Consumer),
                ("ca_certificate", Self::CaCertificate),
            ],
            _ => self
                .table()
                .into_iter()
                .flat_map(EntityType::references)
                .filter_map(|(field, collection)| Some((field, Self::of_collection(collection)?)))
                .collect(),
        }
    }

    /// The lists that an entry of this kind may hold, with the field of the children that points back.
    pub(crate) const fn children(self) -> &'static [(Self, &'static str)] {
        match self {
            Self::Service => &[
                (Self::Route, "service"),
                (Self::Plugin, "service"),
                (Self::FilterChain, "service"),
            ],
            Self::Route => &[(Self::Plugin, "route"), (Self::FilterChain, "route")],
            Self::Consumer => &[
                (Self::KeyAuth, "consumer"),
                (Self::BasicAuth, "consumer"),
                (Self::HmacAuth, "consumer"),
                (Self::JwtAuth, "consumer"),
                (Self::OAuth2, "consumer"),
                (Self::Acl, "consumer"),
                (Self::MtlsAuth, "consumer"),
                (Self::Plugin, "consumer"),
            ],
            Self::ConsumerGroup => &[(Self::Plugin, "consumer_group")],
            Self::Upstream => &[(Self::Target, "upstream")],
            Self::Certificate => &[(Self::Sni, "certificate")],
            _ => &[],
        }
    }

    /// Whether files may have it at the top.
    pub(crate) const fn stands_at_top(self) -> bool {
        !matches!(self, Self::Membership)
    }

    /// The shape of a field as the model has it; none for a field of other editions, which may be anything.
    pub(crate) fn shape(self, field: &str) -> Option<&'static Shape> {
        let fields = &self.table()?.schema().fields;
        let field = fields.iter().find(|known| known.name == field)?;
        Some(&field.kind.shape)
    }

    /// Whether an entity of this kind has such a field, in this or in another edition of Kong.
    pub(crate) fn has_field(self, field: &str) -> bool {
        let row = self.row();
        let is_known = self
            .table()
            .is_some_and(|table| table.schema().fields.iter().any(|known| known.name == field));
        (is_known || self.fields_elsewhere().contains(&field)) && !row.ignored.contains(&field)
    }

    /// Fields that only other editions have.
    const fn fields_elsewhere(self) -> &'static [&'static str] {
        match self {
            Self::Service => &["tls_sans"],
            Self::Upstream => &["sticky_sessions_cookie", "sticky_sessions_cookie_path"],
            Self::Target => &["failover"],
            Self::Plugin => &["consumer_group", "ordering", "condition"],
            Self::Membership => &["consumer", "consumer_group"],
            Self::MtlsAuth => &[
                "id",
                "created_at",
                "consumer",
                "subject_name",
                "ca_certificate",
                "tags",
            ],
            Self::Key => &["x5t"],
            _ => &[],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Kind;

    #[test]
    fn references_point_to_kinds_that_stand_ahead() {
        for kind in Kind::ALL {
            for (field, target) in kind.references() {
                assert!(target < kind, "{kind:?}.{field}");
                assert!(target.row().level <= kind.row().level, "{kind:?}.{field}");
            }
        }
    }

    #[test]
    fn every_kind_of_the_model_is_kept_in_files() {
        for entity in tidegate_model::entity_table::entity_table() {
            let kind = Kind::of_collection(entity.collection).expect(entity.collection);
            assert_eq!(kind.list_path(), entity.admin_path);
            let row = kind.row();
            for field in row.names.iter().chain(row.scoped).chain(row.generated) {
                assert!(kind.has_field(field), "{kind:?}.{field}");
            }
        }
    }

    #[test]
    fn children_point_back_by_a_reference() {
        for kind in Kind::ALL {
            for (child, field) in kind.children() {
                let found = child.references().into_iter().find(|(name, _)| name == field);
                assert_eq!(found, Some((*field, kind)), "{child:?}.{field}");
            }
        }
    }
}
