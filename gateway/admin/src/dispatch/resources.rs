//! Collections, entities, and both directions of a reference.

use super::Ask;
use crate::api::AdminApi;
use crate::bodies::{Content, Types};
use crate::crud::{self, Place};
use crate::entities::certificates::{self, Names};
use crate::entities::{consumers, groups};
use crate::errors::ApiError;
use crate::keys::Within;
use crate::paths::{Link, ParentField};
use crate::records::{Record, reference_id};
use crate::reply::Reply;
use crate::writing::{Desk, Writing};
use crate::{lists, shown};
use http::{Method, StatusCode};
use serde_json::{Value, json};
use std::sync::Arc;
use tidegate_model::entity_table::EntityType;
use tidegate_store::{Catalog, Row};

/// What was sent, typed by the tables.
pub(super) fn record(desk: &Desk, entity: &EntityType, content: Content) -> Result<Record, ApiError> {
    record_for(desk, entity, None, content)
}

/// As [`record`], for an entity that may be there already.
fn record_for(
    desk: &Desk,
    entity: &EntityType,
    existing: Option<&Row>,
    content: Content,
) -> Result<Record, ApiError> {
    let is_plugin = entity.collection == "plugins";
    let there = existing.filter(|_| is_plugin).map(Row::value);
    let name = there.as_ref().and_then(|record| record.get("name"));
    let types = Types {
        schema: entity.schema(),
        plugins: is_plugin.then_some(&*desk.plugins),
        plugin: name.and_then(Value::as_str),
        lists: if entity.collection == "certificates" {
            &["snis"]
        } else {
            &[]
        },
    };
    content.into_record(&types)
}

fn created(text: String) -> Reply {
    Reply::text(StatusCode::CREATED, text)
}

fn found(text: String) -> Reply {
    Reply::text(StatusCode::OK, text)
}

fn show(desk: &Desk, catalog: &Catalog, entity: &EntityType, row: &Row) -> String {
    shown::text(catalog, entity.collection, row, desk.now).into_owned()
}

impl AdminApi {
    pub(super) async fn collection(&self, entity: &'static EntityType, ask: Ask) -> Result<Reply, ApiError> {
        let desk = self.desk();
        if ask.method == Method::POST {
            return self.create(desk, entity, None, ask).await;
        }
        let catalog = self.store.catalog();
        if entity.collection == "consumers"
            && let Some(list) = consumers::by_custom_id(&catalog, &ask.arguments, desk.now)?
        {
            return Ok(found(list));
        }
        let page = lists::page(&catalog, entity, None, &ask.paging(self, desk.now))?;
        Ok(found(page))
    }

    pub(super) async fn children(&self, link: Link, ask: Ask) -> Result<Reply, ApiError> {
        let desk = self.desk();
        let catalog = self.store.catalog();
        let parent = self.place_of_parent(&desk, &catalog, link.parent, ask.name(0))?;
        let parent = crud::read(&desk, &catalog, &parent)?;
        if ask.method == Method::POST {
            let within = Within {
                field: link.field,
                parent: parent.id(),
            };
            return self.create(desk, link.child, Some(within), ask).await;
        }
        let of = Some((link.field, parent.id()));
        let page = lists::page(&catalog, link.child, of, &ask.paging(self, desk.now))?;
        Ok(found(page))
    }

    fn place_of_parent(
        &self,
        desk: &Desk,
        catalog: &Catalog,
        entity: &'static EntityType,
        name: &str,
    ) -> Result<Place, ApiError> {
        match entity.collection {
            "certificates" => certificates::place(desk, catalog, entity, name),
            _ => Place::new(entity, name),
        }
    }

    async fn create(
        &self,
        mut desk: Desk,
        entity: &'static EntityType,
        within: Option<Within>,
        ask: Ask,
    ) -> Result<Reply, ApiError> {
        desk.hashes_passwords = !ask.arguments.is_on("skip_hash");
        let sent = record(&desk, entity, ask.content)?;
        let text = self
            .write(desk, move |desk, writing| {
                let row = create(desk, writing, entity, within, sent.clone())?;
                Ok(show(desk, writing, entity, &row))
            })
            .await?;
        Ok(created(text))
    }

    pub(super) async fn entity(&self, entity: &'static EntityType, ask: Ask) -> Result<Reply, ApiError> {
        let desk = self.desk();
        let catalog = self.store.catalog();
        let name = ask.name(0);
        let place = match (entity.collection, &ask.method) {
            ("certificates", &Method::PUT) => certificates::place_to_write(&desk, &catalog, entity, name)?,
            _ => self.place_of_parent(&desk, &catalog, entity, name)?,
        };
        if entity.collection == "consumer_groups" && ask.method == Method::GET {
            let group = crud::read(&desk, &catalog, &place)?;
            return Ok(found(groups::show(&catalog, &group, &ask.arguments)));
        }
        self.one(desk, place, ask).await
    }

    pub(super) async fn child(&self, link: Link, ask: Ask) -> Result<Reply, ApiError> {
        let desk = self.desk();
        let catalog = self.store.catalog();
        let parent = self.place_of_parent(&desk, &catalog, link.parent, ask.name(0))?;
        let parent = crud::read(&desk, &catalog, &parent)?;
        let within = Within {
            field: link.field,
            parent: parent.id(),
        };
        let place = Place::within(link.child, ask.name(1), within)?;
        self.one(desk, place, ask).await
    }

    /// GET, PUT, PATCH and DELETE of one entity.
    async fn one(&self, mut desk: Desk, place: Place, ask: Ask) -> Result<Reply, ApiError> {
        let entity = place.entity;
        if ask.method == Method::GET {
            let catalog = self.store.catalog();
            let row = crud::read(&desk, &catalog, &place)?;
            return Ok(found(show(&desk, &catalog, entity, &row)));
        }
        if ask.method == Method::DELETE {
            let remove =
                move |desk: &Desk, writing: &mut Writing<'_, '_>| crud::remove(desk, writing, &place);
            self.write(desk, remove).await?;
            return Ok(Reply::no_content());
        }
        desk.hashes_passwords = !ask.arguments.is_on("skip_hash");
        let is_whole = ask.method == Method::PUT;
        let existing = place.find(&self.store.catalog());
        let sent = record_for(&desk, entity, existing.as_deref(), ask.content)?;
        let text = self
            .write(desk, move |desk, writing| {
                let row = write(desk, writing, &place, is_whole, sent.clone())?;
                Ok(show(desk, writing, entity, &row))
            })
            .await?;
        Ok(found(text))
    }

    /// The entity that a field points to.
    pub(super) async fn parent(&self, field: ParentField, ask: Ask) -> Result<Reply, ApiError> {
        let desk = self.desk();
        let catalog = self.store.catalog();
        let child = crud::read(&desk, &catalog, &Place::new(field.child, ask.name(0))?)?;
        let linked = reference_id(&child.value(), field.field);
        let place = linked.map(|id| Place::of_id(field.parent, id));
        match (&ask.method, place) {
            (&Method::DELETE, Some(_)) => Ok(Reply::method_not_allowed()),
            (_, Some(place)) => self.one(desk, place, ask).await,
            (&Method::PUT, None) => {
                let sent = record(&desk, field.parent, ask.content)?;
                let text = self
                    .write(desk, move |desk, writing| {
                        let parent = create(desk, writing, field.parent, None, sent.clone())?;
                        link(desk, writing, field, &child, &parent)?;
                        Ok(show(desk, writing, field.parent, &parent))
                    })
                    .await?;
                Ok(found(text))
            }
            (_, None) => Err(ApiError::missing()),
        }
    }
}

/// Points a field of a child to its new parent.
fn link(
    desk: &Desk,
    writing: &mut Writing<'_, '_>,
    field: ParentField,
    child: &Row,
    parent: &Row,
) -> Result<(), ApiError> {
    let reference = json!({ "id": parent.id().to_string() });
    let sent = Record::from_iter([(field.field.to_owned(), reference)]);
    crud::change(desk, writing, &Place::of_id(field.child, child.id()), sent)?;
    Ok(())
}

fn create(
    desk: &Desk,
    writing: &mut Writing<'_, '_>,
    entity: &'static EntityType,
    within: Option<Within>,
    mut sent: Record,
) -> Result<Arc<Row>, ApiError> {
    if entity.collection != "certificates" {
        return crud::create(desk, writing, entity, within, sent);
    }
    let names = Names::take(desk, &mut sent)?;
    names.check_free(writing, None)?;
    let row = crud::create(desk, writing, entity, within, sent)?;
    names.write(desk, writing, &row)?;
    Ok(row)
}

fn write(
    desk: &Desk,
    writing: &mut Writing<'_, '_>,
    place: &Place,
    is_whole: bool,
    mut sent: Record,
) -> Result<Arc<Row>, ApiError> {
    let write = if is_whole { crud::replace } else { crud::change };
    if place.entity.collection != "certificates" {
        return write(desk, writing, place, sent);
    }
    let names = Names::take(desk, &mut sent)?;
    let names = if is_whole { names.or_none() } else { names };
    let existing = place.find(writing).map(|row| row.id());
    names.check_free(writing, existing)?;
    let row = write(desk, writing, place, sent)?;
    names.write(desk, writing, &row)?;
    Ok(row)
}
