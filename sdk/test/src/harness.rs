//! The filter under test and the world around it.

use crate::calls::{Callout, Calls};
use crate::{CalloutError, Passed, Request, Response};
use serde::Serialize;
use serde_json::Value;
use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tidegate_plugin::services::{Clock, Services};
use tidegate_plugin::{BuildError, Filter};
use tidegate_wasm::{
    ArtefactCache, EngineSettings, FilterEngine, FilterHost, FilterKind, FilterMeta, FilterModule,
    FilterOptions, HostLimits, ModuleLimits, WasmFilter,
};
use tokio::runtime::Runtime;
use tokio::task::{JoinHandle, LocalSet};
use tokio::time::Instant;

/// Why a test cannot begin.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HarnessError {
    /// The filter cannot be built.
    #[error(transparent)]
    Build(#[from] tidegate_filter_build::BuildError),
    /// The module, or the metadata beside it, cannot be read or is not fit to be a filter.
    #[error("{name}: {reason}")]
    Load {
        /// The file.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The package makes several modules.
    #[error("{0} modules are built, one is expected: load the right one by its path")]
    Several(usize),
    /// The host cannot be set up on this machine.
    #[error("{0}")]
    Host(String),
}

/// A compiled filter, ready for requests.
///
/// ```no_run
/// use tidegate_filter_test::{Harness, Request};
///
/// # fn main() -> Result<(), tidegate_filter_test::HarnessError> {
/// let mut harness = Harness::load("target/wasm32-wasip1/release/my_filter.wasm")?
///     .config(serde_json::json!({ "value": "on" }));
/// harness.request(Request::get("/")).expect_header("x-value", "on");
/// # Ok(()) }
/// ```
pub struct Harness {
    kind: FilterKind,
    host: Arc<FilterHost>,
    calls: Arc<Calls>,
    config: Value,
    options: FilterOptions,
    filter: Option<Arc<WasmFilter>>,
    background: Option<JoinHandle<()>>,
    // Dropped last: what runs in them holds the filter.
    tasks: LocalSet,
    runtime: Runtime,
}

/// Where the clock stands when a test begins, in milliseconds since the Unix epoch: 2025-01-01T00:00:00Z.
const START_MILLIS: u64 = 1_735_689_600_000;

struct VirtualClock(Instant);

impl Clock for VirtualClock {
    fn now_millis(&self) -> u64 {
        let since = Instant::now().saturating_duration_since(self.0);
        START_MILLIS.saturating_add(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }
}

impl Harness {
    /// Compiles the package in a folder, usually `env!("CARGO_MANIFEST_DIR")`, and loads its module.
    ///
    /// ```no_run
    /// let harness = tidegate_filter_test::Harness::build(env!("CARGO_MANIFEST_DIR"))?;
    /// # Ok::<(), tidegate_filter_test::HarnessError>(())
    /// ```
    ///
    /// # Errors
    /// When it does not compile, or to no filter.
    pub fn build(folder: impl AsRef<Path>) -> Result<Self, HarnessError> {
        let modules = tidegate_filter_build::build(folder.as_ref(), None)?;
        match modules.as_slice() {
            [module] => Self::load(module),
            several => Err(HarnessError::Several(several.len())),
        }
    }

    /// Loads a module, with the metadata beside it (`<name>.meta.json`) where there is one.
    ///
    /// ```no_run
    /// let harness = tidegate_filter_test::Harness::load("filters/sign.wasm")?;
    /// # Ok::<(), tidegate_filter_test::HarnessError>(())
    /// ```
    ///
    /// # Errors
    /// When a file cannot be read or is not fit.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, HarnessError> {
        let path = path.as_ref();
        let fail = |path: &Path, reason: String| HarnessError::Load {
            name: path.display().to_string(),
            reason,
        };
        let wasm = std::fs::read(path).map_err(|error| fail(path, error.to_string()))?;
        let beside = path.with_extension("meta.json");
        let meta = match std::fs::read(&beside) {
            Ok(text) => FilterMeta::parse(&text).map_err(|error| fail(&beside, error.to_string()))?,
            Err(_) => FilterMeta::default(),
        };
        let name = path
            .file_stem()
            .map_or_else(|| "filter".into(), |stem| stem.to_string_lossy());
        Self::from_bytes(&name, &wasm, meta)
    }

    fn from_bytes(name: &str, wasm: &[u8], meta: FilterMeta) -> Result<Self, HarnessError> {
        let host_error = |error: &dyn std::fmt::Display| HarnessError::Host(error.to_string());
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .map_err(|error| host_error(&error))?;
        let calls = Arc::new(Calls::default());
        let services = Services {
            outbound: Arc::clone(&calls) as _,
            clock: Arc::new(VirtualClock(runtime.block_on(async { Instant::now() }))),
            ..Services::detached()
        };
        let settings = EngineSettings {
            pooling: false,
            ..EngineSettings::default()
        };
        let engine = FilterEngine::new(settings).map_err(|error| host_error(&error))?;
        let host = FilterHost::new(engine, Arc::new(services), HostLimits::default())
            .map_err(|error| host_error(&error))?;
        // Large ones take seconds to compile.
        let cache = ArtefactCache::of_user();
        let module = FilterModule::load(host.engine(), cache.as_ref(), wasm, ModuleLimits::default());
        let module = module.map_err(|error| HarnessError::Load {
            name: name.to_owned(),
            reason: error.to_string(),
        })?;
        let kind = FilterKind::new(&host, name, module, meta, FilterOptions::default());
        Ok(Self {
            options: kind.options().clone(),
            kind,
            host,
            calls,
            config: Value::Null,
            filter: None,
            background: None,
            tasks: LocalSet::new(),
            runtime,
        })
    }

    /// Sets the configuration; a filter that runs already is replaced, as by a reload.
    ///
    /// ```no_run
    /// # fn f(harness: tidegate_filter_test::Harness) {
    /// let harness = harness.config(serde_json::json!({ "value": "on" }));
    /// # }
    /// ```
    ///
    /// # Panics
    /// When the value cannot be written as JSON.
    #[must_use]
    #[track_caller]
    pub fn config(mut self, config: impl Serialize) -> Self {
        let value = serde_json::to_value(config);
        assert!(value.is_ok(), "the configuration is no JSON");
        self.config = value.unwrap_or_default();
        self.retire();
        self
    }

    /// Sets the options of the attachment: failure policy, isolation, bounds.
    ///
    /// ```no_run
    /// use tidegate_filter_test::{FailurePolicy, FilterOptions};
    /// # fn f(harness: tidegate_filter_test::Harness) {
    /// let options = FilterOptions { failure_policy: FailurePolicy::Open, ..FilterOptions::default() };
    /// let harness = harness.options(options);
    /// # }
    /// ```
    #[must_use]
    pub fn options(mut self, options: FilterOptions) -> Self {
        self.options = options;
        self.retire();
        self
    }

    /// Answers the calls that the filter makes. Without it every target is unknown. A [`CalloutError::Timeout`] takes
    /// as long as the filter waits.
    ///
    /// ```no_run
    /// use tidegate_filter_test::{CalloutError, Response};
    /// # fn f(harness: tidegate_filter_test::Harness) {
    /// let harness = harness.callouts(|call| match call.target.as_str() {
    ///     "auth" => Ok(Response::new(200)),
    ///     _ => Err(CalloutError::Connect),
    /// });
    /// # }
    /// ```
    #[must_use]
    pub fn callouts(
        self,
        answer: impl FnMut(&Callout) -> Result<Response, CalloutError> + Send + 'static,
    ) -> Self {
        *self.calls.answering.lock() = Some(Box::new(answer));
        self
    }

    /// Calls that the filter made so far.
    ///
    /// ```no_run
    /// # fn f(harness: tidegate_filter_test::Harness) {
    /// assert_eq!(harness.calls().len(), 1);
    /// # }
    /// ```
    #[must_use]
    pub fn calls(&self) -> Vec<Callout> {
        self.calls.made.lock().clone()
    }

    /// Value of a metric that the filter defined; histograms give their sum.
    ///
    /// ```no_run
    /// # fn f(harness: tidegate_filter_test::Harness) {
    /// assert_eq!(harness.metric("denied"), Some(1));
    /// # }
    /// ```
    #[must_use]
    pub fn metric(&self, name: &str) -> Option<i64> {
        let metrics = self.host.metrics();
        let metric = metrics.iter().find(|metric| metric.name == name);
        metric.map(|metric| metric.value)
    }

    /// Why the configuration is refused: by the schema, or by the filter itself. `None`: it is taken.
    ///
    /// ```no_run
    /// # fn f(mut harness: tidegate_filter_test::Harness) {
    /// let refusal = harness.refusal().expect("the secret is missing");
    /// assert!(refusal.contains("missing field `secret`"));
    /// # }
    /// ```
    pub fn refusal(&mut self) -> Option<String> {
        self.start().err().map(|error| error.to_string())
    }

    /// Sends a request through the filter.
    ///
    /// ```no_run
    /// # use tidegate_filter_test::Request;
    /// # fn f(mut harness: tidegate_filter_test::Harness) {
    /// harness.request(Request::get("/")).expect_status(200);
    /// # }
    /// ```
    ///
    /// # Panics
    /// When the configuration is refused.
    #[track_caller]
    pub fn request(&mut self, request: Request) -> Passed {
        match self.start() {
            Ok(filter) => {
                let outcome = request.into_drive(filter).run();
                Passed::new(self.block_on(outcome))
            }
            #[allow(clippy::panic, reason = "this fails the test that runs it")]
            Err(refusal) => panic!("the configuration is refused: {refusal}"),
        }
    }

    /// Lets time pass: ticks run when they are due, and the filter's clock moves on.
    ///
    /// ```no_run
    /// # fn f(mut harness: tidegate_filter_test::Harness) {
    /// harness.advance(std::time::Duration::from_secs(60));
    /// # }
    /// ```
    ///
    /// # Panics
    /// When the configuration is refused.
    #[track_caller]
    pub fn advance(&mut self, time: Duration) {
        if let Err(refusal) = self.start() {
            #[allow(clippy::panic, reason = "this fails the test that runs it")]
            {
                panic!("the configuration is refused: {refusal}");
            }
        }
        // Inside: a timer needs the runtime from its first moment.
        self.block_on(async { tokio::time::sleep(time).await });
    }

    fn start(&mut self) -> Result<Arc<WasmFilter>, BuildError> {
        if let Some(filter) = &self.filter {
            return Ok(Arc::clone(filter));
        }
        let filter = self.block_on(async {
            if self.kind.meta().config_schema().is_some() {
                self.kind.attach(&self.config, self.options.clone())
            } else {
                self.kind.attach_unchecked(&self.config, self.options.clone())
            }
        })?;
        self.filter = Some(Arc::clone(&filter));
        let background = Arc::clone(&filter).background(0);
        self.background = background.map(|background| self.tasks.spawn_local(background));
        Ok(filter)
    }

    fn retire(&mut self) {
        self.filter = None;
        if let Some(background) = self.background.take() {
            background.abort();
        }
    }

    fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.tasks.block_on(&self.runtime, future)
    }
}

#[cfg(test)]
mod tests;
