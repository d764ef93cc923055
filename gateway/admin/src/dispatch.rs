//! From an endpoint and a method to the function that answers.

use crate::api::AdminApi;
use crate::arguments::Arguments;
use crate::bodies::Content;
use crate::declarative_config::{self, NEEDS_NO_DATABASE, Request};
use crate::entities::{filters, table_row};
use crate::errors::ApiError;
use crate::lists::Paging;
use crate::paths::{Endpoint, Filters};
use crate::reply::Reply;
use crate::{information, node_control, openapi, schemas, tags};
use bytes::Bytes;
use http::{Method, StatusCode};
use serde_json::json;
use std::sync::Arc;
use tidegate_store::Catalog;

mod groups;
mod resources;
mod upstreams;

/// A request that was understood as far as its endpoint needs no knowledge.
#[derive(Debug)]
pub(crate) struct Ask {
    pub(crate) method: Method,
    /// Without a slash at the end.
    pub(crate) path: String,
    /// What stands in the places of the pattern.
    pub(crate) names: Vec<String>,
    pub(crate) arguments: Arguments,
    pub(crate) content: Content,
    /// The text of the body, where that matters.
    pub(crate) body: Bytes,
}

impl Ask {
    pub(crate) fn name(&self, position: usize) -> &str {
        self.names.get(position).map_or("", String::as_str)
    }

    pub(crate) fn paging<'a>(&'a self, api: &AdminApi, now: f64) -> Paging<'a> {
        Paging {
            path: &self.path,
            arguments: &self.arguments,
            has_database: api.has_database(),
            now,
        }
    }
}

const NO_FILTERS: &str = "this endpoint is only available when wasm is enabled";

impl AdminApi {
    pub(crate) async fn dispatch(&self, endpoint: Endpoint, ask: Ask) -> Result<Reply, ApiError> {
        if endpoint.is_about_filters() && !self.node.has_filters() {
            return Err(ApiError::bad_request(NO_FILTERS));
        }
        match endpoint {
            Endpoint::Collection(entity) => self.collection(entity, ask).await,
            Endpoint::Entity(entity) => self.entity(entity, ask).await,
            Endpoint::Children(link) => self.children(link, ask).await,
            Endpoint::Child(link) => self.child(link, ask).await,
            Endpoint::Parent(field) => self.parent(field, ask).await,
            Endpoint::Targets => self.targets(ask).await,
            Endpoint::Target => self.target(ask).await,
            Endpoint::AllTargets | Endpoint::UpstreamHealth => self.read_upstream(endpoint, &ask),
            Endpoint::TargetHealth { is_healthy } => self.set_health(&ask, None, is_healthy),
            Endpoint::AddressHealth { is_healthy } => self.set_health(&ask, Some(ask.name(2)), is_healthy),
            Endpoint::Members | Endpoint::Member | Endpoint::Groups | Endpoint::Group => {
                self.memberships(endpoint, ask).await
            }
            Endpoint::Configuration => self.configuration(ask).await,
            Endpoint::EntityValidation | Endpoint::PluginValidation | Endpoint::VaultValidation => {
                self.validate(endpoint, ask)
            }
            other => self.show(other, &ask),
        }
    }

    /// What is only read, or concerns the node alone.
    fn show(&self, endpoint: Endpoint, ask: &Ask) -> Result<Reply, ApiError> {
        let (node, catalog) = (&*self.node, self.store.catalog());
        let now = self.desk().now;
        Ok(match endpoint {
            Endpoint::Information => Reply::ok(&information::node(node, &catalog)),
            Endpoint::Status => {
                let database = self.has_database().then_some(&self.store);
                let hash = self.configuration_hash();
                Reply::ok(&information::status(node, database, &hash, &ask.arguments)?)
            }
            Endpoint::DnsStatus => {
                let text = "not implemented with the legacy DNS client";
                Reply::message(StatusCode::NOT_IMPLEMENTED, text)
            }
            Endpoint::Endpoints => Reply::ok(&information::endpoints()),
            Endpoint::OpenApi => Reply::ok(&openapi::document(&node.identity().product)),
            Endpoint::Explanation => information::explanation(node, &ask.arguments)?,
            Endpoint::Timers => Reply::ok(&information::timers(&node.activity())),
            Endpoint::Tags => Reply::text(
                StatusCode::OK,
                tags::page(&catalog, None, &ask.paging(self, now))?,
            ),
            Endpoint::TagRows => {
                let tag = ask.name(0);
                tags::check(table_row("services")?.schema(), tag)?;
                Reply::text(
                    StatusCode::OK,
                    tags::page(&catalog, Some(tag), &ask.paging(self, now))?,
                )
            }
            Endpoint::EntitySchema => Reply::ok(&schemas::of_entity(&self.options.context, ask.name(0))?),
            Endpoint::PluginSchema => Reply::ok(&schemas::of_plugin(&*node.plugins(), ask.name(0))?),
            Endpoint::VaultSchema => Reply::ok(&schemas::of_vault(&self.options.context, ask.name(0))?),
            Endpoint::FilterSchema => Reply::ok(&schemas::of_filter(node, ask.name(0))?),
            Endpoint::EnabledPlugins => Reply::ok(&json!({ "enabled_plugins": node.plugins().names() })),
            Endpoint::Cache => {
                node.forget(None);
                Reply::no_content()
            }
            Endpoint::CacheEntry if ask.method == Method::DELETE => {
                node.forget(Some(ask.name(0)));
                Reply::no_content()
            }
            Endpoint::CacheEntry => node_control::cached(node, ask.name(0))?,
            Endpoint::LogLevel => node_control::log_level(node),
            Endpoint::NewLogLevel => {
                node_control::set_log_level(node, self.has_database(), ask.name(0), &ask.arguments)?
            }
            Endpoint::DataPlanes => node_control::data_planes(node)?,
            Endpoint::ClusterStatus => node_control::cluster_status(node)?,
            Endpoint::RouteFilters(which) => self.route_filters(&catalog, ask, which)?,
            _ => Reply::not_found(),
        })
    }

    fn route_filters(&self, catalog: &Catalog, ask: &Ask, which: Filters) -> Result<Reply, ApiError> {
        let place = crate::crud::Place::new(table_row("routes")?, ask.name(0))?;
        let route = crate::crud::read(&self.desk(), catalog, &place)?;
        Ok(Reply::ok(&filters::of_route(catalog, &route, which)))
    }

    fn validate(&self, endpoint: Endpoint, ask: Ask) -> Result<Reply, ApiError> {
        let entity = match endpoint {
            Endpoint::PluginValidation => table_row("plugins")?,
            Endpoint::VaultValidation => table_row("vaults")?,
            _ => schemas::entity(ask.name(0))?,
        };
        let desk = self.desk();
        let sent = resources::record(&desk, entity, ask.content)?;
        Ok(Reply::ok(&schemas::validate(&desk, entity, sent)?))
    }

    async fn configuration(&self, ask: Ask) -> Result<Reply, ApiError> {
        if self.has_database() {
            return Err(ApiError::bad_request(NEEDS_NO_DATABASE));
        }
        if ask.method == Method::GET {
            return Ok(Reply::ok(&declarative_config::export(&self.store.catalog())?));
        }
        let is_on = |request: &Request, option| ask.arguments.is_on(option) || request.is_on(option);
        let request = Request::read(ask.content, &ask.body)?;
        if is_on(&request, "check_hash") && request.is_same(&self.configuration_hash()) {
            return Ok(Reply::text(StatusCode::NOT_MODIFIED, String::new()));
        }
        let desk = self.desk();
        let limits = self.options.limits.clone();
        let loaded = request.load(&desk, limits, is_on(&request, "flatten_errors"))?;
        self.replace_all(desk, Arc::new(loaded.entities), &loaded.content_hash)
            .await?;
        let body = declarative_config::flattened(&self.store.catalog());
        Ok(Reply::text(StatusCode::CREATED, body))
    }
}

impl Endpoint {
    fn is_about_filters(&self) -> bool {
        const CHAINS: &str = "filter_chains";
        match self {
            Self::Collection(entity) | Self::Entity(entity) => entity.collection == CHAINS,
            Self::Children(link) | Self::Child(link) => link.child.collection == CHAINS,
            Self::Parent(field) => field.child.collection == CHAINS,
            Self::RouteFilters(_) => true,
            _ => false,
        }
    }
}
