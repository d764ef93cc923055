//! The vectors of RFC 4231, through filters that have the examples' own code of HMAC-SHA256.

use super::{Language, build, root};
use serde_json::json;
use std::path::Path;
use tidegate_filter_test::{Harness, Request};

/// Key, data, code: test cases 1, 2, 3, 4, 6 and 7. Case 5 cuts its code, which these filters do not.
fn vectors() -> [(Vec<u8>, Vec<u8>, &'static str); 6] {
    [
        (
            vec![0x0b; 20],
            b"Hi There".to_vec(),
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
        ),
        (
            b"Jefe".to_vec(),
            b"what do ya want for nothing?".to_vec(),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
        ),
        (
            vec![0xaa; 20],
            vec![0xdd; 50],
            "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe",
        ),
        (
            (1..=25).collect(),
            vec![0xcd; 50],
            "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b",
        ),
        (
            vec![0xaa; 131],
            b"Test Using Larger Than Block-Size Key - Hash Key First".to_vec(),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
        ),
        (
            vec![0xaa; 131],
            b"This is a test using a larger than block-size key and a larger than block-size data. \
              The key needs to be hashed before being used by the HMAC algorithm."
                .to_vec(),
            "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2",
        ),
    ]
}

/// Builds a filter that gives the code of what the headers `x-key` and `x-data` say, and asks it.
fn check(language: &str, files: &[(&str, &str)]) {
    let folder = tempfile::tempdir().unwrap();
    let example = root()
        .join("examples/filters")
        .join(format!("sign-request-{language}"));
    let project = folder.path().join("mac");
    let sdk = root().join("sdk");
    let put = |name: &str, text: &str| {
        let file = project.join(name);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, text.replace("SDK", sdk.to_str().unwrap())).unwrap();
    };
    for (name, text) in files {
        match *text {
            "" => put(name, &std::fs::read_to_string(example.join(name)).unwrap()),
            text => put(name, text),
        }
    }
    let module: &Path = &build(&project, folder.path()).join("mac.wasm");
    let mut harness = Harness::load(module).unwrap().config(json!({}));
    for (key, data, code) in vectors() {
        let request = Request::get("/")
            .header("x-key", &hex::encode(key))
            .header("x-data", &hex::encode(data));
        harness.request(request).expect_header("x-mac", code);
    }
}

#[test]
fn the_code_in_c_passes_the_vectors_of_rfc_4231() {
    if Language::C.is_left_out() {
        return;
    }
    let filter = r#"
#include "hmac_sha256.h"
#include "tidegate_filter.h"

static uint32_t decode(slice name, uint8_t *out) {
    slice hex;
    get_header(REQUEST_HEADERS, name, &hex);
    for (uint32_t i = 0; i < hex.length; i++) {
        const char digit = hex.at[i];
        const uint8_t value = (uint8_t)(digit <= '9' ? digit - '0' : digit - 'a' + 10);
        out[i / 2] = (uint8_t)(i % 2 ? out[i / 2] | value : value << 4);
    }
    return hex.length / 2;
}

EXPORT("proxy_on_request_headers")
uint32_t on_request_headers(uint32_t exchange, uint32_t headers, uint32_t end_of_stream) {
    (void)exchange, (void)headers, (void)end_of_stream;
    arena_reset();
    uint8_t bytes[256], code[32];
    char text[64];
    hmac_key key;
    hmac_init(&key, bytes, decode(TEXT("x-key"), bytes));
    sha256 message = hmac_start(&key);
    sha256_update(&message, bytes, decode(TEXT("x-data"), bytes));
    hmac_finish(&key, &message, code);
    writer out = WRITER(text);
    write_hex(&out, code, 32);
    replace_header(REQUEST_HEADERS, TEXT("x-mac"), written(&out));
    return CONTINUE;
}
"#;
    check(
        "c",
        &[
            ("filter.c", filter),
            ("hmac_sha256.c", ""),
            ("hmac_sha256.h", ""),
            ("compile_flags.txt", "-ISDK/c\n"),
        ],
    );
}

#[test]
fn the_code_in_assemblyscript_passes_the_vectors_of_rfc_4231() {
    if Language::AssemblyScript.is_left_out() {
        return;
    }
    let filter = r#"
import { Exchange, Filter, Flow, Head, register } from "tidegate";
import { Hmac } from "./hmac";

export * from "tidegate/callbacks";

function decode(hex: string): ArrayBuffer {
  const bytes = new Uint8Array(hex.length / 2);
  for (let i = 0; i < bytes.length; i++) bytes[i] = <u8>parseInt(hex.substr(i * 2, 2), 16);
  return bytes.buffer;
}

class Macs extends Filter {
  exchange(): Exchange { return new Mac(); }
}

class Mac extends Exchange {
  requestHead(request: Head, endOfStream: bool): Flow {
    const mac = new Hmac(decode(request.get("x-key")!));
    mac.start();
    mac.update(decode(request.get("x-data")!));
    request.set("x-mac", mac.finishHex());
    return Flow.Continue;
  }
}

register(() => new Macs());
"#;
    let package = r#"{"name": "mac", "devDependencies": {"assemblyscript": "*"}}"#;
    let options = r#"{"entries": ["assembly/index.ts"], "options": {
        "path": ["SDK/assemblyscript"], "runtime": "minimal", "use": ["abort=~lib/tidegate/index/failed"]}}"#;
    check(
        "assemblyscript",
        &[
            ("assembly/index.ts", filter),
            ("assembly/hmac.ts", ""),
            ("package.json", package),
            ("asconfig.json", options),
        ],
    );
}
