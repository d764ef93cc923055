use super::*;
use crate::context::{AccessCx, BodyCx, HeaderCx, LogCx};
use crate::kind::{BodyAccess, BuildError, Fault, Needs, Phase, PhaseSet, Step, Verdict};
use bytes::Bytes;
use http::HeaderValue;
use tidegate_model::record;
use tidegate_model::schema::{self, RecordSchema};

record! {
    /// Configuration of the probe.
    pub struct ProbeConfig {
        /// Value of the header that it adds.
        pub value: String = schema::string().required(),
    }
}

/// Touches every phase once.
struct Probe(String);

struct ProbeKind;

impl Kind for ProbeKind {
    fn name(&self) -> &'static str {
        "probe"
    }
    fn priority(&self) -> i32 {
        1
    }
    fn phases(&self) -> PhaseSet {
        PhaseSet::of(&[Phase::Access, Phase::HeaderFilter, Phase::BodyFilter, Phase::Log])
    }
    fn schema(&self) -> &'static RecordSchema {
        ProbeConfig::schema()
    }
    fn build(&self, config: &Value, cx: &BuildCx<'_>) -> Result<Arc<dyn Plugin>, BuildError> {
        Ok(Arc::new(Probe(cx.config::<ProbeConfig>(config)?.value)))
    }
}

impl Plugin for Probe {
    fn needs(&self) -> Needs {
        Needs {
            request_body: BodyAccess::Buffered,
        }
    }
    fn access<'a>(&'a self, x: &'a mut AccessCx<'_>) -> Step<'a> {
        Step::Wait(Box::pin(async move {
            let length = x.request_body().map_or(0, Bytes::len);
            x.request.headers.insert("x-length", HeaderValue::from(length));
            let now = x.services().clock.now_millis();
            x.request.headers.insert("x-now", HeaderValue::from(now));
            Verdict::GoOn
        }))
    }
    fn header_filter(&self, x: &mut HeaderCx<'_>) -> Result<(), Fault> {
        let value = HeaderValue::from_str(&self.0).map_err(|error| Fault::plugin(error.to_string()))?;
        x.response_mut().headers.insert("x-probe", value);
        Ok(())
    }
    fn body_filter(&self, _: &mut BodyCx<'_>, chunk: Bytes, last: bool) -> Result<Bytes, Fault> {
        Ok(if last { Bytes::from_static(b"!") } else { chunk })
    }
    fn log(&self, x: &mut LogCx<'_>) {
        x.set_log_field("probe", Value::from(1));
    }
}

#[test]
fn every_phase_runs_once_and_waiting_steps_finish() {
    let clock = ManualClock::at_millis(7);
    let harness = Harness::new(ProbeKind)
        .config(serde_json::json!({ "value": "v" }))
        .clock(&clock);
    let access = harness.request("POST", "/a?b=c").body("hello").run();
    assert_eq!(access.header("x-length"), ["5"]);
    assert_eq!(access.header("x-now"), ["7"]);
    assert_eq!((access.path(), access.query()), ("/a", "b=c"));
    let finished = access.upstream_response(200, &[("x-up", "1")], &["a", "b"]);
    assert_eq!(finished.header("x-probe"), ["v"]);
    assert_eq!(finished.header("x-up"), ["1"]);
    assert_eq!(finished.body().as_ref(), b"ab!");
    assert_eq!(finished.log_field("probe"), Some(&Value::from(1)));
}

#[test]
fn a_refused_configuration_names_the_field() {
    let violations = Harness::new(ProbeKind).violations();
    assert_eq!(violations, ["config.value: required field missing"]);
}

#[test]
fn consumers_keys_and_groups_are_found_by_the_plugin() {
    let harness = Harness::new(ProbeKind)
        .config(serde_json::json!({ "value": "v" }))
        .consumer_with_custom_id("alice", "a-1")
        .key_credential("alice", "k1")
        .acl("alice", "gold")
        .acl("alice", "dev");
    let access = harness.request("GET", "/").consumer("alice").run();
    let entry = access.exchange().consumer().expect("a consumer was set");
    assert_eq!(entry.acl_groups, ["gold", "dev"]);
    assert_eq!(entry.acl_groups_header, "gold, dev");
    let identities = access.exchange().snapshot.identities();
    assert_eq!(
        identities.key("k1").map(|key| key.consumer),
        identities.find("alice")
    );
}
