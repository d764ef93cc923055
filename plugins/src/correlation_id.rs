//! Plugin `correlation-id`: every request gets an id in a header, and the client may see it.

mod generator;

use generator::Generator;
use http::{HeaderName, HeaderValue};
use serde_json::Value;
use std::sync::Arc;
use tidegate_model::record;
use tidegate_model::schema::{Declared, RecordSchema, boolean, string};
use tidegate_plugin::{
    AccessCx, BuildCx, BuildError, Exchange, Fault, HeaderCx, Kind, Phase, PhaseSet, Plugin, Step,
};

record! {
    /// Configuration of `correlation-id`.
    pub struct Config {
        /// Header that holds the id.
        pub header_name: String = string().default("Kong-Request-ID"),
        /// How ids are made.
        pub generator: String = string().one_of(["uuid", "uuid#counter", "tracker"]).required().default("uuid#counter"),
        /// Whether the response carries the id too.
        pub echo_downstream: bool = boolean().required().default(false),
    }
}

/// The kind.
#[derive(Debug, Default, Clone, Copy)]
pub struct CorrelationId;

impl Kind for CorrelationId {
    fn name(&self) -> &'static str {
        "correlation-id"
    }
    fn priority(&self) -> i32 {
        100_001
    }
    fn phases(&self) -> PhaseSet {
        PhaseSet::of(&[Phase::Access, Phase::HeaderFilter])
    }
    fn schema(&self) -> &'static RecordSchema {
        Config::schema()
    }
    fn build(&self, config: &Value, cx: &BuildCx<'_>) -> Result<Arc<dyn Plugin>, BuildError> {
        let config: Config = cx.config(config)?;
        let name = HeaderName::from_bytes(config.header_name.as_bytes()).map_err(|_| BuildError {
            path: "config.header_name".to_owned(),
            message: format!("'{}' is not a valid header", config.header_name),
        })?;
        let generator = Generator::named(&config.generator);
        Ok(Arc::new(Instance {
            name,
            generator,
            echoes: config.echo_downstream,
        }))
    }
}

struct Instance {
    name: HeaderName,
    generator: Generator,
    echoes: bool,
}

/// The id that `access` found or made.
#[derive(Default)]
struct Remembered(Option<HeaderValue>);

impl Instance {
    fn received(&self, x: &Exchange) -> Option<HeaderValue> {
        x.request
            .headers
            .get(&self.name)
            .filter(|value| !value.as_bytes().trim_ascii().is_empty())
            .cloned()
    }

    fn generate(&self, x: &Exchange) -> HeaderValue {
        let id = self
            .generator
            .generate(&x.client, || x.snapshot.services().clock.now_millis());
        HeaderValue::from_maybe_shared(bytes::Bytes::from(id))
            .unwrap_or_else(|_| HeaderValue::from_static(""))
    }
}

impl Plugin for Instance {
    fn access<'a>(&'a self, x: &'a mut AccessCx<'_>) -> Step<'a> {
        let id = match self.received(x.exchange()) {
            Some(id) => id,
            None => {
                let id = self.generate(x.exchange());
                x.request.headers.insert(&self.name, id.clone());
                id
            }
        };
        x.set_log_field("correlation_id", String::from_utf8_lossy(id.as_bytes()).into());
        if self.echoes {
            x.slot::<Remembered>().0 = Some(id);
        }
        Step::go_on()
    }

    fn header_filter(&self, x: &mut HeaderCx<'_>) -> Result<(), Fault> {
        if self.echoes {
            let remembered = x.slot::<Remembered>().0.take();
            let id = remembered
                .or_else(|| self.received(x.exchange()))
                .unwrap_or_else(|| self.generate(x.exchange()));
            x.response_mut().headers.insert(&self.name, id);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
