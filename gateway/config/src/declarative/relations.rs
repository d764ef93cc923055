//! Rules among several entities: what may occur once, and protocols that must fit together.

use super::assemble::Assembled;
use super::flatten::Drafts;
use super::identity::{Index, taken};
use super::report::{Fault, Report, key};
use serde_json::{Map, Value};
use std::collections::{HashMap, HashSet};
use tidegate_model::entities::{EntitySet, Plugin, Protocol};
use tidegate_model::ids::{RouteId, ServiceId};
use tidegate_model::schema::{PathSegment, lua_table};
use uuid::Uuid;

/// Checks everything that a single entity cannot know.
pub(super) fn check(drafts: &Drafts, index: &Index, assembled: &Assembled, report: &mut Report) {
    unique_values(drafts, index, assembled, report);
    protocols(drafts, assembled, report);
    ca_certificates(drafts, &assembled.entities, report);
}

/// Unique fields other than the name (those are known since the ids were given), and unique combinations.
fn unique_values(drafts: &Drafts, index: &Index, assembled: &Assembled, report: &mut Report) {
    let mut seen: HashSet<(&'static str, &'static str, String)> = HashSet::new();
    let mut ordered: Vec<(&usize, &Map<String, Value>)> = assembled.records.iter().collect();
    ordered.sort_by_key(|(at, _)| **at);
    for (&at, record) in ordered {
        let Some(draft) = drafts.list.get(at) else {
            continue;
        };
        let entity = draft.entity;
        if index.by_id(entity.collection, draft.id) != Some(at) {
            continue;
        }
        for field in entity
            .schema()
            .fields
            .iter()
            .filter(|field| field.unique && Some(field.name) != entity.endpoint_key)
        {
            let Some(value) = record.get(field.name).and_then(Value::as_str) else {
                continue;
            };
            if !seen.insert((entity.collection, field.name, value.to_owned())) {
                let own = entity
                    .endpoint_key
                    .and_then(|field| record.get(field))
                    .and_then(Value::as_str);
                let place = own.map_or(PathSegment::Index(draft.index), key);
                let fault = Fault::new(
                    drafts.field_path(at, field.name),
                    taken(entity.collection, field.name, value),
                );
                report.fault(
                    fault
                        .of(drafts.place(at))
                        .secret(field.secret)
                        .reported_at(vec![key(entity.collection), place]),
                );
            }
        }
        for fields in entity.unique_together {
            if let Some(dump) = combination(record, fields) {
                let first = fields.first().copied().unwrap_or_default();
                if !seen.insert((entity.collection, first, format!("\u{0}{dump}"))) {
                    let text = format!("UNIQUE violation detected on '{dump}'");
                    report.fault(
                        Fault::new(drafts.path(at), text)
                            .of(drafts.place(at))
                            .entity_check(),
                    );
                }
            }
        }
    }
}

/// The values of a unique combination as Kong shows them; none when the first is not set.
fn combination(record: &Map<String, Value>, fields: &[&str]) -> Option<String> {
    let first = fields.first()?;
    record.get(*first).filter(|value| !value.is_null())?;
    let shown = fields.iter().filter_map(|field| {
        let value = record.get(*field).cloned().unwrap_or_default();
        // Kong knows no groups here; they are named only when they matter.
        let is_hidden = *field == "consumer_group" && value.is_null();
        (!is_hidden).then(|| ((*field).to_owned(), value))
    });
    Some(lua_table(&Value::Object(shown.collect())))
}

/// A plugin must speak a protocol of the route, or of one of the routes of the service, that it is attached to.
fn protocols(drafts: &Drafts, assembled: &Assembled, report: &mut Report) {
    let entities = &assembled.entities;
    let mut of_route: HashMap<RouteId, &[Protocol]> = HashMap::with_capacity(entities.routes.len());
    let mut of_service: HashMap<ServiceId, Vec<&[Protocol]>> = HashMap::new();
    for route in &entities.routes {
        of_route.insert(route.id, &route.protocols);
        if let Some(service) = route.service {
            of_service.entry(service.id).or_default().push(&route.protocols);
        }
    }
    for (plugin, &at) in entities.plugins.iter().zip(&assembled.plugin_drafts) {
        if let Some(text) = disagreement(plugin, &of_route, &of_service) {
            let path = drafts.field_path(at, "protocols");
            report.fault(Fault::new(path, text).of(drafts.place(at)));
        }
    }
}

fn disagreement(
    plugin: &Plugin,
    of_route: &HashMap<RouteId, &[Protocol]>,
    of_service: &HashMap<ServiceId, Vec<&[Protocol]>>,
) -> Option<&'static str> {
    let meets = |protocols: &[Protocol]| {
        protocols
            .iter()
            .any(|protocol| plugin.protocols.contains(protocol))
    };
    if let Some(protocols) = plugin.route.and_then(|route| of_route.get(&route.id)) {
        return (!meets(protocols)).then_some("must match the associated route's protocols");
    }
    let routes = plugin.service.and_then(|service| of_service.get(&service.id))?;
    let none_meets = !routes.iter().any(|protocols| meets(protocols));
    none_meets.then_some("must match the protocols of at least one route pointing to this Plugin's service")
}

/// Services that trust a CA certificate which is not in the file would trust nobody.
fn ca_certificates(drafts: &Drafts, entities: &EntitySet, report: &mut Report) {
    let known: HashSet<Uuid> = entities
        .ca_certificates
        .iter()
        .map(|certificate| certificate.id.0)
        .collect();
    let wanting: HashMap<Uuid, Vec<usize>> = entities
        .services
        .iter()
        .filter_map(|service| {
            let missing = service
                .ca_certificates
                .iter()
                .flatten()
                .enumerate()
                .filter(|(_, id)| !known.contains(&id.0));
            let missing: Vec<usize> = missing.map(|(index, _)| index).collect();
            (!missing.is_empty()).then_some((service.id.0, missing))
        })
        .collect();
    if wanting.is_empty() {
        return;
    }
    for (at, draft) in drafts
        .list
        .iter()
        .enumerate()
        .filter(|(_, draft)| draft.entity.collection == "services")
    {
        for index in wanting.get(&draft.id).into_iter().flatten() {
            let mut path = drafts.field_path(at, "ca_certificates");
            path.push(PathSegment::Index(*index));
            report.warn(Fault::new(
                path,
                "no such entry in 'ca_certificates': nothing can be verified against it",
            ));
        }
    }
}
