//! The current state: every list of the Admin API, within the tags in force.

use crate::client::Client;
use crate::compare::drop_unset;
use crate::error::Error;
use crate::kinds::Kind;
use crate::state::{Entity, State};
use futures_util::{StreamExt, TryStreamExt, future, stream};
use serde_json::{Map, Value, json};

/// What counts as the current state.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scope<'s> {
    /// Entities that lack one of these are not seen.
    pub tags: &'s [String],
    pub skips_consumers: bool,
    pub skips_ca_certificates: bool,
    pub skips_memberships: bool,
    /// Requests at a time.
    pub parallelism: usize,
}

impl Scope<'_> {
    pub(crate) fn covers(&self, kind: Kind) -> bool {
        match kind {
            Kind::Consumer | Kind::ConsumerGroup => !self.skips_consumers,
            Kind::Membership => !self.skips_consumers && !self.skips_memberships,
            Kind::CaCertificate => !self.skips_ca_certificates,
            _ => !(kind.is_credential() && self.skips_consumers),
        }
    }

    fn covers_entity(&self, entity: &Entity) -> bool {
        let is_of_consumers = || {
            ["consumer", "consumer_group"]
                .iter()
                .any(|field| entity.body.contains_key(*field))
        };
        !(self.skips_consumers && entity.kind == Kind::Plugin && is_of_consumers())
    }
}

pub(crate) async fn current(client: &Client<'_>, scope: Scope<'_>) -> Result<State, Error> {
    let kinds = Kind::ALL.into_iter().filter(|kind| scope.covers(*kind));
    let lists = kinds
        .filter(|kind| !is_below_others(*kind, client))
        .map(|kind| list(client, kind, scope.tags));
    let lists = future::try_join_all(lists).await?;
    let mut state = State::default();
    for entity in lists
        .into_iter()
        .flatten()
        .filter(|entity| scope.covers_entity(entity))
    {
        state.admit(entity);
    }
    if !client.is_konnect {
        let upstreams = state
            .rows(Kind::Upstream)
            .iter()
            .map(|upstream| upstream.id.clone());
        let targets = each(upstreams.collect(), scope, |id| async move {
            targets(client, &id, scope.tags).await
        });
        for target in targets.await? {
            state.admit(target);
        }
    }
    if scope.covers(Kind::Membership) {
        let groups = state
            .rows(Kind::ConsumerGroup)
            .iter()
            .map(|group| group.id.clone());
        let members = each(
            groups.collect(),
            scope,
            |id| async move { members(client, &id).await },
        );
        for member in members.await? {
            state.admit(member);
        }
    }
    Ok(state)
}

/// Whether entities of this kind have no list of their own.
const fn is_below_others(kind: Kind, client: &Client<'_>) -> bool {
    match kind {
        Kind::Membership => true,
        Kind::Target => !client.is_konnect,
        // The hosted control plane has none.
        Kind::OAuth2 => client.is_konnect,
        _ => false,
    }
}

/// Asks once for each id, several at a time.
async fn each<F>(ids: Vec<String>, scope: Scope<'_>, ask: impl Fn(String) -> F) -> Result<Vec<Entity>, Error>
where
    F: Future<Output = Result<Vec<Entity>, Error>>,
{
    let answers = stream::iter(ids)
        .map(ask)
        .buffer_unordered(scope.parallelism.max(1));
    let lists: Vec<Vec<Entity>> = answers.try_collect().await?;
    Ok(lists.into_iter().flatten().collect())
}

/// All entities of a kind that has a list; none when the server does not know the kind.
pub(crate) async fn list(client: &Client<'_>, kind: Kind, tags: &[String]) -> Result<Vec<Entity>, Error> {
    let tags = if kind == Kind::MtlsAuth { &[] } else { tags };
    let listed = client.list(&format!("/{}", kind.list_path()), tags).await;
    match listed {
        Ok(list) => Ok(list
            .into_iter()
            .filter_map(|members| entity(kind, members))
            .collect()),
        Err(error)
            if error
                .status()
                .is_some_and(|status| kind.row().absent.contains(&status)) =>
        {
            Ok(Vec::new())
        }
        Err(error) => Err(error.during(format!("reading {}", kind.row().collection))),
    }
}

async fn targets(client: &Client<'_>, upstream: &str, tags: &[String]) -> Result<Vec<Entity>, Error> {
    let listed = client.list(&format!("/upstreams/{upstream}/targets"), tags).await;
    let listed = listed.map_err(|error| error.during(format!("reading targets of upstream {upstream}")))?;
    Ok(listed
        .into_iter()
        .filter_map(|members| entity(Kind::Target, members))
        .collect())
}

/// Who is in a group.
async fn members(client: &Client<'_>, group: &str) -> Result<Vec<Entity>, Error> {
    let mut answer = client.get(&format!("/consumer_groups/{group}")).await?;
    let consumers = match answer.get_mut("consumers").map(Value::take) {
        Some(Value::Array(consumers)) => consumers,
        _ => {
            let listed = client
                .list(&format!("/consumer_groups/{group}/consumers"), &[])
                .await;
            listed?.into_iter().map(Value::Object).collect()
        }
    };
    let ids = consumers
        .iter()
        .filter_map(|consumer| consumer.get("id").and_then(Value::as_str));
    Ok(ids.map(|consumer| membership(consumer, group)).collect())
}

/// A consumer in a group.
pub(crate) fn membership(consumer: &str, group: &str) -> Entity {
    let body = [
        ("consumer".to_owned(), json!({ "id": consumer })),
        ("consumer_group".to_owned(), json!({ "id": group })),
    ];
    Entity {
        kind: Kind::Membership,
        id: format!("{group}/{consumer}"),
        body: Map::from_iter(body),
    }
}

fn entity(kind: Kind, mut members: Map<String, Value>) -> Option<Entity> {
    let id = members.get("id")?.as_str()?.to_owned();
    members.retain(|name, _| kind.has_field(name));
    drop_unset(&mut members);
    Some(Entity {
        kind,
        id,
        body: members,
    })
}
