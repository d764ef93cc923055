//! What the catalog has to know of each collection: what is unique in it, what it points to, and what a delete does.
//!
//! Everything is read off the tables of the model. The one collection that stands here is the membership of consumers
//! in groups, which is no entity of its own.

use std::sync::LazyLock;
use tidegate_model::entity_table::entity_table;
use tidegate_model::schema::{RecordSchema, Shape};
use uuid::Uuid;

/// Collection of the memberships: `consumer` and `consumer_group`, each a reference.
pub const MEMBERSHIPS: &str = "consumer_group_consumers";

const MEMBERSHIP_NAMESPACE: Uuid = Uuid::from_u128(0x5b1c_9a60_23c7_4d1e_9d0f_61d2_0f7f_44ab);

/// The id of the membership of a consumer in a group: the same pair has the same id on every node.
#[must_use]
pub fn membership_id(consumer: Uuid, group: Uuid) -> Uuid {
    let mut pair = [0; 32];
    let (first, second) = pair.split_at_mut(16);
    first.copy_from_slice(consumer.as_bytes());
    second.copy_from_slice(group.as_bytes());
    Uuid::new_v5(&MEMBERSHIP_NAMESPACE, &pair)
}

/// One collection.
pub(crate) struct Layout {
    pub(crate) name: &'static str,
    pub(crate) unique: Vec<&'static [&'static str]>,
    pub(crate) links: Vec<Link>,
    /// None for memberships.
    pub(crate) schema: Option<&'static RecordSchema>,
    pub(crate) has_ttl: bool,
}

/// A field that holds ids of other entities.
pub(crate) struct Link {
    pub(crate) field: &'static str,
    /// Position of the collection that it points to.
    pub(crate) target: usize,
    pub(crate) kind: LinkKind,
}

/// What the field holds, and what happens when the entity goes that it points to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LinkKind {
    /// `{"id": x}`, checked; the delete is refused.
    Refuse,
    /// `{"id": x}`, checked; this row goes too.
    Cascade,
    /// A list of ids, unchecked as in Kong; the delete is refused in its own terms.
    List,
}

static LAYOUTS: LazyLock<Vec<Layout>> = LazyLock::new(build);

/// Every collection, parents ahead of children.
pub(crate) fn layouts() -> &'static [Layout] {
    &LAYOUTS
}

/// Position and layout of a collection.
pub(crate) fn layout(collection: &str) -> Option<(usize, &'static Layout)> {
    layouts()
        .iter()
        .enumerate()
        .find(|(_, layout)| layout.name == collection)
}

/// Who points to a collection: position, position of the link, link.
pub(crate) fn incoming(target: usize) -> impl Iterator<Item = (usize, usize, &'static Link)> {
    layouts().iter().enumerate().flat_map(move |(at, layout)| {
        let links = layout.links.iter().enumerate();
        links
            .filter(move |(_, link)| link.target == target)
            .map(move |(number, link)| (at, number, link))
    })
}

fn build() -> Vec<Layout> {
    let table = entity_table();
    let position = |collection: &str| table.iter().position(|entity| entity.collection == collection);
    let link = |field, target: &str, kind| {
        let target = position(target)?;
        Some(Link { field, target, kind })
    };
    let mut layouts: Vec<Layout> = table
        .iter()
        .map(|entity| {
            let fields = &entity.schema().fields;
            let single = fields.iter().filter(|field| field.unique);
            let references = fields.iter().filter_map(|field| match field.kind.shape {
                Shape::Foreign(target) if field.cascade => link(field.name, target, LinkKind::Cascade),
                Shape::Foreign(target) => link(field.name, target, LinkKind::Refuse),
                _ => None,
            });
            let list = match entity.collection {
                "services" => link("ca_certificates", "ca_certificates", LinkKind::List),
                "plugins" => link("config.ca_certificates", "ca_certificates", LinkKind::List),
                _ => None,
            };
            Layout {
                name: entity.collection,
                unique: single
                    .map(|field| std::slice::from_ref(&field.name))
                    .chain(entity.unique_together.iter().copied())
                    .collect(),
                links: references.chain(list).collect(),
                schema: Some(entity.schema()),
                has_ttl: fields.iter().any(|field| field.name == "ttl"),
            }
        })
        .collect();
    layouts.push(Layout {
        name: MEMBERSHIPS,
        unique: vec![&["consumer", "consumer_group"]],
        links: [("consumer", "consumers"), ("consumer_group", "consumer_groups")]
            .into_iter()
            .filter_map(|(field, target)| link(field, target, LinkKind::Cascade))
            .collect(),
        schema: None,
        has_ttl: false,
    });
    layouts
}

#[cfg(test)]
mod tests {
    use super::{LinkKind, incoming, layout, layouts};

    /// `collection.field` of everything that points to a collection in this way.
    fn pointing(target: &str, kind: LinkKind) -> Vec<String> {
        let (target, _) = layout(target).expect(target);
        incoming(target)
            .filter(|(_, _, link)| link.kind == kind)
            .map(|(at, _, link)| format!("{}.{}", layouts()[at].name, link.field))
            .collect()
    }

    #[test]
    fn deletes_do_what_kong_does() {
        assert_eq!(pointing("services", LinkKind::Refuse), ["routes.service"]);
        assert_eq!(
            pointing("services", LinkKind::Cascade),
            ["plugins.service", "filter_chains.service"]
        );
        assert_eq!(
            pointing("routes", LinkKind::Cascade),
            ["plugins.route", "filter_chains.route"]
        );
        assert_eq!(
            pointing("certificates", LinkKind::Refuse),
            ["services.client_certificate", "upstreams.client_certificate"]
        );
        assert_eq!(pointing("certificates", LinkKind::Cascade), ["snis.certificate"]);
        assert_eq!(pointing("upstreams", LinkKind::Cascade), ["targets.upstream"]);
        assert_eq!(pointing("key_sets", LinkKind::Cascade), ["keys.set"]);
        assert_eq!(
            pointing("ca_certificates", LinkKind::List),
            ["services.ca_certificates", "plugins.config.ca_certificates"]
        );
        assert_eq!(
            pointing("consumer_groups", LinkKind::Cascade),
            [
                "plugins.consumer_group",
                "consumer_group_consumers.consumer_group"
            ]
        );
        let of_consumers = pointing("consumers", LinkKind::Cascade);
        assert_eq!(of_consumers.len(), 8, "{of_consumers:?}");
    }

    #[test]
    fn nothing_points_to_what_comes_after_it() {
        for (at, layout) in layouts().iter().enumerate() {
            for link in &layout.links {
                assert!(link.target < at, "{}.{}", layout.name, link.field);
            }
        }
    }
}
