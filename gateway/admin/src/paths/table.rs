//! The table of paths (kong-core G.4): those that every entity has, and the special ones.

use super::{Endpoint, Filters, Link, ParentField, Pattern};
use tidegate_model::entity_table::{EntityType, entity_table, entity_type};

pub(super) fn patterns() -> Vec<Pattern> {
    let mut patterns: Vec<Pattern> = special()
        .map(|(text, endpoint)| Pattern::new(text.to_owned(), endpoint))
        .collect();
    for entity in entity_table() {
        if entity.collection == "targets" {
            // They exist below their upstream alone.
            for text in ["/targets", "/targets/{targets}", "/targets/{targets}/upstream"] {
                patterns.push(Pattern::new(text.to_owned(), Endpoint::Nothing));
            }
            continue;
        }
        own_paths(entity, &mut patterns);
    }
    patterns
}

/// The collection, its entities, and for each reference both directions.
fn own_paths(entity: &'static EntityType, patterns: &mut Vec<Pattern>) {
    let (root, name) = (entity.admin_path, entity.collection);
    let one = format!("/{root}/{{{name}}}");
    let mut add = |text: String, endpoint| patterns.push(Pattern::new(text, endpoint));
    add(format!("/{root}"), Endpoint::Collection(entity));
    add(one.clone(), Endpoint::Entity(entity));
    for field in &entity.schema().fields {
        let Some((parent, link)) = reference(entity, field.name) else {
            continue;
        };
        let parent_one = format!("/{}/{{{}}}", parent.admin_path, parent.collection);
        add(
            format!("{parent_one}/{}", entity.nested_path),
            Endpoint::Children(link),
        );
        add(
            format!("{parent_one}/{}/{{{name}}}", entity.nested_path),
            Endpoint::Child(link),
        );
        let endpoint = if (entity.collection, field.name) == ("snis", "certificate") {
            Endpoint::Nothing
        } else {
            Endpoint::Parent(ParentField {
                child: entity,
                parent,
                field: field.name,
            })
        };
        add(format!("{one}/{}", field.name), endpoint);
    }
}

fn reference(entity: &'static EntityType, field: &str) -> Option<(&'static EntityType, Link)> {
    let (field, target) = entity.references().find(|(name, _)| *name == field)?;
    let parent = entity_type(target)?;
    let link = Link {
        parent,
        child: entity,
        field,
    };
    Some((parent, link))
}

fn special() -> impl Iterator<Item = (&'static str, Endpoint)> {
    use Endpoint as E;
    let healthy = |is_healthy| E::TargetHealth { is_healthy };
    let address = |is_healthy| E::AddressHealth { is_healthy };
    [
        ("/", E::Information),
        ("/status", E::Status),
        ("/status/dns", E::DnsStatus),
        ("/endpoints", E::Endpoints),
        ("/openapi.json", E::OpenApi),
        ("/timers", E::Timers),
        ("/tags", E::Tags),
        ("/tags/{tags}", E::TagRows),
        ("/schemas/{name}", E::EntitySchema),
        ("/schemas/{db_entity_name}/validate", E::EntityValidation),
        ("/schemas/plugins/{name}", E::PluginSchema),
        ("/schemas/plugins/validate", E::PluginValidation),
        ("/schemas/vaults/{name}", E::VaultSchema),
        ("/schemas/vaults/validate", E::VaultValidation),
        ("/schemas/filters/{name}", E::FilterSchema),
        ("/plugins/enabled", E::EnabledPlugins),
        ("/plugins/schema/{name}", E::PluginSchema),
        ("/config", E::Configuration),
        ("/cache", E::Cache),
        ("/cache/{key}", E::CacheEntry),
        ("/debug/node/log-level", E::LogLevel),
        ("/debug/node/log-level/{log_level}", E::NewLogLevel),
        ("/debug/cluster/log-level/{log_level}", E::NewLogLevel),
        (
            "/debug/cluster/control-planes-nodes/log-level/{log_level}",
            E::NewLogLevel,
        ),
        ("/clustering/data-planes", E::DataPlanes),
        ("/clustering/status", E::ClusterStatus),
        ("/upstreams/{upstreams}/targets", E::Targets),
        ("/upstreams/{upstreams}/targets/all", E::AllTargets),
        ("/upstreams/{upstreams}/targets/{targets}", E::Target),
        ("/upstreams/{upstreams}/targets/{targets}/healthy", healthy(true)),
        (
            "/upstreams/{upstreams}/targets/{targets}/unhealthy",
            healthy(false),
        ),
        (
            "/upstreams/{upstreams}/targets/{targets}/{address}/healthy",
            address(true),
        ),
        (
            "/upstreams/{upstreams}/targets/{targets}/{address}/unhealthy",
            address(false),
        ),
        ("/upstreams/{upstreams}/health", E::UpstreamHealth),
        ("/routes/{routes}/filters/all", E::RouteFilters(Filters::All)),
        (
            "/routes/{routes}/filters/enabled",
            E::RouteFilters(Filters::Enabled),
        ),
        (
            "/routes/{routes}/filters/disabled",
            E::RouteFilters(Filters::Disabled),
        ),
        ("/consumer_groups/{consumer_groups}/consumers", E::Members),
        (
            "/consumer_groups/{consumer_groups}/consumers/{consumers}",
            E::Member,
        ),
        ("/consumers/{consumers}/consumer_groups", E::Groups),
        (
            "/consumers/{consumers}/consumer_groups/{consumer_groups}",
            E::Group,
        ),
    ]
    .into_iter()
}
