//! Plugin kinds and instances.

use crate::context::{AccessCx, BodyCx, HeaderCx, LogCx, ResponseCx, RewriteCx};
use crate::reply::Reply;
use crate::services::Services;
use bytes::Bytes;
use futures_util::future::LocalBoxFuture;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use tidegate_model::entities;
use tidegate_model::schema::RecordSchema;

/// A moment in the life of a request at which plugins run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Phase {
    /// TLS handshake, before a request exists. Global instances only.
    Certificate = 1,
    /// Before routing. Global instances only.
    Rewrite = 2,
    /// After routing, before the upstream.
    Access = 4,
    /// The whole upstream response is in hand.
    Response = 8,
    /// The response head, before it is sent.
    HeaderFilter = 16,
    /// Each chunk of the response body.
    BodyFilter = 32,
    /// After the response.
    Log = 64,
}

/// A set of [`Phase`]s.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PhaseSet(u8);

impl PhaseSet {
    /// The phases listed.
    #[must_use]
    pub const fn of(phases: &[Phase]) -> Self {
        let mut bits = 0;
        let mut rest = phases;
        while let [first, tail @ ..] = rest {
            bits |= *first as u8;
            rest = tail;
        }
        Self(bits)
    }

    /// Whether the phase is in the set.
    #[must_use]
    pub const fn contains(self, phase: Phase) -> bool {
        self.0 & phase as u8 != 0
    }
}

/// Which scopes a kind refuses: setting the field is then `value must be null` (README of plugins, section 1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each field says whether that scope is accepted")]
pub struct ScopeRules {
    pub service: bool,
    pub route: bool,
    pub consumer: bool,
    pub consumer_group: bool,
}

impl ScopeRules {
    /// Every scope.
    pub const ALL: Self = Self {
        service: true,
        route: true,
        consumer: true,
        consumer_group: true,
    };
    /// Every scope but consumers: authentication and what runs before it.
    pub const NO_CONSUMER: Self = Self {
        service: true,
        route: true,
        consumer: false,
        consumer_group: false,
    };
}

/// A kind of plugin: what the registry holds.
pub trait Kind: Send + Sync + 'static {
    /// Kong's name, e.g. `rate-limiting`.
    fn name(&self) -> &'static str;
    /// Higher runs earlier within a phase.
    fn priority(&self) -> i32;
    /// What it may claim; phases not in the set cost nothing at run time.
    fn phases(&self) -> PhaseSet;
    /// Fields of `config`: one source for checks, defaults, `/schemas` and forms.
    fn schema(&self) -> &'static RecordSchema;
    /// Scopes it accepts.
    fn scopes(&self) -> ScopeRules {
        ScopeRules::ALL
    }
    /// Protocols that `protocols` may hold; also its default value.
    fn protocols(&self) -> &'static [&'static str] {
        &["grpc", "grpcs", "http", "https"]
    }
    /// Protocols that `protocols` holds when it is left out.
    fn default_protocols(&self) -> &'static [&'static str] {
        self.protocols()
    }
    /// Makes an instance from a configuration that passed [`Kind::schema`].
    ///
    /// # Errors
    /// When the configuration cannot be put to work, e.g. a template that does not parse.
    fn build(&self, config: &Value, cx: &BuildCx<'_>) -> Result<Arc<dyn Plugin>, BuildError>;
    /// Whether its instances are filters, which may stand in `filter_chains`.
    fn is_filter(&self) -> bool {
        false
    }
    /// Whether it stands for filters that are not there.
    fn is_absent(&self) -> bool {
        false
    }
    /// Whether the configuration may be of any type, checked by the kind alone; [`Kind::schema`] then says nothing.
    fn takes_any_config(&self) -> bool {
        false
    }
    /// As [`Kind::build`], for an entry of `filter_chains`: any configuration, checked by the kind alone.
    ///
    /// # Errors
    /// When the configuration cannot be put to work.
    fn build_for_chain(&self, config: &Value, cx: &BuildCx<'_>) -> Result<Arc<dyn Plugin>, BuildError> {
        self.build(config, cx)
    }
}

/// What an instance may use while it is built.
pub struct BuildCx<'a> {
    /// The configured entity: id, scope, protocols.
    pub entity: &'a entities::Plugin,
    /// Process-wide services.
    pub services: &'a Arc<Services>,
}

impl BuildCx<'_> {
    /// The typed configuration of a [`tidegate_model::record!`] type.
    ///
    /// # Errors
    /// When the value does not have the shape that its schema promised.
    pub fn config<T: DeserializeOwned>(&self, config: &Value) -> Result<T, BuildError> {
        T::deserialize(config).map_err(|error| BuildError {
            path: "config".to_owned(),
            message: error.to_string(),
        })
    }
}

/// An instance could not be built.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {message}")]
pub struct BuildError {
    /// Path to the field below the plugin entity, e.g. `config.add.headers[0]`.
    pub path: String,
    /// What is wrong.
    pub message: String,
}

/// What an instance wants of the bodies. Asked once, when the snapshot is compiled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// The request body, before this instance's `access`.
    pub request_body: BodyAccess,
}

/// How much of a body an instance wants to see.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BodyAccess {
    /// Nothing: bodies stream past.
    #[default]
    None,
    /// The whole body in memory, within `request_buffer_max_bytes`; a larger one streams on unseen.
    Buffered,
}

/// One configured instance, shared by all requests it applies to and by all workers.
pub trait Plugin: Send + Sync + 'static {
    /// See [`Needs`].
    fn needs(&self) -> Needs {
        Needs::default()
    }
    /// The instance as a filter: the runner then drives that over the exchange, and calls no handler of this trait but
    /// `needs`. Asked once, when the snapshot is compiled.
    fn filter(self: Arc<Self>) -> Option<Arc<dyn crate::filter::Filter>> {
        None
    }
    /// Before routing; global instances only.
    fn rewrite<'a>(&'a self, x: &'a mut RewriteCx<'_>) -> Step<'a> {
        let _ = x;
        Step::go_on()
    }
    /// After routing. [`Verdict::Reply`] ends the request: the upstream is not asked, later `access` handlers are
    /// skipped, but their `header_filter`, `body_filter` and `log` run.
    fn access<'a>(&'a self, x: &'a mut AccessCx<'_>) -> Step<'a> {
        let _ = x;
        Step::go_on()
    }
    /// The whole upstream response is in hand, within `response_buffer_max`. For kinds that claim
    /// [`Phase::Response`]; such a kind may claim neither filter phase. Skipped for upgrades and for replies of the
    /// gateway.
    fn response<'a>(&'a self, x: &'a mut ResponseCx<'_>) -> Step<'a> {
        let _ = x;
        Step::go_on()
    }
    /// May change status and headers of the response, whoever made it.
    ///
    /// # Errors
    /// A fault is logged; the response goes on.
    fn header_filter(&self, x: &mut HeaderCx<'_>) -> Result<(), Fault> {
        let _ = x;
        Ok(())
    }
    /// Each chunk of the response body; `last` is true exactly once, possibly with an empty chunk.
    ///
    /// # Errors
    /// A fault is logged; the chunk goes on unchanged.
    fn body_filter(&self, x: &mut BodyCx<'_>, chunk: Bytes, last: bool) -> Result<Bytes, Fault> {
        let _ = (x, last);
        Ok(chunk)
    }
    /// After the response, exactly once.
    fn log(&self, x: &mut LogCx<'_>) {
        let _ = x;
    }
}

/// Ready now, or a boxed future (not `Send`: a worker is one thread). The common case allocates nothing.
#[must_use]
pub enum Step<'a> {
    /// Finished.
    Done(Verdict),
    /// Has to wait for something.
    Wait(LocalBoxFuture<'a, Verdict>),
}

impl Step<'_> {
    /// Nothing to say: the next plugin runs.
    pub const fn go_on() -> Self {
        Self::Done(Verdict::GoOn)
    }
    /// Ends the request with an answer.
    pub fn reply(reply: Reply) -> Self {
        Self::Done(Verdict::Reply(Box::new(reply)))
    }
    /// Ends the request with a failure of the plugin.
    pub fn fail(fault: Fault) -> Self {
        Self::Done(Verdict::Fail(Box::new(fault)))
    }
}

/// What a phase handler decides.
#[must_use]
#[derive(Debug)]
pub enum Verdict {
    /// The next plugin runs.
    GoOn,
    /// The request ends with this answer.
    Reply(Box<Reply>),
    /// The plugin failed: 500 `An unexpected error occurred`, and the fault is logged.
    Fail(Box<Fault>),
}

/// Whose fault it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The client.
    Client,
    /// The upstream.
    Upstream,
    /// A plugin.
    Plugin,
    /// The gateway itself.
    Gateway,
}

/// Something went wrong while a request was handled.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Fault {
    /// Whose fault.
    pub side: Side,
    /// For the log, never for the client.
    pub message: String,
    /// Whether the upstream may be tried again.
    pub is_retryable: bool,
}

impl Fault {
    /// A plugin's fault.
    pub fn plugin(message: impl Into<String>) -> Self {
        Self {
            side: Side::Plugin,
            message: message.into(),
            is_retryable: false,
        }
    }
}

/// The kinds that this build knows, by name.
#[derive(Default, Clone)]
pub struct Registry {
    kinds: BTreeMap<&'static str, Arc<dyn Kind>>,
    absent_filter: Option<Arc<dyn Kind>>,
    filter_source: Option<Arc<dyn FilterSource>>,
}

/// Finds filters whose attachment names a module, beside those that are installed by their names.
pub trait FilterSource: Send + Sync {
    /// `None`: the attachment names no module.
    fn find(&self, entity: &entities::Plugin) -> Option<Result<Arc<dyn Kind>, BuildError>>;
}

impl Registry {
    /// Adds a kind; a later one of the same name replaces it.
    pub fn add(&mut self, kind: Arc<dyn Kind>) {
        self.kinds.insert(kind.name(), kind);
    }
    /// Sets the kind that stands for every filter that is named and not there.
    pub fn set_absent_filter(&mut self, kind: Arc<dyn Kind>) {
        self.absent_filter = Some(kind);
    }
    /// Sets what finds filters by their modules.
    pub fn set_filter_source(&mut self, source: Arc<dyn FilterSource>) {
        self.filter_source = Some(source);
    }
    /// The kind of an entity: of the module that it names, or of its name. `None`: there is none.
    ///
    /// # Errors
    /// When the module that it names cannot be one.
    pub fn kind_of(&self, entity: &entities::Plugin) -> Result<Option<Arc<dyn Kind>>, BuildError> {
        let named = self.get(&entity.name);
        let source = self.filter_source.as_ref();
        let source = source.filter(|_| named.is_none_or(|kind| kind.is_filter()));
        match source.and_then(|source| source.find(entity)) {
            Some(found) => found.map(Some),
            None => Ok(named.cloned()),
        }
    }
    /// The kind that stands for filters that are not there; `None`: filters are off.
    #[must_use]
    pub fn absent_filter(&self) -> Option<&Arc<dyn Kind>> {
        self.absent_filter.as_ref()
    }
    /// The kind of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Arc<dyn Kind>> {
        self.kinds.get(name)
    }
    /// All kinds in the order of their names.
    pub fn kinds(&self) -> impl Iterator<Item = &Arc<dyn Kind>> {
        self.kinds.values()
    }
}
