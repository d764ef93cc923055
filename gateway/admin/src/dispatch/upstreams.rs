//! Targets of an upstream and their health.

use super::{Ask, resources};
use crate::api::AdminApi;
use crate::entities::{health, table_row, targets};
use crate::errors::ApiError;
use crate::paths::Endpoint;
use crate::reply::Reply;
use crate::{crud, lists};
use http::{Method, StatusCode};

impl AdminApi {
    pub(super) async fn targets(&self, ask: Ask) -> Result<Reply, ApiError> {
        let desk = self.desk();
        let catalog = self.store.catalog();
        let upstream = targets::upstream(&desk, &catalog, ask.name(0))?;
        if ask.method == Method::GET {
            let page = targets::page(&catalog, &upstream, &ask.paging(self, desk.now))?;
            return Ok(Reply::text(StatusCode::OK, page));
        }
        let entity = table_row("targets")?;
        let sent = resources::record(&desk, entity, ask.content)?;
        let text = self
            .write(desk, move |desk, writing| {
                let within = Some(targets::within(&upstream));
                let row = crud::create(desk, writing, entity, within, sent.clone())?;
                Ok(row.text().to_owned())
            })
            .await?;
        Ok(Reply::text(StatusCode::CREATED, text))
    }

    pub(super) async fn target(&self, ask: Ask) -> Result<Reply, ApiError> {
        let desk = self.desk();
        let catalog = self.store.catalog();
        let upstream = targets::upstream(&desk, &catalog, ask.name(0))?;
        let name = ask.name(1).to_owned();
        match ask.method {
            Method::GET => {
                let row = targets::find(&catalog, &upstream, &name).ok_or_else(ApiError::missing)?;
                Ok(Reply::text(StatusCode::OK, row.text().to_owned()))
            }
            Method::DELETE => {
                self.write(desk, move |_, writing| {
                    let row = targets::find(writing, &upstream, &name).ok_or_else(ApiError::missing)?;
                    writing.delete("targets", None, row.id())
                })
                .await?;
                Ok(Reply::no_content())
            }
            method => {
                let is_put = method == Method::PUT;
                let sent = resources::record(&desk, table_row("targets")?, ask.content)?;
                let text = self
                    .write(desk, move |desk, writing| {
                        let row = targets::write(desk, writing, &upstream, &name, is_put, sent.clone())?;
                        Ok(row.text().to_owned())
                    })
                    .await?;
                Ok(Reply::text(StatusCode::OK, text))
            }
        }
    }

    pub(super) fn read_upstream(&self, endpoint: Endpoint, ask: &Ask) -> Result<Reply, ApiError> {
        let desk = self.desk();
        let catalog = self.store.catalog();
        let upstream = targets::upstream(&desk, &catalog, ask.name(0))?;
        if let Endpoint::UpstreamHealth = endpoint {
            let of_balancer = ask.arguments.is_on("balancer_health");
            let shown = health::show(&*self.node, &catalog, &upstream, of_balancer);
            return Ok(Reply::ok(&shown));
        }
        let of = Some(("upstream", upstream.id()));
        let page = lists::page(&catalog, table_row("targets")?, of, &ask.paging(self, desk.now))?;
        Ok(Reply::text(StatusCode::OK, page))
    }

    pub(super) fn set_health(
        &self,
        ask: &Ask,
        address: Option<&str>,
        is_healthy: bool,
    ) -> Result<Reply, ApiError> {
        let catalog = self.store.catalog();
        let upstream = targets::upstream(&self.desk(), &catalog, ask.name(0))?;
        let target = targets::find(&catalog, &upstream, ask.name(1)).ok_or_else(ApiError::missing)?;
        health::set(&*self.node, &upstream, &target, address, is_healthy)?;
        Ok(Reply::no_content())
    }
}
