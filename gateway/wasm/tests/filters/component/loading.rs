//! What is taken for a component filter, and what is refused with which reason.

use super::{granted, guest, kind};
use crate::support::World;
use serde_json::json;
use tidegate_wasm::{
    AbiVersion, ArtefactCache, FilterModule, FilterOptions, Isolation, LoadError, ModuleLimits, Origin,
};

fn load(wasm: &[u8]) -> Result<FilterModule, LoadError> {
    FilterModule::load(World::new().host.engine(), None, wasm, ModuleLimits::default())
}

fn refusal(text: &str) -> LoadError {
    let wasm = wat::parse_str(text).unwrap_or_else(|error| panic!("{error}"));
    load(&wasm).err().expect("a refusal")
}

/// An interface with one function, exported under a name.
fn exporting(name: &str, function: &str) -> String {
    format!(
        r#"(component
            (core module $m (func (export "f")))
            (core instance $i (instantiate $m))
            (func $f (canon lift (core func $i "f")))
            (instance $e (export "{function}" (func $f)))
            (export "{name}" (instance $e)))"#
    )
}

#[test]
fn a_component_is_told_from_a_module_and_its_phases_are_its_exports() {
    let module = load(guest()).expect("a filter");
    assert_eq!(module.abi, AbiVersion::Component0_1);
    assert_eq!(module.abi.as_str(), "tidegate:filter@0.1.0");
    assert_eq!(
        module.callbacks,
        [
            "on-request",
            "on-request-body",
            "on-response",
            "on-response-body",
            "on-log",
            "on-tick"
        ]
    );
    assert!(module.initial_memory_bytes >= 1 << 20);
    assert!(
        module
            .exports()
            .any(|export| export == "tidegate:filter/lifecycle@0.1.0")
    );
    let mut imports = module.imports();
    assert!(imports.any(|(import, known)| import == "tidegate:filter/outbound@0.1.0" && known));
}

#[test]
fn components_of_other_worlds_are_refused_with_the_reason() {
    assert_eq!(refusal("(component)"), LoadError::NoLifecycle);
    let lifecycle = exporting("tidegate:filter/lifecycle@0.1.0", "configure");
    assert_eq!(refusal(&lifecycle), LoadError::NoPhase);
    assert_eq!(
        refusal(
            r#"(component (import "wasi:http/handler@0.2.0" (instance)) (import "other:thing/a" (instance)))"#
        ),
        LoadError::UnknownImports("`wasi:http/handler@0.2.0`, `other:thing/a`".to_owned())
    );
    let foreign = exporting("tidegate:filter/lifecycle@0.2.0", "configure");
    assert_eq!(refusal(&foreign), LoadError::NoLifecycle);
    let unknown_function =
        refusal(r#"(component (import "tidegate:filter/logging@0.1.0" (instance (export "shout" (func)))))"#);
    assert_eq!(unknown_function, LoadError::NoLifecycle);
}

#[test]
fn a_function_that_an_interface_does_not_have_is_named() {
    let wat = r#"(component
        (import "tidegate:filter/logging@0.1.0" (instance (export "shout" (func))))
        (core module $m (func (export "f")))
        (core instance $i (instantiate $m))
        (func $f (canon lift (core func $i "f")))
        (instance $l (export "configure" (func $f)))
        (export "tidegate:filter/lifecycle@0.1.0" (instance $l))
        (instance $t (export "on-tick" (func $f)))
        (export "tidegate:filter/background@0.1.0" (instance $t)))"#;
    let LoadError::World(reason) = refusal(wat) else {
        panic!("it does not fit the package");
    };
    assert!(reason.contains("shout"), "{reason}");
}

#[test]
fn the_isolation_of_modules_alone_is_refused() {
    let world = World::new();
    let options = FilterOptions {
        isolation: Isolation::Shared,
        ..granted()
    };
    let refusal = kind(&world).attach_unchecked(&json!({}), options).err();
    assert!(refusal.expect("a refusal").message.contains("`shared`"));
}

#[test]
fn a_component_is_compiled_once_and_then_mapped() {
    let directory = tempfile::tempdir().expect("a directory");
    let cache = ArtefactCache::open(directory.path().join("cache")).expect("a cache");
    let world = World::new();
    for expected in [Origin::Compiled, Origin::Cached] {
        let module = FilterModule::load(
            world.host.engine(),
            Some(&cache),
            guest(),
            ModuleLimits::default(),
        );
        assert_eq!(module.expect("a filter").origin, expected);
    }
}

#[test]
fn random_and_damaged_components_never_crash_the_loader() {
    let world = World::new();
    let load = |wasm: &[u8]| {
        let _ = FilterModule::load(world.host.engine(), None, wasm, ModuleLimits::default());
    };
    let mut random = fastrand::Rng::with_seed(11);
    for _ in 0..300 {
        let mut wasm = b"\0asm\x0d\0\x01\0".to_vec();
        wasm.extend((0..random.usize(0..200)).map(|_| random.u8(..)));
        load(&wasm);
    }
    let small =
        wat::parse_str(exporting("tidegate:filter/lifecycle@0.1.0", "configure")).expect("a component");
    for length in 8..small.len() {
        load(&small[..length]);
    }
    for place in 8..small.len() {
        let mut damaged = small.clone();
        damaged[place] ^= random.u8(1..);
        load(&damaged);
    }
}
