//! Short ways to write things, in full: as the server will show them.

use crate::kinds::Kind;
use serde_json::{Map, Value};
use tidegate_model::entities::Service;
use tidegate_model::host::HostPort;
use tidegate_model::schema::Declared;

/// Rewrites what the server would rewrite by itself, so that it is found again and compares equal.
pub(super) fn expand(kind: Kind, body: &mut Map<String, Value>) -> Result<(), String> {
    match kind {
        Kind::Service => url(body),
        Kind::Route => {
            let protocols = body.get("protocols").and_then(Value::as_array);
            let is_grpc =
                protocols.is_some_and(|list| list.iter().any(|name| name == "grpc" || name == "grpcs"));
            if is_grpc && body.get("strip_path") == Some(&Value::Bool(true)) {
                return Err(
                    "schema violation (strip_path: cannot set 'strip_path' when 'protocols' is 'grpc' or \
                            'grpcs')"
                        .to_owned(),
                );
            }
            if is_grpc {
                body.insert("strip_path".to_owned(), Value::Bool(false));
            }
            Ok(())
        }
        Kind::Upstream => {
            // The server balances by hash whenever there is something to hash.
            let hashes = body
                .get("hash_on")
                .and_then(Value::as_str)
                .is_some_and(|on| on != "none");
            if hashes && body.get("algorithm").is_none_or(Value::is_null) {
                body.insert("algorithm".to_owned(), Value::from("consistent-hashing"));
            }
            Ok(())
        }
        Kind::Target => {
            if let Some(Value::String(target)) = body.get_mut("target")
                && let Ok(host) = HostPort::parse(target)
            {
                *target = host.with_default_port(DEFAULT_TARGET_PORT);
            }
            Ok(())
        }
        Kind::Key => {
            if let Some(jwk) = body.get_mut("jwk").filter(|jwk| jwk.is_object()) {
                *jwk = Value::String(jwk.to_string());
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

const DEFAULT_TARGET_PORT: u16 = 8000;

/// A `url` stands for four fields and wins over them.
fn url(body: &mut Map<String, Value>) -> Result<(), String> {
    let Some(url) = body.shift_remove("url").filter(Value::is_string) else {
        return Ok(());
    };
    let shorthands = &Service::schema().shorthands;
    if let Some(shorthand) = shorthands.iter().find(|shorthand| shorthand.name == "url") {
        body.extend(
            (shorthand.expand)(&url)?
                .into_iter()
                .map(|(field, value)| (field.to_owned(), value)),
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::expand;
    use crate::kinds::Kind;
    use serde_json::{Value, json};

    fn expanded(kind: Kind, body: Value) -> Result<Value, String> {
        let Value::Object(mut body) = body else {
            panic!("not an object");
        };
        expand(kind, &mut body)?;
        Ok(Value::Object(body))
    }

    #[test]
    fn a_url_is_taken_apart() {
        for (url, expected) in [
            (
                "https://a.test",
                json!({"protocol": "https", "host": "a.test", "port": 443, "path": null}),
            ),
            (
                "http://a.test:8080/x/",
                json!({"protocol": "http", "host": "a.test", "port": 8080, "path": "/x/"}),
            ),
            (
                "tcp://a.test",
                json!({"protocol": "tcp", "host": "a.test", "port": 80, "path": null}),
            ),
            (
                "http://a.test/",
                json!({"protocol": "http", "host": "a.test", "port": 80, "path": "/"}),
            ),
        ] {
            assert_eq!(expanded(Kind::Service, json!({"url": url})), Ok(expected));
        }
    }

    #[test]
    fn targets_get_their_port() {
        for (target, expected) in [
            ("127.0.0.1", "127.0.0.1:8000"),
            ("a.test:80", "a.test:80"),
            ("[::1]:80", "[0000:0000:0000:0000:0000:0000:0000:0001]:80"),
        ] {
            assert_eq!(
                expanded(Kind::Target, json!({"target": target})),
                Ok(json!({"target": expected}))
            );
        }
    }

    #[test]
    fn grpc_routes_never_strip_their_path() {
        assert_eq!(
            expanded(Kind::Route, json!({"protocols": ["grpc"]})),
            Ok(json!({"protocols": ["grpc"], "strip_path": false}))
        );
        assert!(expanded(Kind::Route, json!({"protocols": ["grpc"], "strip_path": true})).is_err());
    }
}
