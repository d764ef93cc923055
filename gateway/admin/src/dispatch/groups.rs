//! Members of consumer groups, seen from both sides.

use super::Ask;
use crate::api::AdminApi;
use crate::bodies::Types;
use crate::entities::groups::{self, Side};
use crate::entities::table_row;
use crate::errors::ApiError;
use crate::paths::Endpoint;
use crate::reply::Reply;
use crate::writing::{Desk, Writing};
use http::{Method, StatusCode};

impl AdminApi {
    pub(super) async fn memberships(&self, endpoint: Endpoint, ask: Ask) -> Result<Reply, ApiError> {
        let desk = self.desk();
        let side = match endpoint {
            Endpoint::Members | Endpoint::Member => Side::OfGroup,
            _ => Side::OfConsumer,
        };
        let is_one = matches!(endpoint, Endpoint::Member | Endpoint::Group);
        let catalog = self.store.catalog();
        let own = groups::own(&desk, &catalog, side, ask.name(0))?;
        match (&ask.method, is_one) {
            (&Method::GET, true) => {
                let member = groups::member(&catalog, side, &own, ask.name(1))?;
                Ok(Reply::text(StatusCode::OK, member.text().to_owned()))
            }
            (&Method::GET, false) => {
                let page = groups::page(&catalog, side, &own, &ask.paging(self, desk.now))?;
                Ok(Reply::text(StatusCode::OK, page))
            }
            (&Method::POST, _) => {
                let types = Types {
                    schema: table_row("consumer_groups")?.schema(),
                    plugins: None,
                    plugin: None,
                    lists: &[],
                };
                let sent = ask.content.into_record(&types)?;
                let added = self
                    .write(desk, move |desk, writing| {
                        groups::add(desk, writing, side, &own, &sent)
                    })
                    .await?;
                Ok(Reply::json(StatusCode::CREATED, &added))
            }
            _ => {
                let name = is_one.then(|| ask.name(1).to_owned());
                let remove = move |_: &Desk, writing: &mut Writing<'_, '_>| match &name {
                    Some(name) => groups::remove(writing, side, &own, name),
                    None => groups::clear(writing, side, &own),
                };
                self.write(desk, remove).await?;
                Ok(Reply::no_content())
            }
        }
    }
}
