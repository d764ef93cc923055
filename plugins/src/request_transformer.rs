//! Plugin `request-transformer`: edits path, method, headers, body and query of the request to the upstream.
//!
//! Values may be [templates](crate::template). They all see the request as it was before this plugin changed anything.
//! Whatever is the same for every request is made when the configuration is compiled.

mod body;
mod config;
mod headers;
mod multipart;
mod rules;

pub use config::{AddRules, AppendRules, Config, RemoveRules, RenameRules, ReplaceRules};

use crate::query::Arguments;
use crate::template::Scope;
use body::{BodyRules, ContentKind};
use headers::HeaderRules;
use http::Method;
use rules::{Pair, PairRules, Rendered, Templates, Text};
use serde_json::Value;
use std::sync::Arc;
use tidegate_model::normalize::escape_path;
use tidegate_model::schema::{Declared, RecordSchema};
use tidegate_plugin::{
    AccessCx, BodyAccess, BuildCx, BuildError, Fault, Kind, Needs, Phase, PhaseSet, Plugin, Step,
};

/// The kind.
#[derive(Debug, Default, Clone, Copy)]
pub struct RequestTransformer;

impl Kind for RequestTransformer {
    fn name(&self) -> &'static str {
        "request-transformer"
    }
    fn priority(&self) -> i32 {
        801
    }
    fn phases(&self) -> PhaseSet {
        PhaseSet::of(&[Phase::Access])
    }
    fn schema(&self) -> &'static RecordSchema {
        Config::schema()
    }
    fn protocols(&self) -> &'static [&'static str] {
        &[
            "grpc",
            "grpcs",
            "http",
            "https",
            "tcp",
            "tls",
            "tls_passthrough",
            "udp",
        ]
    }
    fn default_protocols(&self) -> &'static [&'static str] {
        &["grpc", "grpcs", "http", "https"]
    }
    fn build(&self, config: &Value, cx: &BuildCx<'_>) -> Result<Arc<dyn Plugin>, BuildError> {
        Ok(Arc::new(Instance::new(&cx.config(config)?)?))
    }
}

struct Instance {
    uri: Option<Text>,
    method: Option<Method>,
    headers: HeaderRules,
    body: Option<BodyRules>,
    query: Option<PairRules>,
    templates: Templates,
}

impl Instance {
    fn new(config: &Config) -> Result<Self, BuildError> {
        let mut templates = Templates::default();
        let uri = match &config.replace.uri {
            Some(uri) => Some(templates.add(uri, "config.replace.uri")?),
            None => None,
        };
        let method = match &config.http_method {
            Some(method) => Some(Method::from_bytes(method.as_bytes()).map_err(|_| BuildError {
                path: "config.http_method".to_owned(),
                message: format!("invalid value: {method}"),
            })?),
            None => None,
        };
        let headers = HeaderRules::new(config, &mut templates)?;
        let body = BodyRules::new(config, &mut templates)?;
        let query = PairRules::of_query(config, &mut templates)?;
        Ok(Self {
            uri,
            method,
            headers,
            body,
            query,
            templates,
        })
    }

    /// GET, HEAD and TRACE have no form: what the body said goes on as the query.
    fn merges_form(&self) -> bool {
        self.method
            .as_ref()
            .is_some_and(|method| matches!(*method, Method::GET | Method::HEAD | Method::TRACE))
    }

    fn apply(&self, x: &mut AccessCx<'_>) -> Result<(), Fault> {
        let rendered = {
            let scope = Scope {
                headers: &x.request.headers,
                query: x.query(),
                captures: x.captures.as_deref(),
                shared: x.shared.as_deref(),
            };
            self.templates.render(&scope)?
        };
        if let Some(uri) = &self.uri {
            replace_uri(uri.get(&rendered), x)?;
        }
        if let Some(method) = &self.method {
            x.upstream.method = Some(method.clone());
            if self.merges_form() {
                merge_form(x);
            }
        }
        self.headers.apply(&rendered, x)?;
        if let Some(body) = &self.body {
            body.apply(&rendered, x);
        }
        if let Some(query) = &self.query {
            let mut arguments = Arguments::parse(x.query().unwrap_or_default().as_bytes());
            query.apply(&rendered, &mut arguments);
            x.set_query(arguments.encode_sorted());
        }
        Ok(())
    }
}

impl Plugin for Instance {
    fn needs(&self) -> Needs {
        let wanted = self.body.is_some() || self.merges_form();
        Needs {
            request_body: if wanted {
                BodyAccess::Buffered
            } else {
                BodyAccess::None
            },
        }
    }

    fn access<'a>(&'a self, x: &'a mut AccessCx<'_>) -> Step<'a> {
        match self.apply(x) {
            Ok(()) => Step::go_on(),
            Err(fault) => Step::fail(fault),
        }
    }
}

/// A query in the new path goes ahead of the one that the request has.
fn replace_uri(uri: &[u8], x: &mut AccessCx<'_>) -> Result<(), Fault> {
    if uri.first() != Some(&b'/') {
        return Err(Fault::plugin("config.replace.uri: the path must start with '/'"));
    }
    let mut parts = uri.splitn(2, |byte| *byte == b'?');
    let path = escaped(parts.next().unwrap_or_default());
    if let Some(query) = parts.next() {
        let mut query = escaped(query);
        if let Some(known) = x.query().filter(|known| !known.is_empty()) {
            query.push('&');
            query.push_str(known);
        }
        x.set_query(query);
    }
    x.set_upstream_path(path);
    Ok(())
}

fn escaped(text: &[u8]) -> String {
    String::from_utf8_lossy(&escape_path(text)).replace('#', "%23")
}

fn merge_form(x: &mut AccessCx<'_>) {
    if ContentKind::of(&x.request.headers) != Some(ContentKind::Form) {
        return;
    }
    let Some(body) = x.request_body() else { return };
    let form = Arguments::parse(body);
    if form.is_empty() {
        return;
    }
    let mut arguments = Arguments::parse(x.query().unwrap_or_default().as_bytes());
    arguments.merge(form);
    x.set_query(arguments.encode_sorted());
}

/// What a rule list gives to a request, in the order of the entries.
fn values<'r>(pairs: &'r [Pair], rendered: &'r Rendered) -> impl Iterator<Item = (&'r [u8], &'r [u8])> {
    pairs
        .iter()
        .map(|(name, text)| (name.as_ref(), text.get(rendered)))
}

#[cfg(test)]
mod tests;
