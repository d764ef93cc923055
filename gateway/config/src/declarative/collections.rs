//! What a file says about collections beyond the table of the model.

use tidegate_model::entity_table::entity_table;

/// Names of all collections.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    entity_table().iter().map(|entity| entity.collection)
}

/// Collections of Kong that carry nothing that a gateway runs on.
pub(super) const IGNORED: [&str; 3] = ["workspaces", "parameters", "licenses"];

/// Collections that decK writes or Kong knows and that have no meaning here, with the reason.
pub(super) fn unsupported(name: &str) -> Option<&'static str> {
    Some(match name {
        "partials" => {
            "shared parts of plugin configurations are not supported; write them into each plugin, or use `_plugin_configs`"
        }
        "rbac_roles" | "rbac_role_endpoints" => {
            "roles of Kong's Enterprise Admin API are not supported; remove them from the file"
        }
        "custom_entities" | "degraphql_routes" | "graphql_ratelimiting_cost_decorations" => {
            "entities of plugins that are not part of this gateway are not supported"
        }
        "service_packages" => "service packages belong to Kong's hosted portal; remove them from the file",
        "cloned_plugins" | "custom_plugins" => {
            "plugins written in Lua cannot run here; a Wasm filter can take their place"
        }
        "mtls_auth_credentials" => "credentials of the mtls-auth plugin are not supported yet",
        _ => return None,
    })
}
