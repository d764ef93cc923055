//! TLS set-ups towards upstreams, made once per service and server name.

use crate::worker::{UpstreamTlsFor, Worker};
use hashbrown::HashMap;
use http::HeaderValue;
use rustls::pki_types::ServerName;
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use tidegate_model::entities::Service;
use tidegate_model::ids::ServiceId;
use tidegate_net::connect::split_port;
use tidegate_net::tls::UpstreamTls;
use tidegate_plan::PlannedService;

/// A TLS set-up with the name that is verified.
pub(crate) struct TlsTarget {
    /// Tells connections of different set-ups apart in the pool; never 0.
    pub(crate) id: u64,
    pub(crate) config: Arc<UpstreamTls>,
    pub(crate) server_name: ServerName<'static>,
}

/// Bound of server names kept per worker; beyond it the cache starts anew.
const MAX_TARGETS: usize = 10_000;

/// By service, Host and whether HTTP/2 is a must.
type Known = HashMap<(Option<ServiceId>, Box<[u8]>, bool), Rc<TlsTarget>>;

/// The worker's set-ups for one snapshot.
#[derive(Default)]
pub(crate) struct TlsTargets {
    known: RefCell<Known>,
    ids: RefCell<HashMap<(u64, Box<str>), u64>>,
}

impl TlsTargets {
    /// The set-up for a service and the Host that it is sent (kong-core F.7: the name without its port).
    pub(crate) fn get(
        &self,
        service: &PlannedService,
        host: &HeaderValue,
        http2: bool,
        worker: &Worker,
    ) -> Result<Rc<TlsTarget>, String> {
        self.find(Some(&service.service), host, http2, worker)
    }

    /// The set-up for a host that no service names.
    pub(crate) fn of_host(
        &self,
        host: &HeaderValue,
        http2: bool,
        worker: &Worker,
    ) -> Result<Rc<TlsTarget>, String> {
        self.find(None, host, http2, worker)
    }

    fn find(
        &self,
        service: Option<&Service>,
        host: &HeaderValue,
        http2: bool,
        worker: &Worker,
    ) -> Result<Rc<TlsTarget>, String> {
        let key = (
            service.map(|service| service.id),
            Box::from(host.as_bytes()),
            http2,
        );
        if let Some(known) = self.known.borrow().get(&key) {
            return Ok(Rc::clone(known));
        }
        let text = host.to_str().map_err(|error| error.to_string())?;
        let (name, _) = split_port(text);
        let server_name =
            ServerName::try_from(name.to_owned()).map_err(|_| format!("'{name}' is not a server name"))?;
        let config = worker.shared.upstream_tls(UpstreamTlsFor { service, http2 })?;
        let id = worker.tls_targets.id_of(config.id(), name);
        let target = Rc::new(TlsTarget {
            id,
            config,
            server_name,
        });
        let mut known = self.known.borrow_mut();
        if known.len() >= MAX_TARGETS {
            known.clear();
        }
        known.insert(key, Rc::clone(&target));
        Ok(target)
    }

    /// Forgets everything: the snapshot changed.
    pub(crate) fn clear(&self) {
        self.known.borrow_mut().clear();
    }

    /// A number that stands for a set-up and a name, the same for the life of the worker: connections outlive
    /// snapshots.
    fn id_of(&self, config: u64, name: &str) -> u64 {
        let mut ids = self.ids.borrow_mut();
        let next = ids.len() as u64 + 1;
        *ids.entry((config, Box::from(name))).or_insert(next)
    }
}
