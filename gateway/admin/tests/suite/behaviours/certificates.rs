//! Certificates and their names.

use super::{id, made, open, refusal};
use crate::gateway::Gateway;
use serde_json::{Value, json};

fn pem(kind: &str, content: &str) -> String {
    format!("-----BEGIN {kind}-----\n{content}\n-----END {kind}-----\n")
}

fn pair(snis: Value) -> Value {
    let (cert, key) = (pem("CERTIFICATE", "AAAA"), pem("PRIVATE KEY", "BBBB"));
    match snis {
        Value::Null => json!({ "cert": cert, "key": key }),
        snis => json!({ "cert": cert, "key": key, "snis": snis }),
    }
}

async fn names(gateway: &Gateway) -> Vec<String> {
    let page = gateway.get("/snis").await.json();
    let mut names: Vec<_> = page["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["name"].as_str().unwrap().to_owned())
        .collect();
    names.sort();
    names
}

#[tokio::test]
async fn names_are_written_along_and_shown_sorted() {
    let gateway = open();
    let made = made(
        &gateway,
        "/certificates",
        pair(json!(["b.test", "a.test", "*.c.test"])),
    )
    .await;
    assert_eq!(made["snis"], json!(["*.c.test", "a.test", "b.test"]));
    assert_eq!(gateway.get("/certificates/b.test").await.json(), made);
    assert_eq!(gateway.get("/certificates").await.json()["data"][0], made);
    assert_eq!(names(&gateway).await, ["*.c.test", "a.test", "b.test"]);
    assert_eq!(
        gateway.get("/certificates/a.test/snis").await.json()["data"]
            .as_array()
            .unwrap()
            .len(),
        3
    );
    assert_eq!(
        gateway
            .send("DELETE", "/certificates/a.test", &[], b"")
            .await
            .status,
        204
    );
    assert!(names(&gateway).await.is_empty());
}

#[tokio::test]
async fn patch_keeps_names_that_are_left_out_and_put_does_not() {
    let gateway = open();
    let made = made(&gateway, "/certificates", pair(json!(["a.test", "b.test"]))).await;
    let path = format!("/certificates/{}", id(&made));
    let patched = gateway.json("PATCH", &path, &json!({"tags": ["x"]})).await.json();
    assert_eq!(patched["snis"], json!(["a.test", "b.test"]));
    let patched = gateway
        .json("PATCH", &path, &json!({"snis": ["b.test", "c.test"]}))
        .await
        .json();
    assert_eq!(patched["snis"], json!(["b.test", "c.test"]));
    let replaced = gateway.json("PUT", &path, &pair(Value::Null)).await.json();
    assert_eq!(replaced["snis"], json!([]));
    assert!(names(&gateway).await.is_empty());
    let cleared = gateway.json("PATCH", &path, &json!({"snis": null})).await;
    assert_eq!(cleared.status, 200);
}

#[tokio::test]
async fn names_that_cannot_be_had_are_refused_and_nothing_is_written() {
    let gateway = open();
    let first = made(&gateway, "/certificates", pair(json!(["a.test"]))).await;
    for (snis, message) in [
        (
            json!(["b.test", "b.test"]),
            "snis: b.test is duplicated".to_owned(),
        ),
        (
            json!(["c.test", "a.test"]),
            format!(
                "snis: a.test already associated with existing certificate '{}'",
                id(&first)
            ),
        ),
        (
            json!(["a.*.com"]),
            "snis.1: wildcard must be leftmost or rightmost character".to_owned(),
        ),
        (json!(["1.2.3.4"]), "snis.1: must not be an IP".to_owned()),
        (json!("x"), "snis: expected a set".to_owned()),
    ] {
        let seen = gateway.json("POST", "/certificates", &pair(snis.clone())).await;
        assert_eq!(
            refusal(&seen, 400),
            format!("schema violation ({message})"),
            "{snis}"
        );
    }
    assert_eq!(names(&gateway).await, ["a.test"]);
    assert_eq!(
        gateway.get("/certificates").await.json()["data"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

#[tokio::test]
async fn a_multipart_form_brings_files_and_names() {
    let gateway = open();
    let part = |name: &str, value: &str| {
        format!("--xx\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    };
    let body = [
        part("cert", &pem("CERTIFICATE", "AAAA")),
        part("key", &pem("PRIVATE KEY", "BBBB")),
        part("snis[1]", "b.test"),
        part("snis[2]", "a.test"),
        "--xx--\r\n".to_owned(),
    ]
    .concat();
    let headers = [("content-type", "multipart/form-data; boundary=xx")];
    let seen = gateway
        .send("POST", "/certificates", &headers, body.as_bytes())
        .await;
    assert_eq!(seen.status, 201, "{}", seen.body);
    assert_eq!(seen.json()["snis"], json!(["a.test", "b.test"]));
}

#[tokio::test]
async fn what_is_in_use_stays() {
    let gateway = open();
    let certificate = made(&gateway, "/certificates", pair(Value::Null)).await;
    let service = json!({"name": "s", "url": "https://h", "client_certificate": {"id": id(&certificate)}});
    made(&gateway, "/services", service).await;
    let path = format!("/certificates/{}", id(&certificate));
    let seen = gateway.send("DELETE", &path, &[], b"").await;
    assert_eq!(
        refusal(&seen, 400),
        "an existing 'services' entity references this 'certificates' entity"
    );
    assert_eq!(
        gateway.get(&format!("{path}/services")).await.json()["data"][0]["name"],
        "s"
    );
    assert_eq!(
        gateway.get("/services/s/client_certificate").await.json()["id"],
        certificate["id"]
    );

    let authority = made(
        &gateway,
        "/ca_certificates",
        json!({"cert": pem("CERTIFICATE", "AAAA")}),
    )
    .await;
    let patch = json!({"ca_certificates": [id(&authority)]});
    let service = gateway.json("PATCH", "/services/s", &patch).await.json();
    let path = format!("/ca_certificates/{}", id(&authority));
    let seen = gateway.send("DELETE", &path, &[], b"").await;
    assert_eq!(
        refusal(&seen, 400),
        format!(
            "ca certificate {} is still referenced by services (id = {})",
            id(&authority),
            id(&service)
        )
    );
    assert_eq!(seen.json()["code"], 19);
}

#[tokio::test]
async fn the_same_authority_twice_is_refused() {
    let gateway = open();
    let body = json!({"cert": pem("CERTIFICATE", "AAAA")});
    made(&gateway, "/ca_certificates", body.clone()).await;
    let seen = gateway.json("POST", "/ca_certificates", &body).await;
    assert!(refusal(&seen, 409).starts_with("UNIQUE violation detected on '{cert_digest="));
    let two = format!("{0}{0}", pem("CERTIFICATE", "CCCC"));
    let seen = gateway
        .json("POST", "/ca_certificates", &json!({"cert": two}))
        .await;
    assert!(refusal(&seen, 400).contains("please submit only one certificate at a time"));
}
