//! What a module's bytes tell before it is compiled: who made it, and which of its callbacks do nothing.

use super::CALLBACKS;
use wasmparser::{ExternalKind, FunctionBody, KnownCustom, Operator, Parser, Payload, TypeRef};

/// See the module. Everything is false for what cannot be read.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Findings {
    /// Whether the `producers` section names Rust as a language.
    pub(super) is_made_by_rustc: bool,
    /// By their place in [`CALLBACKS`]: the body is one constant at most, and it says what the host takes for granted
    /// where the callback is absent. Calling it changes nothing.
    pub(super) is_quiet: [bool; CALLBACKS.len()],
}

impl Findings {
    pub(super) fn of(wasm: &[u8]) -> Self {
        let mut findings = Self::default();
        // What is not well formed is found by the compiler, which says where.
        let _ = findings.read(wasm);
        findings
    }

    fn read(&mut self, wasm: &[u8]) -> wasmparser::Result<()> {
        let mut imported = 0;
        let mut bodies = 0;
        // Functions of callbacks by index, with their place.
        let mut callbacks = Vec::new();
        for payload in Parser::new(0).parse_all(wasm) {
            match payload? {
                Payload::ImportSection(imports) => {
                    for import in imports.into_imports() {
                        imported += u32::from(matches!(import?.ty, TypeRef::Func(_)));
                    }
                }
                Payload::ExportSection(exports) => {
                    for export in exports {
                        let export = export?;
                        let place = CALLBACKS.iter().position(|(name, ..)| *name == export.name);
                        if let (Some(place), ExternalKind::Func) = (place, export.kind) {
                            callbacks.push((export.index, place));
                        }
                    }
                }
                Payload::CodeSectionEntry(body) => {
                    let index = imported + bodies;
                    bodies += 1;
                    for (_, place) in callbacks.iter().filter(|(function, _)| *function == index) {
                        if let Some(is_quiet) = self.is_quiet.get_mut(*place) {
                            *is_quiet = does_nothing(*place, &body)?;
                        }
                    }
                }
                Payload::CustomSection(section) => {
                    if let KnownCustom::Producers(fields) = section.as_known() {
                        for field in fields {
                            let field = field?;
                            if field.name == "language" {
                                for value in field.values {
                                    self.is_made_by_rustc |= value?.name == "Rust";
                                }
                            }
                        }
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }
}

fn does_nothing(place: usize, body: &FunctionBody<'_>) -> wasmparser::Result<bool> {
    let mut operators = body.get_operators_reader()?;
    let answer = match operators.read()? {
        Operator::End => None,
        Operator::I32Const { value } if matches!(operators.read()?, Operator::End) => Some(value),
        _ => return Ok(false),
    };
    let Some((name, ..)) = CALLBACKS.get(place) else {
        return Ok(false);
    };
    Ok(match (*name, answer) {
        ("proxy_on_memory_allocate", _) => false,
        (
            "proxy_on_vm_start" | "proxy_validate_configuration" | "proxy_on_configure" | "proxy_on_done",
            Some(answer),
        ) => answer != 0,
        (_, Some(answer)) => answer == 0,
        (_, None) => true,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quiet(text: &str) -> Vec<&'static str> {
        let wasm = wat::parse_str(text).expect("a module");
        let findings = Findings::of(&wasm);
        let names = CALLBACKS.iter().zip(findings.is_quiet);
        names
            .filter_map(|((name, ..), is_quiet)| is_quiet.then_some(*name))
            .collect()
    }

    #[test]
    fn callbacks_that_say_what_is_taken_for_granted_are_quiet() {
        let found = quiet(
            r#"(module (import "env" "proxy_log" (func $log (param i32 i32 i32) (result i32)))
                (func (export "proxy_on_context_create") (param i32 i32))
                (func (export "proxy_on_done") (param i32) (result i32) i32.const 1)
                (func (export "proxy_on_log") (param i32) nop)
                (func (export "proxy_on_delete") (param i32) (drop (call $log (i32.const 0) (i32.const 0) (i32.const 0))))
                (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32) i32.const 1)
                (func (export "proxy_on_request_body") (param i32 i32 i32) (result i32) i32.const 0)
                (func (export "proxy_on_memory_allocate") (param i32) (result i32) i32.const 0))"#,
        );
        assert_eq!(
            found,
            [
                "proxy_on_context_create",
                "proxy_on_request_body",
                "proxy_on_done"
            ]
        );
    }

    #[test]
    fn one_function_may_be_several_callbacks() {
        let found = quiet(
            r#"(module (func $no (param i32) (result i32) i32.const 0)
                (func $nothing (param i32))
                (export "proxy_on_done" (func $no))
                (export "proxy_on_log" (func $nothing)) (export "proxy_on_delete" (func $nothing)))"#,
        );
        assert_eq!(found, ["proxy_on_log", "proxy_on_delete"]);
    }

    #[test]
    fn what_cannot_be_read_says_nothing() {
        let broken = [b"\0asm\x01\0\0\0\x0a\xff", &b""[..]];
        for wasm in broken {
            assert_eq!(Findings::of(wasm), Findings::default());
        }
    }
}
