//! One gateway with its backend, through which cases go one after another.

use super::case::{Ask, Case, Echo, Observation, Step};
use super::observe;
use parking_lot::Mutex;
use regex::{Captures, Regex};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tidegate_tests::gateway::Reload;
use tidegate_tests::http1::ReadError;
use tidegate_tests::ports::refusing_address;
use tidegate_tests::tls::Hello;
use tidegate_tests::wait::PATIENCE;
use tidegate_tests::{Answer, Gateway, RawClient, Recorded, Request, Response, Upstream, eventually};

/// Ports of the upstreams in the recordings.
const UPSTREAM_PORTS: std::ops::RangeInclusive<u16> = 19_081..=19_086;
/// Answers only once the configuration of a case is in force.
const MARK_ADDRESS: &str = "127.0.0.250";
const MARK_HOST: &str = "zz-mark.internal";

/// How the upstreams answer.
#[derive(Default)]
struct Plan {
    all: Echo,
    /// Exceptions.
    by_port: HashMap<u16, Echo>,
}

/// A gateway, the upstreams behind it, and how their ports are written in the recordings.
pub(super) struct Lane {
    gateway: Gateway,
    upstreams: Vec<Upstream>,
    plan: Arc<Mutex<Plan>>,
    ports: HashMap<String, String>,
    recorded_port: Regex,
}

impl Lane {
    pub(super) async fn open() -> Self {
        let plan = Arc::new(Mutex::new(Plan::default()));
        let mut upstreams = Vec::new();
        let mut ports = HashMap::new();
        for port in UPSTREAM_PORTS {
            let plan = Arc::clone(&plan);
            let everywhere = SocketAddr::from(([0, 0, 0, 0], 0));
            let upstream = Upstream::at(everywhere, move |request| {
                let plan = plan.lock();
                let own = plan.by_port.get(&request.local.port());
                answer(own.unwrap_or(&plan.all))
            })
            .await;
            ports.insert(port.to_string(), upstream.port().to_string());
            upstreams.push(upstream);
        }
        let gateway = Gateway::with("_format_version: \"3.0\"\n")
            .setting("proxy_listen", "{proxy}, {tls} ssl http2")
            .setting("log_level", "error")
            .start()
            .await;
        ports.insert("18000".to_owned(), gateway.proxy().port().to_string());
        ports.insert("18443".to_owned(), gateway.tls().port().to_string());
        ports.insert("19099".to_owned(), refusing_address().port().to_string());
        Self {
            gateway,
            upstreams,
            plan,
            ports,
            recorded_port: Regex::new(r"\b1(?:8000|8443|908[1-6]|9099)\b").unwrap(),
        }
    }

    /// Reads a case, with the ports of this lane in place of the recorded ones.
    pub(super) fn read<T: DeserializeOwned>(&self, line: &str) -> T {
        let line = self
            .recorded_port
            .replace_all(line, |found: &Captures<'_>| self.ports[&found[0]].clone());
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error} in {line:.200}"))
    }

    /// Puts a configuration in force.
    ///
    /// # Errors
    /// The gateway refuses it; its log says why.
    pub(super) async fn load(&self, case: &Case) -> Result<(), String> {
        let mut config = case.config.clone();
        if case.fresh {
            give_new_ids(&mut config);
        }
        config["_format_version"] = json!("3.0");
        let path = format!("/zz-mark/{}", case.id);
        let mark = json!({
            "name": format!("zz-mark-{}", case.id),
            "url": format!("http://{MARK_ADDRESS}:{}", self.upstreams[0].port()),
            "routes": [{"name": format!("zz-mark-{}", case.id), "paths": [&path], "strip_path": false,
                        "hosts": [MARK_HOST], "regex_priority": 1000}],
        });
        match config["services"].as_array_mut() {
            Some(services) => services.push(mark),
            None => config["services"] = json!([mark]),
        }
        if self.gateway.reload(config.to_string()).await == Reload::Refused {
            return Err(format!(
                "{}: configuration refused\n{}",
                case.id,
                self.gateway.log()
            ));
        }
        // An earlier reload, by the watched file, may have been counted instead.
        eventually("the mark of the case is served", PATIENCE, async || {
            let answer = self.gateway.call(&Request::get(&path).host(MARK_HOST)).await;
            let seen = self.take();
            let reached = seen
                .iter()
                .any(|request| request.local.ip().to_string() == MARK_ADDRESS);
            (answer.status != 404 && (answer.status != 200 || reached)).then_some(())
        })
        .await;
        Ok(())
    }

    /// Sends the request of a step; gives what was seen.
    pub(super) async fn perform(&self, step: &Step, ask: &Ask) -> Observation {
        self.answer_with(step.echo.clone(), HashMap::new());
        self.take();
        let answer = self.send(ask).await;
        if let Some(seconds) = step.settle {
            tokio::time::sleep(Duration::from_secs_f64(seconds)).await;
        }
        observe::observation(&answer, &self.take())
    }

    /// From now on the upstreams answer like this.
    pub(super) fn answer_with(&self, all: Echo, by_port: HashMap<u16, Echo>) {
        *self.plan.lock() = Plan { all, by_port };
    }

    pub(super) async fn send(&self, ask: &Ask) -> Result<Response, ReadError> {
        let address = if ask.tls {
            self.gateway.tls()
        } else {
            self.gateway.proxy()
        };
        let mut client = if ask.tls {
            // An address is never sent as a server name.
            let name = ask.sni.as_deref().unwrap_or("127.0.0.1");
            RawClient::try_connect_tls(address, Hello::to(name))
                .await
                .map_err(|error| ReadError::CutOff(error.to_string()))?
        } else {
            RawClient::connect(address).await
        };
        client.send(bytes(ask, address)).await;
        loop {
            let response = client.try_response(&ask.method).await?;
            if response.status != 100 {
                return Ok(response);
            }
        }
    }

    /// What the upstreams saw since the last time.
    pub(super) fn take(&self) -> Vec<Recorded> {
        self.upstreams.iter().flat_map(Upstream::take).collect()
    }
}

/// The request as the recording client wrote it: `Host` first, `Content-Length` last unless given.
fn bytes(ask: &Ask, address: SocketAddr) -> Vec<u8> {
    if let Some(raw) = &ask.raw {
        return observe::encode(raw);
    }
    let has = |wanted: &str| {
        ask.headers
            .iter()
            .any(|(name, _)| name.eq_ignore_ascii_case(wanted))
    };
    let mut head = format!("{} {} HTTP/1.1\r\n", ask.method, ask.target);
    if !has("host") {
        head.push_str(&format!("Host: {address}\r\n"));
    }
    for (name, value) in &ask.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    let body = ask.body.as_deref().map(observe::encode);
    if let Some(body) = body
        .as_ref()
        .filter(|_| !has("content-length") && !has("transfer-encoding"))
    {
        head.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    head.push_str("\r\n");
    let mut bytes = observe::encode(&head);
    bytes.extend(body.unwrap_or_default());
    bytes
}

fn answer(echo: &Echo) -> Answer {
    if echo.drop {
        return Answer::raw("").close();
    }
    let json = [("Content-Type".to_owned(), "application/json".to_owned())];
    let mut answer = Answer::status(echo.status.unwrap_or(200));
    for (name, value) in echo.headers.as_deref().unwrap_or(&json) {
        answer = answer.header(name, value);
    }
    let body = echo.body.as_deref().unwrap_or(r#"{"echo":true}"#);
    let answer = answer.body(observe::encode(body));
    match echo.delay {
        Some(seconds) => Answer::after(Duration::from_secs_f64(seconds), answer),
        None => answer,
    }
}

fn give_new_ids(config: &mut Value) {
    let new = || json!(uuid::Uuid::new_v4().to_string());
    for service in config["services"].as_array_mut().into_iter().flatten() {
        service["id"] = new();
        for route in service["routes"].as_array_mut().into_iter().flatten() {
            route["id"] = new();
        }
    }
}
