//! Does in each phase what its configuration names: `{"request": "edit", "response_body": "upper"}`.

use serde_json::{Map, Value};
use std::time::{Duration, SystemTime};
use tidegate_sdk_component::outbound::Call;
use tidegate_sdk_component::{
    Body, BodyDecision, BodyMode, ConfigError, Context, Decision, Error, Filter, Level, LogFilter,
    RequestBodyFilter, RequestFilter, RequestHead, ResponseBodyFilter, ResponseFilter, ResponseHead, Result,
    Summary, TickFilter, filter, hold, kv, logging, metrics, next, outbound, pass, reply, respond, secrets,
    stream,
};

struct Guest(Map<String, Value>);

impl Filter for Guest {
    type Config = Value;

    fn configure(config: Value) -> Result<Self, ConfigError> {
        let Value::Object(plan) = config else {
            return Err(ConfigError::new("", "an object is expected"));
        };
        let guest = Self(plan);
        guest.misbehave("configure");
        Ok(guest)
    }
}

fn call(target: &str, path: &str) -> Call {
    Call {
        target: target.to_owned(),
        method: "POST".to_owned(),
        path: path.to_owned(),
        headers: Vec::new(),
        body: b"question".to_vec(),
        timeout_ms: 500,
        tls: false,
    }
}

fn text(result: Result<outbound::Answer, tidegate_sdk_component::Failure>) -> String {
    match result {
        Ok(answer) => String::from_utf8_lossy(&answer.body).into_owned(),
        Err(failure) => format!("{failure:?}"),
    }
}

impl Guest {
    fn plan(&self, phase: &str) -> &str {
        self.0.get(phase).and_then(Value::as_str).unwrap_or("")
    }

    fn misbehave(&self, phase: &str) {
        match self.plan(phase) {
            "trap" => panic!("on purpose"),
            "loop" => loop {
                std::hint::black_box(());
            },
            "grow" => {
                let mut all = Vec::new();
                loop {
                    all.push(vec![1_u8; 1 << 20]);
                    std::hint::black_box(&all);
                }
            }
            "exit" => std::process::exit(3),
            "recurse" => {
                #[allow(unconditional_recursion, reason = "until the stack ends")]
                fn down(depth: u64) -> u64 {
                    let room = std::hint::black_box([depth; 64]);
                    down(depth + 1) + room[0]
                }
                std::hint::black_box(down(0));
            }
            "sleep" => std::thread::sleep(Duration::from_millis(250)),
            _ => {}
        }
    }
}

impl RequestFilter for Guest {
    fn on_request(&self, cx: &Context, head: &RequestHead) -> Result<Decision> {
        self.misbehave("request");
        match self.plan("request") {
            "edit" => edit(cx, head),
            "ask" => {
                let answer = text(outbound::send(&call("auth", "/ask")));
                head.set("x-answer", &answer)?;
                Ok(next())
            }
            "ask-then-hold" => {
                let answer = text(outbound::send(&call("auth", "/ask")));
                head.set("x-answer", &answer)?;
                Ok(hold(100))
            }
            "ask-all" => {
                let calls = [call("one", "/"), call("forbidden", "/"), call("two", "/")];
                let answers: Vec<_> = outbound::send_all(&calls).into_iter().map(text).collect();
                head.set("x-answer", &answers.join(" "))?;
                Ok(next())
            }
            "post" => {
                outbound::post(&call("audit", "/"))?;
                Ok(next())
            }
            "kv" => count(head),
            "secret" => {
                head.set("x-secret", &format!("{:?}", secrets::get("{vault://env/x}")))?;
                Ok(next())
            }
            "denied" => {
                let open = kv::Store::open("s").err();
                let send = outbound::send(&call("auth", "/")).err();
                let secret = secrets::get("{vault://env/x}").err();
                head.set("x-denied", &format!("{open:?} {send:?} {secret:?}"))?;
                Ok(next())
            }
            "metrics" => {
                metrics::Counter::new("seen", &["kind".to_owned()]).add(2, &["a".to_owned()]);
                metrics::Gauge::new("level", &[]).set(-7, &[]);
                metrics::Histogram::new("size", &[1.0], &[]).observe(3.6, &[]);
                Ok(next())
            }
            "handles" => {
                // Opened and kept for ever.
                std::mem::forget(metrics::Counter::new("kept", &[]));
                Ok(next())
            }
            "respond" => Ok(respond(
                reply(403, "no").header("x-own", "1").reason("on purpose"),
            )),
            "bad-respond" => Ok(respond(reply(99, ""))),
            "abort" => Ok(Decision::Abort),
            "error" => Err(Error::other("it does not like this")),
            "hold" => Ok(hold(self.0.get("limit").and_then(Value::as_u64).unwrap_or(1_000))),
            "stream" => Ok(stream()),
            _ => Ok(next()),
        }
    }
}

fn edit(cx: &Context, head: &RequestHead) -> Result<Decision> {
    let host = head.get("host").unwrap_or_default();
    let facts = format!(
        "{} {} {} {} {} {} {:?} {}",
        head.method(),
        head.scheme(),
        head.authority(),
        head.path(),
        host,
        head.query("q").join(","),
        head.version(),
        cx.client().address,
    );
    head.set("x-facts", &facts)?;
    head.append("x-many", "1")?;
    head.append("x-many", "2")?;
    head.set_all("x-bytes", &[vec![0xff, 0xfe], b"text".to_vec()])?;
    head.set("x-not-text", &format!("{:?}", head.get("x-bytes")))?;
    head.remove("x-gone")?;
    head.set_path("/new?q=2")?;
    head.set_method("PUT")?;
    head.set_authority("other.test")?;
    let wrong = format!(
        "{:?} {:?}",
        head.set("bad name", "").err(),
        head.set("x-value", "a\nb").err()
    );
    head.set("x-wrong", &wrong)?;
    head.set("x-entries", &head.entries().len().to_string())?;
    head.set("x-property", &cx.property("request.method").unwrap_or_default())?;
    cx.set("from-request", Some(b"kept"));
    cx.annotate("note", "value");
    let since = SystemTime::UNIX_EPOCH.elapsed().map(|since| since.as_secs() > 0);
    logging::emit(
        Level::Info,
        "edited",
        &[("clock".to_owned(), format!("{since:?}"))],
    );
    println!("a line on standard output");
    Ok(next())
}

fn count(head: &RequestHead) -> Result<Decision> {
    let store = kv::Store::open("shared")?;
    let sum = store.increment("hits", 1, None)?;
    let first = store.compare_and_set("once", 0, b"1", Some(60_000))?;
    let entry = store.get("once")?.ok_or_else(|| Error::other("it is gone"))?;
    let second = store.compare_and_set("once", entry.version, b"2", None)?;
    let stale = store.compare_and_set("once", entry.version, b"3", None)?;
    store.set("text", b"x", None)?;
    let wrong = store.increment("text", 1, None);
    store.delete("text")?;
    let gone = store.get("text")?.is_none();
    let shown = format!(
        "{sum} {first:?} {second:?} {stale:?} {} {} {gone}",
        entry.ttl_ms.is_some(),
        wrong.is_err()
    );
    head.set("x-kv", &shown)?;
    Ok(next())
}

impl RequestBodyFilter for Guest {
    fn on_request_body(&self, cx: &Context, head: &RequestHead, body: &Body) -> Result<BodyDecision> {
        self.misbehave("request_body");
        let decision = on_body(self.plan("request_body"), body)?;
        let length = String::from_utf8_lossy(&cx.get("length").unwrap_or_default()).into_owned();
        cx.set("length", Some(format!("{length}+").as_bytes()));
        // Only a head that is held can still be changed.
        let _ = head.set("x-body", "seen");
        Ok(decision)
    }
}

/// What both directions do with a body.
fn on_body(plan: &str, body: &Body) -> Result<BodyDecision> {
    match plan {
        "upper" => {
            while let Some(bytes) = body.read(4)? {
                body.write(&bytes.to_ascii_uppercase())?;
            }
        }
        "replace" => {
            let all = body.read_all(1_000)?;
            body.write(format!("{} bytes", all.len()).as_bytes())?;
        }
        "replace-and-trail" => {
            let all = body.read_all(1_000)?;
            body.write(&all)?;
            let before = body.trailers()?.len();
            body.set_trailers(&[tidegate_sdk_component::Field {
                name: "x-trailer".to_owned(),
                value: before.to_string().into_bytes(),
            }])?;
        }
        "prefix" => {
            body.write(b">>")?;
            body.forward_rest()?;
        }
        "first" => {
            let first = body.read(1)?.unwrap_or_default();
            body.write(&first.to_ascii_uppercase())?;
        }
        "hint" => {
            let hint = format!("{:?}", body.size_hint());
            body.read_all(1_000)?;
            body.write(hint.as_bytes())?;
        }
        "too-much" => {
            let error = body.read_all(3).err();
            body.write(format!("{error:?} ").as_bytes())?;
        }
        "flood" => {
            for _ in 0..64 {
                body.write(&[b'x'; 16 << 10])?;
            }
        }
        "ask" => {
            let all = body.read_all(1_000)?;
            let answer = text(outbound::send(&call("auth", "/body")));
            body.write(&[&all[..], answer.as_bytes()].concat())?;
        }
        "respond" => return Ok(BodyDecision::Respond(reply(422, "bad body"))),
        "read-respond" => {
            body.read_all(1_000)?;
            return Ok(BodyDecision::Respond(reply(422, "bad body")));
        }
        "abort" => return Ok(BodyDecision::Abort),
        _ => {}
    }
    Ok(pass())
}

impl ResponseFilter for Guest {
    fn on_response(&self, cx: &Context, head: &ResponseHead) -> Result<Decision> {
        self.misbehave("response");
        match self.plan("response") {
            "edit" => {
                head.set("x-status", &head.status().to_string())?;
                head.set("x-local", &head.is_local().to_string())?;
                head.set_status(201)?;
                let kept = cx.get("from-request").unwrap_or_default();
                head.append("x-kept", &String::from_utf8_lossy(&kept))?;
                head.remove("x-gone")?;
                Ok(next())
            }
            "ask" => {
                head.set("x-answer", &text(outbound::send(&call("auth", "/response"))))?;
                Ok(next())
            }
            "respond" => Ok(respond(reply(503, "instead"))),
            "abort" => Ok(Decision::Abort),
            "hold" => Ok(Decision::Next(BodyMode::Hold(1_000))),
            "stream" => Ok(stream()),
            _ => Ok(next()),
        }
    }
}

impl ResponseBodyFilter for Guest {
    fn on_response_body(&self, _: &Context, head: &ResponseHead, body: &Body) -> Result<BodyDecision> {
        self.misbehave("response_body");
        let decision = on_body(self.plan("response_body"), body)?;
        let _ = head.set("x-body", "seen");
        Ok(decision)
    }
}

impl LogFilter for Guest {
    fn on_log(&self, _: &Context, summary: Summary) -> Result<()> {
        self.misbehave("log");
        if self.plan("log") == "count" {
            let path = summary.path;
            metrics::Counter::new("logged", &["path".to_owned()]).add(1, &[path]);
        }
        if self.plan("log") == "ask" {
            let _ = outbound::send(&call("audit", "/log"));
            metrics::Counter::new("audited", &[]).add(1, &[]);
        }
        Ok(())
    }
}

impl TickFilter for Guest {
    fn on_tick(&self) -> Result<()> {
        self.misbehave("tick");
        metrics::Counter::new("ticks", &[]).add(1, &[]);
        Ok(())
    }
}

filter!(Guest: request, request_body, response, response_body, log, tick);
