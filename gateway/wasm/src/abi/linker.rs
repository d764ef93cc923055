//! Binds the host functions to a module's imports.
//!
//! Every function of every version is there for every module: filters import functions of versions they do not declare.

use super::calls::callouts::HttpCall;
use super::calls::grpc::GrpcCall;
use super::calls::local::LocalResponse;
use super::calls::{buffers, callouts, foreign, grpc, headers, local, properties, shared, system};
use super::guest::{Guest, Out, Span, settle};
use super::instance::Callback;
use super::state::{Moment, State};
use super::status::{Answer, Status};
use super::wasi;
use crate::module::CALLBACKS;
use crate::module::{AbiVersion, CoreModule, LoadError};
use crate::options::FilterOptions;
use wasmtime::{
    Caller, Engine, ExternType, FuncType, InstancePre, Linker, Module, ModuleExport, Val, ValType,
};

const ENV: &str = "env";
/// Names under which the ABI knows preview 1 of WASI.
const WASI: [&str; 2] = ["wasi_snapshot_preview1", "wasi_unstable"];

macro_rules! functions {
    ($($name:literal ($($arg:ident: $ty:ty),*) |$guest:ident| $call:expr;)*) => {
        /// Names of the functions that are bound.
        pub(crate) const NAMES: &[&str] = &[$($name),*];

        fn define(linker: &mut Linker<State>) -> wasmtime::Result<()> {
            $(linker.func_wrap(ENV, $name, |mut caller: Caller<'_, State>, $($arg: $ty),*| {
                let answer = enter(&mut caller, $name).and_then(|mut $guest| $call);
                settle(&mut caller, $name, answer)
            })?;)*
            Ok(())
        }
    };
}

functions! {
    "proxy_log"(level: i32, p: i32, n: i32) |g| system::log(&mut g, level, Span::new(p, n));
    "proxy_get_log_level"(out: u32) |g| system::get_log_level(&mut g, out);
    "proxy_get_current_time_nanoseconds"(out: u32) |g| system::current_time(&mut g, out);
    "proxy_set_tick_period_milliseconds"(ms: u32) |g| system::set_tick_period(&mut g, ms);
    "proxy_set_effective_context"(id: u32) |g| system::set_effective_context(&mut g, id);
    "proxy_done"() |g| local::done(&mut g);
    "proxy_get_configuration"(op: i32, on: i32) |g| buffers::configuration(&mut g, Out::new(op, on));
    "proxy_get_buffer_bytes"(buffer: i32, start: u32, max: u32, op: i32, on: i32)
        |g| buffers::get(&mut g, buffer, start, max, Out::new(op, on));
    "proxy_get_buffer_status"(buffer: i32, length: u32, flags: u32) |g| buffers::status(&mut g, buffer, length, flags);
    "proxy_set_buffer_bytes"(buffer: i32, start: u32, size: u32, p: i32, n: i32)
        |g| buffers::set(&mut g, buffer, start, size, Span::new(p, n));
    "proxy_get_header_map_size"(map: i32, out: u32) |g| headers::size(&mut g, map, out);
    "proxy_get_header_map_pairs"(map: i32, op: i32, on: i32) |g| headers::pairs(&mut g, map, Out::new(op, on));
    "proxy_set_header_map_pairs"(map: i32, p: i32, n: i32) |g| headers::set_pairs(&mut g, map, Span::new(p, n));
    "proxy_get_header_map_value"(map: i32, kp: i32, kn: i32, op: i32, on: i32)
        |g| headers::get(&mut g, map, Span::new(kp, kn), Out::new(op, on));
    "proxy_add_header_map_value"(map: i32, kp: i32, kn: i32, vp: i32, vn: i32)
        |g| headers::add(&mut g, map, Span::new(kp, kn), Span::new(vp, vn));
    "proxy_replace_header_map_value"(map: i32, kp: i32, kn: i32, vp: i32, vn: i32)
        |g| headers::replace(&mut g, map, Span::new(kp, kn), Span::new(vp, vn));
    "proxy_remove_header_map_value"(map: i32, kp: i32, kn: i32) |g| headers::remove(&mut g, map, Span::new(kp, kn));
    "proxy_get_property"(p: i32, n: i32, op: i32, on: i32)
        |g| properties::get(&mut g, Span::new(p, n), Out::new(op, on));
    "proxy_set_property"(p: i32, n: i32, vp: i32, vn: i32)
        |g| properties::set(&mut g, Span::new(p, n), Span::new(vp, vn));
    "proxy_continue_stream"(stream: i32) |g| local::resume(&mut g, stream);
    "proxy_close_stream"(stream: i32) |g| local::close(&mut g, stream);
    "proxy_send_local_response"(status: i32, dp: i32, dn: i32, bp: i32, bn: i32, hp: i32, hn: i32, grpc_status: i32)
        |g| local::send(&mut g, LocalResponse {
            status,
            details: Span::new(dp, dn),
            body: Span::new(bp, bn),
            headers: Span::new(hp, hn),
            grpc_status,
        });
    "proxy_http_call"(
        up: i32, un: i32, hp: i32, hn: i32, bp: i32, bn: i32, tp: i32, tn: i32, timeout_ms: u32, out_id: u32
    ) |g| callouts::http_call(&mut g, HttpCall {
        upstream: Span::new(up, un),
        headers: Span::new(hp, hn),
        body: Span::new(bp, bn),
        trailers: Span::new(tp, tn),
        timeout_ms,
        out_id,
    });
    "proxy_grpc_call"(
        up: i32, un: i32, sp: i32, sn: i32, mp: i32, mn: i32, dp: i32, dn: i32, bp: i32, bn: i32, timeout_ms: u32,
        out_id: u32
    ) |g| grpc::unary(&mut g, grpc_call((up, un), (sp, sn), (mp, mn), (dp, dn), out_id), Span::new(bp, bn), timeout_ms);
    "proxy_grpc_stream"(up: i32, un: i32, sp: i32, sn: i32, mp: i32, mn: i32, dp: i32, dn: i32, out_id: u32)
        |g| grpc::stream(&mut g, grpc_call((up, un), (sp, sn), (mp, mn), (dp, dn), out_id));
    "proxy_grpc_send"(id: u32, p: i32, n: i32, end: i32) |g| grpc::send(&mut g, id, Span::new(p, n), end);
    "proxy_grpc_cancel"(id: u32) |g| grpc::cancel(&mut g, id);
    "proxy_grpc_close"(id: u32) |g| grpc::close(&mut g, id);
    "proxy_get_status"(code: u32, op: i32, on: i32) |g| callouts::status(&mut g, code, Out::new(op, on));
    "proxy_get_shared_data"(kp: i32, kn: i32, op: i32, on: i32, cas: u32)
        |g| shared::get_data(&mut g, Span::new(kp, kn), Out::new(op, on), cas);
    "proxy_set_shared_data"(kp: i32, kn: i32, vp: i32, vn: i32, cas: u32)
        |g| shared::set_data(&mut g, Span::new(kp, kn), Span::new(vp, vn), cas);
    "proxy_register_shared_queue"(p: i32, n: i32, out: u32) |g| shared::register_queue(&mut g, Span::new(p, n), out);
    "proxy_resolve_shared_queue"(vp: i32, vn: i32, p: i32, n: i32, out: u32)
        |g| shared::resolve_queue(&mut g, Span::new(vp, vn), Span::new(p, n), out);
    "proxy_enqueue_shared_queue"(id: u32, p: i32, n: i32) |g| shared::enqueue(&mut g, id, Span::new(p, n));
    "proxy_dequeue_shared_queue"(id: u32, op: i32, on: i32) |g| shared::dequeue(&mut g, id, Out::new(op, on));
    "proxy_define_metric"(kind: i32, p: i32, n: i32, out: u32)
        |g| shared::define_metric(&mut g, kind, Span::new(p, n), out);
    "proxy_increment_metric"(id: u32, delta: i64) |g| shared::increment(&mut g, id, delta);
    "proxy_record_metric"(id: u32, value: i64) |g| shared::record(&mut g, id, value);
    "proxy_get_metric"(id: u32, out: u32) |g| shared::get_metric(&mut g, id, out);
    "proxy_call_foreign_function"(np: i32, nn: i32, ap: i32, an: i32, op: i32, on: i32)
        |g| foreign::call(&mut g, Span::new(np, nn), Span::new(ap, an), Out::new(op, on));
}

/// Three functions of 0.1.0 that the specification and its first SDKs declare with different results.
const RESULT_VARIES: [&str; 3] = [
    "proxy_continue_request",
    "proxy_continue_response",
    "proxy_clear_route_cache",
];

fn grpc_call(
    upstream: (i32, i32),
    service: (i32, i32),
    method: (i32, i32),
    metadata: (i32, i32),
    out_id: u32,
) -> GrpcCall {
    let span = |(start, length)| Span::new(start, length);
    GrpcCall {
        upstream: span(upstream),
        service: span(service),
        method: span(method),
        metadata: span(metadata),
        out_id,
    }
}

/// While a module starts, only log and clock answer.
fn enter<'c, 's>(caller: &'c mut Caller<'s, State>, name: &str) -> Answer<Guest<'c, 's>> {
    if caller.data().moment == Moment::Start && !is_allowed_at_start(name) {
        return Err(Status::InternalFailure.into());
    }
    Guest::new(caller)
}

fn is_allowed_at_start(name: &str) -> bool {
    [
        "proxy_log",
        "proxy_get_log_level",
        "proxy_get_current_time_nanoseconds",
    ]
    .contains(&name)
}

/// The functions that do not depend on the module.
pub(crate) fn base(engine: &Engine) -> wasmtime::Result<Linker<State>> {
    let mut linker = Linker::new(engine);
    define(&mut linker)?;
    for name in WASI {
        wasi::define(&mut linker, name)?;
    }
    Ok(linker)
}

/// Whether there is a host function behind an import, even if it only answers that it is not supported.
pub(crate) fn knows(module: &str, name: &str) -> bool {
    (module == ENV && NAMES.contains(&name)) || WASI.contains(&module)
}

/// Imports of a module that no host function answers, as `module.name`.
pub(crate) fn unknown(module: &Module) -> Vec<String> {
    let unknown = module
        .imports()
        .filter(|import| !knows(import.module(), import.name()));
    unknown
        .map(|import| format!("{}.{}", import.module(), import.name()))
        .collect()
}

/// A module that is bound to the host functions as an attachment grants them.
pub(crate) struct ModuleCode {
    pub(crate) linked: InstancePre<State>,
    pub(crate) exports: [Option<ModuleExport>; CALLBACKS.len()],
    pub(crate) abi: AbiVersion,
    pub(crate) is_rust: bool,
    /// Imports that no host function answers, as `module.name`.
    pub(crate) unknown_imports: Vec<String>,
}

impl ModuleCode {
    /// Whether the guest has a callback that does something.
    pub(crate) fn has(&self, callback: Callback) -> bool {
        self.exports.get(callback as usize).is_some_and(Option::is_some)
    }
}

/// Binds a module's imports, with stand-ins for those that nobody knows or that the attachment does not grant.
pub(crate) fn link(
    base: &Linker<State>,
    filter: &CoreModule,
    options: &FilterOptions,
) -> Result<ModuleCode, LoadError> {
    let mut linker = base.clone();
    linker.allow_shadowing(true);
    let mut unknown = Vec::new();
    for import in filter.module.imports() {
        let ExternType::Func(ty) = import.ty() else {
            continue;
        };
        let (module, name) = (import.module(), import.name());
        let full = format!("{module}.{name}");
        let is_wasi = WASI.contains(&module);
        let is_known = (module == ENV && NAMES.contains(&name)) || (is_wasi && wasi::NAMES.contains(&name));
        let defined = if !options.grants(name) {
            constant(
                &mut linker,
                (module, name),
                ty,
                if is_wasi {
                    wasi::NOT_CAPABLE
                } else {
                    Status::InternalFailure as i32
                },
            )
        } else if module == ENV && RESULT_VARIES.contains(&name) {
            define_varying(&mut linker, known_name(name), &ty)
        } else if is_known {
            Ok(())
        } else if is_wasi {
            constant(&mut linker, (module, name), ty, wasi::errno_of(name))
        } else {
            unknown.push(full.clone());
            stand_in(&mut linker, (module, name), ty, filter.is_rust)
        };
        defined.map_err(|error| LoadError::Start(format!("{full}: {error:#}")))?;
    }
    let linked = linker
        .instantiate_pre(&filter.module)
        .map_err(|error| LoadError::Start(format!("{error:#}")))?;
    Ok(ModuleCode {
        linked,
        exports: filter.exports,
        abi: filter.abi,
        is_rust: filter.is_rust,
        unknown_imports: unknown,
    })
}

/// A function that does nothing and answers `number`.
fn constant(
    linker: &mut Linker<State>,
    (module, name): (&str, &str),
    ty: FuncType,
    number: i32,
) -> wasmtime::Result<()> {
    let full = format!("{module}.{name}");
    let is_number = answers_with_number(&ty);
    linker.func_new(module, name, ty, move |_, _, results| match results {
        [] => Ok(()),
        [result] if is_number => {
            *result = Val::I32(number);
            Ok(())
        }
        _ => Err(wasmtime::Error::msg(format!("{full} is not available"))),
    })?;
    Ok(())
}

fn answers_with_number(ty: &FuncType) -> bool {
    ty.results().len() == 1 && ty.results().all(|ty| matches!(ty, ValType::I32))
}

/// Unknown functions of the ABI are unimplemented; a call of any other ends the guest.
fn stand_in(
    linker: &mut Linker<State>,
    (module, name): (&str, &str),
    ty: FuncType,
    is_rust: bool,
) -> wasmtime::Result<()> {
    if module == ENV && name.starts_with("proxy_") && answers_with_number(&ty) {
        let status = if is_rust {
            Status::InternalFailure
        } else {
            Status::Unimplemented
        };
        return constant(linker, (module, name), ty, status as i32);
    }
    let full = format!("{module}.{name}");
    linker.func_new(module, name, ty, move |_, _, _| {
        Err(wasmtime::Error::msg(format!(
            "the import {full} is not known to this gateway"
        )))
    })?;
    Ok(())
}

fn known_name(name: &str) -> &'static str {
    RESULT_VARIES
        .into_iter()
        .find(|known| *known == name)
        .unwrap_or(ENV)
}

fn define_varying(linker: &mut Linker<State>, name: &'static str, ty: &FuncType) -> wasmtime::Result<()> {
    let call = move |caller: &mut Caller<'_, State>| {
        let answer = enter(caller, name).and_then(|mut guest| match name {
            "proxy_continue_request" => local::resume(&mut guest, 0),
            "proxy_continue_response" => local::resume(&mut guest, 1),
            // Routes are matched once.
            _ => Ok(()),
        });
        settle(caller, name, answer)
    };
    if ty.results().len() == 0 {
        linker.func_wrap(ENV, name, move |mut caller: Caller<'_, State>| {
            call(&mut caller).map(drop)
        })?;
    } else {
        linker.func_wrap(ENV, name, move |mut caller: Caller<'_, State>| call(&mut caller))?;
    }
    Ok(())
}
