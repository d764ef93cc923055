//! The recordings as data: one case a line, a configuration and the steps that were taken with it.

use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::Read;

/// Header fields by lower-case name.
pub(super) type Fields = BTreeMap<String, Vec<String>>;

/// A configuration, and requests with what came of them.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Case {
    #[serde(rename = "set")]
    _set: String,
    pub(super) id: String,
    pub(super) config: Value,
    /// Services and routes get new ids, so that counters kept by id start anew.
    #[serde(default)]
    pub(super) fresh: bool,
    /// `minute`: the steps belong into one minute of the clock.
    #[serde(default)]
    pub(super) align: Option<String>,
    #[serde(default, rename = "note")]
    _note: Option<String>,
    pub(super) steps: Vec<Step>,
}

/// One request, or a pause between two.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Step {
    pub(super) req: Option<Ask>,
    /// How the upstream answers.
    #[serde(default)]
    pub(super) echo: Echo,
    /// Seconds before what the upstream saw is read.
    pub(super) settle: Option<f64>,
    pub(super) sleep: Option<f64>,
    /// `status`: nothing else is compared. `keys`: also the members of the JSON body.
    pub(super) cmp: Option<String>,
    /// The default flavour of the router.
    pub(super) expect: Option<Observation>,
    /// The flavour `traditional`, where it differs.
    pub(super) alt: Option<Observation>,
}

/// A request on a connection of its own. Texts are bytes in Latin-1.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Ask {
    pub(super) method: String,
    pub(super) target: String,
    #[serde(default)]
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Option<String>,
    #[serde(default)]
    pub(super) tls: bool,
    pub(super) sni: Option<String>,
    /// Bytes to be sent as they are.
    pub(super) raw: Option<String>,
}

/// How the upstream answers.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Echo {
    pub(super) status: Option<u16>,
    pub(super) headers: Option<Vec<(String, String)>>,
    pub(super) body: Option<String>,
    /// Seconds before the answer.
    pub(super) delay: Option<f64>,
    /// The connection is closed without an answer.
    #[serde(default)]
    pub(super) drop: bool,
}

/// What a client and the upstream saw of one request, without what differs from run to run.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Observation {
    /// The connection ended without a response.
    pub(super) error: Option<String>,
    pub(super) status: Option<u16>,
    #[serde(default)]
    pub(super) headers: Fields,
    pub(super) json: Option<Value>,
    pub(super) body: Option<String>,
    pub(super) upstream: Option<Vec<Forwarded>>,
}

/// A request as the upstream received it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Forwarded {
    pub(super) addr: String,
    pub(super) port: u16,
    pub(super) method: String,
    pub(super) uri: String,
    #[serde(rename = "version")]
    pub(super) _version: String,
    pub(super) headers: Fields,
    pub(super) json: Option<Value>,
    pub(super) body: Option<String>,
}

impl Case {
    /// Names of the plugins that the configuration asks for.
    pub(super) fn plugins(&self) -> Vec<&str> {
        let mut found = Vec::new();
        collect_plugins(&self.config, &mut found);
        found
    }

    /// How many steps have an expectation.
    pub(super) fn compared(&self) -> usize {
        self.steps.iter().filter(|step| step.expect.is_some()).count()
    }
}

fn collect_plugins<'v>(value: &'v Value, found: &mut Vec<&'v str>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| collect_plugins(item, found)),
        Value::Object(members) => {
            for plugin in members
                .get("plugins")
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
            {
                found.extend(plugin.get("name").and_then(Value::as_str));
            }
            members.values().for_each(|member| collect_plugins(member, found));
        }
        _ => {}
    }
}

/// The lines of a recording.
pub(super) fn lines(file: &str) -> Vec<String> {
    let path = format!("{}/golden/{file}", env!("CARGO_MANIFEST_DIR"));
    let packed = std::fs::File::open(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let mut text = String::new();
    flate2::read::GzDecoder::new(packed)
        .read_to_string(&mut text)
        .unwrap();
    text.lines().map(str::to_owned).collect()
}
