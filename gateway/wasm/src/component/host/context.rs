//! What is known of the exchange.

use crate::abi::calls::properties;
use crate::abi::maps::Scratch;
use crate::abi::state::Head;
use crate::component::bindings::exchange::{Consumer, Entity, HostContext, Peer, Target};
use crate::component::bindings::types::Failure;
use crate::component::desk;
use crate::component::handles::Context;
use crate::component::state::State;
use bytes::Bytes;
use std::borrow::Cow;
use tidegate_plugin::Exchange;
use tokio::time::Instant;
use wasmtime::Result;
use wasmtime::component::Resource;

/// What a filter keeps in an exchange, in bytes; all its filters together.
const MAX_SCRATCH: usize = 1 << 20;
/// Bytes of a log member.
const MAX_NOTE: usize = 64 << 10;

/// Values that components share within an exchange.
#[derive(Default)]
struct Shared(Vec<(String, Vec<u8>)>);

type Handle = Resource<Context>;

impl HostContext for State {
    fn request_id(&mut self, _: Handle) -> Result<String> {
        let id = desk::exchange(|x| x.request_id.to_str().map(str::to_owned).unwrap_or_default());
        Ok(id.unwrap_or_default())
    }

    fn client(&mut self, _: Handle) -> Result<Peer> {
        let peer = desk::exchange(|x| Peer {
            address: x
                .client
                .address
                .map(|address| address.to_string())
                .unwrap_or_default(),
            port: x.client.port,
            tls_version: x.client.tls.as_ref().map(|tls| tls.version.to_owned()),
            client_cert_subject: None,
        });
        Ok(peer.unwrap_or_else(|| Peer {
            address: String::new(),
            port: 0,
            tls_version: None,
            client_cert_subject: None,
        }))
    }

    fn route(&mut self, _: Handle) -> Result<Option<Entity>> {
        Ok(desk::exchange(|x| {
            x.route().map(|route| Entity {
                id: route.id.to_string(),
                name: route.name.clone(),
                tags: tags(route.tags.as_deref()),
            })
        })
        .flatten())
    }

    fn service(&mut self, _: Handle) -> Result<Option<Entity>> {
        Ok(desk::exchange(|x| {
            x.service().map(|service| Entity {
                id: service.id.to_string(),
                name: service.name.clone(),
                tags: tags(service.tags.as_deref()),
            })
        })
        .flatten())
    }

    fn consumer(&mut self, _: Handle) -> Result<Option<Consumer>> {
        Ok(desk::exchange(|x| {
            let groups = x.authenticated_groups.as_ref();
            x.consumer().map(|entry| Consumer {
                id: entry.consumer.id.to_string(),
                username: entry.consumer.username.clone(),
                custom_id: entry.consumer.custom_id.clone(),
                credential: x.credential.as_ref().map(|credential| credential.id.to_string()),
                groups: groups.unwrap_or(&entry.acl_groups).clone(),
            })
        })
        .flatten())
    }

    fn remaining_ms(&mut self, _: Handle) -> Result<u64> {
        let whole = self.generation.options.pause_timeout_ms;
        let left = desk::with(|desk| {
            let left = desk.call.deadline?.saturating_duration_since(Instant::now());
            u64::try_from(left.as_millis()).ok()
        });
        Ok(left.flatten().unwrap_or(whole))
    }

    fn get(&mut self, _: Handle, key: String) -> Result<Option<Vec<u8>>> {
        Ok(desk::exchange(|x| {
            let shared = x.find_slot::<Shared>()?;
            let found = shared.0.iter().find(|(known, _)| *known == key);
            found.map(|(_, value)| value.clone())
        })
        .flatten())
    }

    fn set(&mut self, _: Handle, key: String, value: Option<Vec<u8>>) -> Result<()> {
        let fits = desk::exchange(|x| {
            let shared = &mut x.slot::<Shared>().0;
            shared.retain(|(known, _)| *known != key);
            shared.extend(value.map(|value| (key, value)));
            let sizes = shared.iter().map(|(key, value)| key.len() + value.len());
            sizes.sum::<usize>() <= MAX_SCRATCH
        });
        if fits == Some(false) {
            return Err(wasmtime::Error::msg("context.set: the exchange holds too much"));
        }
        Ok(())
    }

    fn property(&mut self, _: Handle, path: String) -> Result<Option<String>> {
        let mut value = Vec::new();
        let found = desk::exchange(|x| properties::find_text(x, &self.generation, &path, &mut value));
        let is_found = found == Some(true);
        Ok(is_found.then(|| String::from_utf8_lossy(&value).into_owned()))
    }

    fn set_target(&mut self, _: Handle, target: Target) -> Result<std::result::Result<(), Failure>> {
        let is_host = !target.host.is_empty() && !target.host.contains(char::is_whitespace);
        if !is_host || target.port == 0 {
            return Ok(Err(Failure::Invalid("a host and a port are expected".to_owned())));
        }
        let target = format!("{}:{}", target.host, target.port);
        Ok(choose("kong.service.target", target))
    }

    fn set_upstream(&mut self, _: Handle, name: String) -> Result<std::result::Result<(), Failure>> {
        Ok(choose("kong.service.upstream", name))
    }

    fn annotate(&mut self, _: Handle, key: String, value: String) -> Result<()> {
        if key.len() + value.len() <= MAX_NOTE {
            desk::exchange(|x| {
                let key = Cow::Owned(key);
                x.log_fields.retain(|(known, _)| *known != key);
                x.log_fields.push((key, serde_json::Value::String(value)));
            });
        }
        Ok(())
    }

    fn drop(&mut self, _: Handle) -> Result<()> {
        Ok(())
    }
}

fn tags(tags: Option<&[String]>) -> Vec<String> {
    tags.unwrap_or_default().to_vec()
}

/// Notes where the request goes, under the name that modules use.
fn choose(property: &'static str, value: String) -> std::result::Result<(), Failure> {
    let is_held = desk::with(|desk| desk.request.head == Head::Held) == Some(true);
    let put = |x: &mut Exchange| {
        let properties = &mut x.slot::<Scratch>().properties;
        properties.retain(|(key, _)| **key != *property.as_bytes());
        properties.push((Bytes::from_static(property.as_bytes()), Bytes::from(value)));
    };
    if is_held && desk::exchange(put).is_some() {
        Ok(())
    } else {
        Err(Failure::Other("the request has gone on".to_owned()))
    }
}
