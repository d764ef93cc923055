//! WASI 0.2, as far as language runtimes need it: streams to the filter's log, clocks, random numbers, environment.
//!
//! Functions are defined under the very names that a component imports, so that any 0.2.x will do. What is not served
//! here, above all file systems and sockets, is there and ends the guest when it is called.

use super::desk::{self, Wait};
use super::state::State;
use crate::artefacts::fill_random;
use crate::log::Level;
use std::time::Duration;
use tokio::time::Instant;
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{
    Component, ComponentType, Lift, Linker, LinkerInstance, Lower, Resource, ResourceType,
};
use wasmtime::{Error, Result, StoreContextMut};

/// Packages of which interfaces may be imported.
const PACKAGES: [&str; 6] = [
    "wasi:io/",
    "wasi:clocks/",
    "wasi:random/",
    "wasi:cli/",
    "wasi:filesystem/",
    "wasi:sockets/",
];

/// Standard input, always at its end.
struct InputStream;
/// Standard output or error; the handle tells which.
struct OutputStream;
/// An error of a stream; there are none.
struct StreamFault;
/// Ready at a moment, or at once.
struct Pollable(Option<Instant>);
/// A kind of handle that is never made.
struct Unsupported;

const STDOUT: u32 = 1;
const STDERR: u32 = 2;
/// Bytes that one write may have.
const WRITE: u64 = 64 << 10;
/// Random bytes that one call gives.
const MAX_RANDOM: u64 = 64 << 10;

#[derive(ComponentType, Lower)]
#[component(variant)]
enum StreamError {
    #[component(name = "last-operation-failed")]
    #[allow(dead_code, reason = "the case is part of the type")]
    LastOperationFailed(Resource<StreamFault>),
    #[component(name = "closed")]
    Closed,
}

#[derive(ComponentType, Lower, Lift)]
#[component(record)]
struct Datetime {
    seconds: u64,
    nanoseconds: u32,
}

type Store<'s> = StoreContextMut<'s, State>;
type Streamed<T> = Result<(std::result::Result<T, StreamError>,)>;

/// Whether an import may be served here.
pub(super) fn knows(import: &str) -> bool {
    PACKAGES.iter().any(|package| import.starts_with(package)) && import.contains("@0.2.")
}

/// Defines everything of WASI that a component imports.
pub(super) fn define(linker: &mut Linker<State>, component: &Component) -> Result<()> {
    let engine = component.engine();
    let ty = component.component_type();
    for (name, item) in ty.imports(engine) {
        let (true, ComponentItem::ComponentInstance(interface)) = (knows(name), &item.ty) else {
            continue;
        };
        let mut instance = linker.instance(name)?;
        let short = name.strip_prefix("wasi:").and_then(|name| name.split('@').next());
        for (export, item) in interface.exports(engine) {
            match item.ty {
                ComponentItem::Resource(_) => resource(&mut instance, export)?,
                ComponentItem::ComponentFunc(_) => {
                    function(&mut instance, short.unwrap_or_default(), export, name)?;
                }
                _ => {}
            }
        }
    }
    Ok(())
}

fn resource(instance: &mut LinkerInstance<'_, State>, name: &str) -> Result<()> {
    let ty = match name {
        "input-stream" => ResourceType::host::<InputStream>(),
        "output-stream" => ResourceType::host::<OutputStream>(),
        "error" => ResourceType::host::<StreamFault>(),
        "pollable" => {
            let ty = ResourceType::host::<Pollable>();
            return instance.resource(name, ty, |mut store, rep| {
                let pollable = Resource::<Pollable>::new_own(rep);
                store.data_mut().table.delete(pollable)?;
                Ok(())
            });
        }
        _ => ResourceType::host::<Unsupported>(),
    };
    instance.resource(name, ty, |_, _| Ok(()))
}

fn function(
    instance: &mut LinkerInstance<'_, State>,
    interface: &str,
    name: &str,
    import: &str,
) -> Result<()> {
    let is_defined = match interface {
        "io/streams" => streams(instance, name)?,
        "io/poll" => poll(instance, name)?,
        "clocks/monotonic-clock" | "clocks/wall-clock" => clocks(instance, interface, name)?,
        "random/random" | "random/insecure" | "random/insecure-seed" => random(instance, name)?,
        _ => process(instance, name)?,
    };
    if is_defined {
        return Ok(());
    }
    let full = format!("{import}.{name}");
    instance.func_new(name, move |_, _, _, _| {
        Err(Error::msg(format!("{full} is not available to filters")))
    })
}

fn streams(instance: &mut LinkerInstance<'_, State>, name: &str) -> Result<bool> {
    type In = (Resource<InputStream>,);
    type Out = (Resource<OutputStream>,);
    type Sized = (Resource<InputStream>, u64);
    type Bytes = (Resource<OutputStream>, Vec<u8>);
    match name {
        "[method]input-stream.read" | "[method]input-stream.blocking-read" => {
            instance.func_wrap(name, |_: Store<'_>, _: Sized| -> Streamed<Vec<u8>> {
                Ok((Err(StreamError::Closed),))
            })?;
        }
        "[method]input-stream.skip" | "[method]input-stream.blocking-skip" => {
            instance.func_wrap(name, |_: Store<'_>, _: Sized| -> Streamed<u64> {
                Ok((Err(StreamError::Closed),))
            })?;
        }
        "[method]input-stream.subscribe" => {
            instance.func_wrap(name, |store: Store<'_>, _: In| ready(store, None))?;
        }
        "[method]output-stream.check-write" => {
            instance.func_wrap(name, |_: Store<'_>, _: Out| -> Streamed<u64> { Ok((Ok(WRITE),)) })?;
        }
        "[method]output-stream.write" | "[method]output-stream.blocking-write-and-flush" => {
            instance.func_wrap(
                name,
                |mut store: Store<'_>, (stream, bytes): Bytes| -> Streamed<()> {
                    print(store.data_mut(), stream.rep(), &bytes);
                    Ok((Ok(()),))
                },
            )?;
        }
        "[method]output-stream.flush" | "[method]output-stream.blocking-flush" => {
            instance.func_wrap(name, |_: Store<'_>, _: Out| -> Streamed<()> { Ok((Ok(()),)) })?;
        }
        "[method]output-stream.subscribe" => {
            instance.func_wrap(name, |store: Store<'_>, _: Out| ready(store, None))?;
        }
        _ => return Ok(false),
    }
    Ok(true)
}

/// Each line of what is written is a line of the log.
fn print(state: &mut State, stream: u32, bytes: &[u8]) {
    let level = if stream == STDERR {
        Level::Error
    } else {
        Level::Info
    };
    let lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    for line in lines {
        state.log(level, line);
    }
}

fn ready(mut store: Store<'_>, at: Option<Instant>) -> Result<(Resource<Pollable>,)> {
    Ok((store.data_mut().table.push(Pollable(at))?,))
}

fn poll(instance: &mut LinkerInstance<'_, State>, name: &str) -> Result<bool> {
    type One = (Resource<Pollable>,);
    match name {
        "[method]pollable.ready" => {
            instance.func_wrap(name, |store: Store<'_>, (pollable,): One| {
                let at = store.data().table.get(&pollable)?.0;
                Ok((at.is_none_or(|at| at <= Instant::now()),))
            })?;
        }
        "[method]pollable.block" => {
            instance.func_wrap_async(name, |store: Store<'_>, (pollable,): One| {
                Box::new(async move {
                    let at = store.data().table.get(&pollable)?.0;
                    sleep_until(at).await
                })
            })?;
        }
        "poll" => {
            instance.func_wrap_async(name, |store: Store<'_>, (all,): (Vec<Resource<Pollable>>,)| {
                Box::new(async move {
                    let mut times = Vec::with_capacity(all.len());
                    for pollable in &all {
                        times.push(store.data().table.get(pollable)?.0);
                    }
                    if times.is_empty() {
                        return Err(Error::msg("poll: there is nothing to wait for"));
                    }
                    let first = times.iter().min().copied().flatten();
                    sleep_until(first).await?;
                    let now = Instant::now();
                    let is_ready = |at: &Option<Instant>| at.is_none_or(|at| at <= now || Some(at) == first);
                    let found = (0_u32..).zip(&times).filter(|(_, at)| is_ready(at));
                    Ok((found.map(|(index, _)| index).collect::<Vec<_>>(),))
                })
            })?;
        }
        _ => return Ok(false),
    }
    Ok(true)
}

/// Waits; not while an instance is started, where there may be no timers.
async fn sleep_until(at: Option<Instant>) -> Result<()> {
    let Some(at) = at.filter(|at| *at > Instant::now()) else {
        return Ok(());
    };
    if tokio::runtime::Handle::try_current().is_err() {
        return Err(Error::msg("a filter cannot wait while it is started"));
    }
    let mut timer = Box::pin(tokio::time::sleep_until(at));
    std::future::poll_fn(|cx| {
        desk::with(|desk| desk.call.wait = Wait::Other);
        timer.as_mut().poll(cx)
    })
    .await;
    Ok(())
}

fn clocks(instance: &mut LinkerInstance<'_, State>, interface: &str, name: &str) -> Result<bool> {
    fn nanos(duration: Duration) -> u64 {
        u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
    }
    fn since_start(state: &State) -> u64 {
        let started = state.generation.host.started;
        nanos(Instant::now().into_std().saturating_duration_since(started))
    }
    match (interface, name) {
        ("clocks/monotonic-clock", "now") => {
            instance.func_wrap(name, |store: Store<'_>, (): ()| Ok((since_start(store.data()),)))?;
        }
        ("clocks/monotonic-clock", "resolution") => {
            instance.func_wrap(name, |_: Store<'_>, (): ()| Ok((1_u64,)))?;
        }
        ("clocks/monotonic-clock", "subscribe-duration") => {
            instance.func_wrap(name, |store: Store<'_>, (duration,): (u64,)| {
                let at = Instant::now().checked_add(Duration::from_nanos(duration));
                ready(store, at)
            })?;
        }
        ("clocks/monotonic-clock", "subscribe-instant") => {
            instance.func_wrap(name, |store: Store<'_>, (at,): (u64,)| {
                let left = at.saturating_sub(since_start(store.data()));
                let at = Instant::now().checked_add(Duration::from_nanos(left));
                ready(store, at)
            })?;
        }
        ("clocks/wall-clock", "now") => {
            instance.func_wrap(name, |store: Store<'_>, (): ()| {
                let millis = store.data().generation.host.services.clock.now_millis();
                let nanoseconds = u32::try_from(millis % 1_000).unwrap_or(0) * 1_000_000;
                let now = Datetime {
                    seconds: millis / 1_000,
                    nanoseconds,
                };
                Ok((now,))
            })?;
        }
        ("clocks/wall-clock", "resolution") => {
            instance.func_wrap(name, |_: Store<'_>, (): ()| {
                let resolution = Datetime {
                    seconds: 0,
                    nanoseconds: 1_000_000,
                };
                Ok((resolution,))
            })?;
        }
        _ => return Ok(false),
    }
    Ok(true)
}

fn random(instance: &mut LinkerInstance<'_, State>, name: &str) -> Result<bool> {
    fn bytes(mut bytes: Vec<u8>) -> Result<Vec<u8>> {
        fill_random(&mut bytes).map_err(|error| Error::msg(error.to_string()))?;
        Ok(bytes)
    }
    fn number() -> Result<u64> {
        let bytes = bytes(vec![0; 8])?;
        Ok(bytes
            .iter()
            .fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }
    match name {
        "get-random-bytes" | "get-insecure-random-bytes" => {
            instance.func_wrap(name, |_: Store<'_>, (length,): (u64,)| {
                let length = usize::try_from(length.min(MAX_RANDOM)).unwrap_or(0);
                Ok((bytes(vec![0; length])?,))
            })?;
        }
        "get-random-u64" | "get-insecure-random-u64" => {
            instance.func_wrap(name, |_: Store<'_>, (): ()| Ok((number()?,)))?;
        }
        "insecure-seed" => {
            instance.func_wrap(name, |_: Store<'_>, (): ()| Ok(((number()?, number()?),)))?;
        }
        _ => return Ok(false),
    }
    Ok(true)
}

/// `wasi:cli`, and the list of directories, which is empty.
fn process(instance: &mut LinkerInstance<'_, State>, name: &str) -> Result<bool> {
    type Status = (std::result::Result<(), ()>,);
    type Directories = Vec<(Resource<Unsupported>, String)>;
    match name {
        "get-environment" => {
            instance.func_wrap(name, |store: Store<'_>, (): ()| {
                let environment = &store.data().generation.options.environment;
                let pairs = environment
                    .iter()
                    .map(|(key, value)| (key.clone(), value.clone()));
                Ok((pairs.collect::<Vec<_>>(),))
            })?;
        }
        "get-arguments" => {
            instance.func_wrap(name, |_: Store<'_>, (): ()| Ok((Vec::<String>::new(),)))?;
        }
        "initial-cwd" => {
            instance.func_wrap(name, |_: Store<'_>, (): ()| Ok((None::<String>,)))?;
        }
        "exit" => {
            instance.func_wrap(name, |mut store: Store<'_>, _: Status| -> Result<()> {
                store.data_mut().has_exited = true;
                Err(Error::msg("the guest asked to exit"))
            })?;
        }
        "get-stdin" => {
            instance.func_wrap(name, |_: Store<'_>, (): ()| {
                Ok((Resource::<InputStream>::new_own(0),))
            })?;
        }
        "get-stdout" => {
            instance.func_wrap(name, |_: Store<'_>, (): ()| {
                Ok((Resource::<OutputStream>::new_own(STDOUT),))
            })?;
        }
        "get-stderr" => {
            instance.func_wrap(name, |_: Store<'_>, (): ()| {
                Ok((Resource::<OutputStream>::new_own(STDERR),))
            })?;
        }
        "get-terminal-stdin" | "get-terminal-stdout" | "get-terminal-stderr" => {
            instance.func_wrap(name, |_: Store<'_>, (): ()| Ok((None::<Resource<Unsupported>>,)))?;
        }
        "get-directories" => {
            instance.func_wrap(name, |_: Store<'_>, (): ()| Ok((Directories::new(),)))?;
        }
        _ => return Ok(false),
    }
    Ok(true)
}
