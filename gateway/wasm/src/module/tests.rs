use super::*;
use crate::engine::EngineSettings;

fn load(text: &str) -> Result<FilterModule, LoadError> {
    load_bytes(&wat::parse_str(text).expect("a module"))
}

fn load_bytes(wasm: &[u8]) -> Result<FilterModule, LoadError> {
    let settings = EngineSettings {
        pooling: false,
        ..EngineSettings::default()
    };
    let engine = FilterEngine::new(settings).expect("an engine");
    FilterModule::load(&engine, None, wasm, ModuleLimits::default())
}

fn refusal(text: &str) -> String {
    load(text).err().expect("a refusal").to_string()
}

#[test]
fn the_highest_of_several_abi_markers_counts() {
    let module = load(
        r#"(module (memory (export "memory") 1)
            (func (export "proxy_abi_version_0_1_0")) (func (export "proxy_abi_version_0_2_0")))"#,
    )
    .expect("a filter");
    assert_eq!(module.abi, AbiVersion::V0_2_0);
    assert!(!module.is_rust);
}

#[test]
fn a_file_that_is_no_filter_is_refused_with_its_reason() {
    let marker = r#"(func (export "proxy_abi_version_0_2_1"))"#;
    let memory = r#"(memory (export "memory") 1)"#;
    let cases = [
        (
            format!("(module {memory} (func (export \"_start\")))"),
            "this is a command",
        ),
        (
            format!("(module {memory} (func (export \"proxy_abi_mosn_version_0_2_0\")))"),
            "`proxy_abi_mosn_version_0_2_0` marks an ABI",
        ),
        (format!("(module {memory})"), "missing or unknown ABI version"),
        (format!("(module {marker})"), "does not export its memory"),
        (
            format!("(module {marker} (memory (export \"memory\") 1025))"),
            "needs 67174400 bytes of memory",
        ),
        (
            format!(
                "(module (import \"env\" \"proxy_get_property\" (func (param i32 i32 i32 i32) (result i32))) {marker} {memory})"
            ),
            "no allocator",
        ),
        (
            format!(
                "(module (import \"env\" \"memory\" (memory 1)) {marker} (export \"memory\" (memory 0)))"
            ),
            "`env.memory` is a memory",
        ),
        (
            format!("(module {marker} {memory} (func (export \"proxy_on_request_headers\") (param i64)))"),
            "`proxy_on_request_headers` has the type",
        ),
    ];
    for (text, reason) in cases {
        let refusal = refusal(&text);
        assert!(refusal.contains(reason), "{refusal:?} names {reason:?}");
    }
}

#[test]
fn bytes_that_are_no_module_are_refused() {
    let refusal = |wasm: &[u8]| load_bytes(wasm).err().expect("a refusal");
    assert_eq!(refusal(b""), LoadError::NotWasm);
    assert_eq!(refusal(b"\x7fELF...."), LoadError::NotWasm);
    assert!(matches!(refusal(b"\0asm\x01\0"), LoadError::Broken(_)));
    assert!(matches!(refusal(b"\0asm\x0d\0\x02\0"), LoadError::Version(_)));
    assert_eq!(refusal(b"\0asm\x02\0\0\0"), LoadError::Version(2));
    let whole =
        wat::parse_str(r#"(module (memory (export "memory") 1) (func (export "proxy_abi_version_0_2_1")))"#)
            .expect("a module");
    for length in 9..whole.len() {
        let cut = &whole[..length];
        assert!(
            load_bytes(cut).is_err(),
            "a module cut to {length} bytes is refused"
        );
    }
}

#[test]
fn random_bytes_after_the_preamble_never_crash_the_loader() {
    let mut random = fastrand::Rng::with_seed(7);
    for _ in 0..300 {
        let mut wasm = b"\0asm\x01\0\0\0".to_vec();
        wasm.extend((0..random.usize(0..200)).map(|_| random.u8(..)));
        let _ = load_bytes(&wasm);
        let _ = Findings::of(&wasm);
    }
}

#[test]
fn the_producers_section_tells_rust() {
    let producers = b"\x01\x08language\x01\x04Rust\x00";
    let mut wasm =
        wat::parse_str(r#"(module (memory (export "memory") 1) (func (export "proxy_abi_version_0_2_1")))"#)
            .expect("a module");
    let name = b"\x09producers";
    wasm.push(0);
    wasm.push(u8::try_from(name.len() + producers.len()).expect("short"));
    wasm.extend_from_slice(name);
    wasm.extend_from_slice(producers);
    assert!(load_bytes(&wasm).expect("a filter").is_rust);
}
