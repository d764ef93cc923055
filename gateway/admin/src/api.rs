//! One request to one answer: who may ask, where it leads, what it carries; and the headers that every answer has.

use crate::access::{AdminToken, AuditEntry, AuditLog};
use crate::arguments::Arguments;
use crate::bodies::{Content, Yaml};
use crate::cors::{self, Origins};
use crate::declarative_config::{self, NO_CONFIGURATION};
use crate::dispatch::Ask;
use crate::errors::ApiError;
use crate::node::Node;
use crate::paths::{self, Endpoint, Pattern};
use crate::reply::Reply;
use crate::writing::{Desk, Writing};
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HeaderName, SERVER, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};
use tidegate_config::declarative::Limits;
use tidegate_model::entities::EntitySet;
use tidegate_model::schema::Context;
use tidegate_store::{Store, TransactError};

/// Where entities come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Single entities are written.
    Database,
    /// Entities come all at once, by a declarative configuration; single ones are only read.
    Declarative,
}

/// How the Admin API behaves.
#[derive(Clone)]
pub struct Options {
    /// Where entities come from.
    pub mode: Mode,
    /// What the validity of entities depends on.
    pub context: Context,
    /// Bounds on declarative configurations.
    pub limits: Limits,
    /// Bytes of a body at most; Kong's default is 10 MiB.
    pub max_body: usize,
    /// Web pages that may use it, e.g. `http://localhost:8002`. Empty: all, as in Kong.
    pub origins: Vec<String>,
    /// Whether answers name the product (`headers` has `server_tokens` or `Server`).
    pub shows_server: bool,
    /// Whether answers tell how long they took (`headers` has `latency_tokens` or `X-Kong-Admin-Latency`).
    pub shows_latency: bool,
    /// What requests must carry.
    pub token: Option<AdminToken>,
    /// Who is told of requests.
    pub audit: Option<Arc<dyn AuditLog>>,
}

impl Options {
    /// Default of [`Self::max_body`].
    pub const MAX_BODY: usize = 10 << 20;

    /// Kong's defaults.
    #[must_use]
    pub fn new(mode: Mode) -> Self {
        Self {
            mode,
            context: Context::default(),
            limits: Limits::default(),
            max_body: Self::MAX_BODY,
            origins: Vec::new(),
            shows_server: true,
            shows_latency: true,
            token: None,
            audit: None,
        }
    }
}

/// The Admin API of one gateway.
pub struct AdminApi {
    pub(crate) store: Store,
    pub(crate) node: Arc<dyn Node>,
    pub(crate) options: Options,
    origins: Origins,
    /// What `Server` says.
    product: Option<HeaderValue>,
    configuration_hash: Mutex<String>,
}

const LATENCY: HeaderName = HeaderName::from_static("x-kong-admin-latency");

impl AdminApi {
    /// Over a store, in a gateway.
    #[must_use]
    pub fn new(store: Store, node: Arc<dyn Node>, options: Options) -> Self {
        Self {
            store,
            product: HeaderValue::from_str(&node.identity().product)
                .ok()
                .filter(|_| options.shows_server),
            node,
            origins: Origins::new(&options.origins),
            options,
            configuration_hash: Mutex::new(NO_CONFIGURATION.to_owned()),
        }
    }

    /// Hash of the declarative configuration that was loaded last; 32 zeros before any.
    #[must_use]
    pub fn configuration_hash(&self) -> String {
        self.configuration_hash.lock().clone()
    }

    /// Puts the entities of a declarative configuration in the place of all others and waits until they serve.
    ///
    /// # Errors
    /// Why they cannot be stored; everything is then as before.
    pub async fn load(&self, entities: Arc<EntitySet>, content_hash: &str) -> Result<(), String> {
        let replaced = self.replace_all(self.desk(), entities, content_hash).await;
        replaced.map_err(|refusal| refusal.to_string())
    }

    /// Shows the entities of a declarative configuration that serve already, in the place of all others. Returns the
    /// version of the store that holds them.
    ///
    /// # Errors
    /// Why they cannot be stored; everything is then as before.
    pub async fn mirror(&self, entities: Arc<EntitySet>, content_hash: &str) -> Result<u64, String> {
        let replaced = self.replace(self.desk(), entities, content_hash).await;
        replaced.map_err(|refusal| refusal.to_string())
    }

    /// Whether a request with these headers may pass.
    #[must_use]
    pub fn admits(&self, headers: &HeaderMap) -> bool {
        self.options
            .token
            .as_ref()
            .is_none_or(|token| token.admits(headers))
    }

    /// Answers a request. The body is what was read of it; the reader saw to [`Options::max_body`] already, or stops
    /// one byte behind it.
    pub async fn answer(&self, request: Request<Bytes>) -> Response<Bytes> {
        let started = Instant::now();
        let (head, body) = request.into_parts();
        let (reply, allowed) = match self.admit(&head.method, &head.headers, head.uri.path()) {
            Ok((pattern, names)) => {
                let reply = self.reply(&head, &body, pattern, names).await;
                (reply, Some(pattern.endpoint))
            }
            Err(reply) => (reply, None),
        };
        let mut response = reply.into_response();
        self.origins.apply(&head.headers, response.headers_mut());
        if let (&Method::OPTIONS, Some(endpoint)) = (&head.method, allowed) {
            cors::apply_methods(endpoint.methods(), &head.headers, response.headers_mut());
        }
        self.sign(&mut response, started);
        if head.method == Method::HEAD {
            let length = response.body().len();
            response.headers_mut().insert(CONTENT_LENGTH, length.into());
            *response.body_mut() = Bytes::new();
        }
        if let Some(audit) = &self.options.audit {
            audit.record(&AuditEntry {
                method: &head.method,
                path: head.uri.path(),
                status: response.status(),
                body_size: body.len(),
                took: started.elapsed(),
            });
        }
        response
    }

    /// Who asks, and what for.
    fn admit(
        &self,
        method: &Method,
        headers: &HeaderMap,
        path: &str,
    ) -> Result<(&'static Pattern, Vec<String>), Reply> {
        // A browser asks ahead of a request without the token that the request will carry.
        let is_open = *method == Method::OPTIONS;
        if !is_open && !self.admits(headers) {
            let challenge = HeaderValue::from_static("Bearer");
            let refusal = Reply::message(StatusCode::UNAUTHORIZED, "Unauthorized");
            return Err(refusal.with_header(WWW_AUTHENTICATE, challenge));
        }
        match paths::find(path) {
            Some((pattern, _)) if matches!(pattern.endpoint, Endpoint::Nothing) => Err(Reply::not_found()),
            Some(found) => Ok(found),
            None => Err(Reply::not_found()),
        }
    }

    async fn reply(
        &self,
        head: &http::request::Parts,
        body: &Bytes,
        pattern: &Pattern,
        names: Vec<String>,
    ) -> Reply {
        let endpoint = pattern.endpoint;
        if !endpoint.methods().contains(&head.method.as_str()) {
            return Reply::method_not_allowed();
        }
        if head.method == Method::OPTIONS {
            return Reply::no_content();
        }
        let ask = match self.ask(head, body, endpoint, names) {
            Ok(ask) => ask,
            Err(refusal) => return refusal.reply(),
        };
        match self.dispatch(endpoint, ask).await {
            Ok(reply) => reply,
            Err(refusal) => refusal.reply(),
        }
    }

    fn ask(
        &self,
        head: &http::request::Parts,
        body: &Bytes,
        endpoint: Endpoint,
        names: Vec<String>,
    ) -> Result<Ask, ApiError> {
        let is_configuration = matches!(endpoint, Endpoint::Configuration);
        let yaml = if is_configuration {
            Yaml::Accepted
        } else {
            Yaml::Refused
        };
        let content = match head.method {
            Method::POST | Method::PUT | Method::PATCH => {
                Content::read(&head.headers, body, self.options.max_body, yaml)?
            }
            _ => Content::Nothing,
        };
        let path = head.uri.path();
        Ok(Ask {
            // HEAD is a GET whose body is not sent.
            method: match head.method {
                Method::HEAD => Method::GET,
                ref other => other.clone(),
            },
            path: path
                .strip_suffix('/')
                .filter(|path| !path.is_empty())
                .unwrap_or(path)
                .to_owned(),
            names,
            arguments: Arguments::parse(head.uri.query().unwrap_or_default().as_bytes())?,
            content,
            body: if is_configuration {
                body.clone()
            } else {
                Bytes::new()
            },
        })
    }

    /// The headers by which a gateway is known.
    fn sign(&self, response: &mut Response<Bytes>, started: Instant) {
        let headers = response.headers_mut();
        if let Some(product) = &self.product {
            headers.insert(SERVER, product.clone());
        }
        if self.options.shows_latency {
            let milliseconds = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
            headers.insert(LATENCY, milliseconds.into());
        }
    }

    pub(crate) fn has_database(&self) -> bool {
        self.options.mode == Mode::Database
    }

    pub(crate) fn desk(&self) -> Desk {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        Desk {
            context: self.options.context,
            plugins: self.node.plugins(),
            node: Arc::clone(&self.node),
            now: since.map_or(0.0, |elapsed| elapsed.as_secs_f64()),
            has_database: self.has_database(),
            hashes_passwords: true,
        }
    }

    /// Makes a change, and waits until this node serves it. Without a database everything is checked, then refused.
    pub(crate) async fn write<T: Send + 'static>(
        &self,
        desk: Desk,
        mut work: impl FnMut(&Desk, &mut Writing<'_, '_>) -> Result<T, ApiError> + Send + 'static,
    ) -> Result<T, ApiError> {
        if !self.has_database() {
            let catalog = self.store.catalog();
            return work(&desk, &mut Writing::Closed(&catalog));
        }
        let change = self
            .store
            .transact(move |transaction| work(&desk, &mut Writing::Open(transaction)));
        let committed = change.await.map_err(store_error)?;
        self.node.applied(committed.version).await;
        Ok(committed.value)
    }

    pub(crate) async fn replace_all(
        &self,
        desk: Desk,
        entities: Arc<EntitySet>,
        content_hash: &str,
    ) -> Result<(), ApiError> {
        let version = self.replace(desk, entities, content_hash).await?;
        self.node.applied(version).await;
        Ok(())
    }

    async fn replace(
        &self,
        desk: Desk,
        entities: Arc<EntitySet>,
        content_hash: &str,
    ) -> Result<u64, ApiError> {
        let mut replace = declarative_config::replacement(desk, entities);
        let change = self
            .store
            .transact(move |transaction| replace(transaction).map_err(ApiError::from));
        let committed = change.await.map_err(store_error)?;
        content_hash.clone_into(&mut self.configuration_hash.lock());
        Ok(committed.version)
    }
}

/// Nothing is written; what was there is still served, so it is worth trying again.
fn store_error(error: TransactError<ApiError>) -> ApiError {
    match error {
        TransactError::Refused(refusal) => refusal,
        TransactError::Aborted => ApiError::Message(
            StatusCode::INTERNAL_SERVER_ERROR,
            "An unexpected error occurred".to_owned(),
        ),
        unavailable => ApiError::Message(StatusCode::SERVICE_UNAVAILABLE, unavailable.to_string()),
    }
}
