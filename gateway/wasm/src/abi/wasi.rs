//! The part of WASI preview 1 that guests' runtimes ask for: output goes to the log, there are no files.

use super::calls::system::write_line;
use super::guest::{Guest, Span};
use super::state::State;
use super::status::Answer;
use crate::artefacts::fill_random;
use std::time::Instant;
use wasmtime::{Caller, Linker};

const SUCCESS: i32 = 0;
const BAD_FILE: i32 = 8;
const NOT_A_DIRECTORY: i32 = 20;
const FAULT: i32 = 21;
const INVALID: i32 = 28;
const IO: i32 = 29;
const NO_ENTRY: i32 = 44;
const NO_SYSTEM_CALL: i32 = 52;
const NOT_SUPPORTED: i32 = 58;
pub(crate) const NOT_CAPABLE: i32 = 76;

const MAX_RANDOM: usize = 64 << 10;
const MAX_OUTPUT: usize = 64 << 10;
const MAX_PARTS: u32 = 1_024;

/// Functions that do more than answer with a number.
pub(crate) const NAMES: &[&str] = &[
    "fd_write",
    "environ_sizes_get",
    "environ_get",
    "args_sizes_get",
    "args_get",
    "clock_time_get",
    "clock_res_get",
    "random_get",
    "poll_oneoff",
    "sched_yield",
    "proc_exit",
    "fd_fdstat_get",
    "fd_prestat_get",
    "fd_close",
];

/// What every other function answers.
pub(crate) fn errno_of(name: &str) -> i32 {
    match name {
        "fd_read" | "fd_pread" | "fd_fdstat_set_flags" | "fd_prestat_dir_name" => NO_SYSTEM_CALL,
        "path_open" => NO_ENTRY,
        "fd_readdir" => NOT_A_DIRECTORY,
        "fd_filestat_get" => BAD_FILE,
        name if name.starts_with("fd_") => BAD_FILE,
        _ => NOT_SUPPORTED,
    }
}

type Errno = Result<(), i32>;

pub(crate) fn define(linker: &mut Linker<State>, module: &str) -> wasmtime::Result<()> {
    linker.func_wrap(
        module,
        "fd_write",
        |mut caller: Caller<'_, State>, fd: i32, parts: i32, count: u32, out: u32| {
            answer(with(&mut caller, |guest| fd_write(guest, fd, parts, count, out)))
        },
    )?;
    linker.func_wrap(
        module,
        "environ_sizes_get",
        |mut caller: Caller<'_, State>, count: u32, size: u32| {
            answer(with(&mut caller, |guest| environ_sizes_get(guest, count, size)))
        },
    )?;
    linker.func_wrap(
        module,
        "environ_get",
        |mut caller: Caller<'_, State>, pointers: u32, text: u32| {
            answer(with(&mut caller, |guest| environ_get(guest, pointers, text)))
        },
    )?;
    linker.func_wrap(
        module,
        "args_sizes_get",
        |mut caller: Caller<'_, State>, count: u32, size: u32| {
            answer(with(&mut caller, |guest| {
                fault(guest.write_u32(count, 0))?;
                fault(guest.write_u32(size, 0))
            }))
        },
    )?;
    linker.func_wrap(module, "args_get", |_: u32, _: u32| SUCCESS)?;
    linker.func_wrap(
        module,
        "clock_time_get",
        |mut caller: Caller<'_, State>, clock: i32, _precision: i64, out: u32| {
            answer(with(&mut caller, |guest| clock_time_get(guest, clock, out)))
        },
    )?;
    linker.func_wrap(
        module,
        "clock_res_get",
        |mut caller: Caller<'_, State>, clock: i32, out: u32| {
            answer(with(&mut caller, |guest| match clock {
                0 | 1 => fault(guest.write_u64(out, 1)),
                _ => Err(NOT_SUPPORTED),
            }))
        },
    )?;
    linker.func_wrap(
        module,
        "random_get",
        |mut caller: Caller<'_, State>, start: i32, length: i32| {
            answer(with(&mut caller, |guest| {
                random_get(guest, Span::new(start, length))
            }))
        },
    )?;
    // Never sleeps: a guest that waits here would hold its worker.
    linker.func_wrap(
        module,
        "poll_oneoff",
        |mut caller: Caller<'_, State>, _: u32, _: u32, _: u32, out: u32| {
            answer(with(&mut caller, |guest| fault(guest.write_u32(out, 0))))
        },
    )?;
    linker.func_wrap(module, "sched_yield", || SUCCESS)?;
    linker.func_wrap(
        module,
        "proc_exit",
        |mut caller: Caller<'_, State>, code: i32| -> wasmtime::Result<()> {
            caller.data_mut().exit_code = Some(code);
            Err(wasmtime::Error::msg(format!("the guest exited with {code}")))
        },
    )?;
    linker.func_wrap(
        module,
        "fd_fdstat_get",
        |mut caller: Caller<'_, State>, fd: i32, out: u32| {
            answer(with(&mut caller, |guest| fd_fdstat_get(guest, fd, out)))
        },
    )?;
    linker.func_wrap(module, "fd_prestat_get", |_: i32, _: u32| BAD_FILE)?;
    linker.func_wrap(module, "fd_close", |fd: i32| {
        if matches!(fd, 1 | 2) { SUCCESS } else { BAD_FILE }
    })?;
    Ok(())
}

fn with(caller: &mut Caller<'_, State>, act: impl FnOnce(&mut Guest<'_, '_>) -> Errno) -> Errno {
    match Guest::new(caller) {
        Ok(mut guest) => act(&mut guest),
        Err(_) => Err(FAULT),
    }
}

fn answer(done: Errno) -> i32 {
    done.map_or_else(|errno| errno, |()| SUCCESS)
}

fn fault(done: Answer) -> Errno {
    done.map_err(|_| FAULT)
}

/// Output and error output become log lines.
fn fd_write(guest: &mut Guest<'_, '_>, fd: i32, parts: i32, count: u32, out: u32) -> Errno {
    let level = match fd {
        1 => 2,
        2 => 4,
        _ => return Err(BAD_FILE),
    };
    if count > MAX_PARTS {
        return Err(INVALID);
    }
    let (memory, state) = guest.parts();
    let list = Span::new(parts, (count * 8).cast_signed());
    let mut text = std::mem::take(&mut state.scratch);
    text.clear();
    let mut written = 0_u32;
    let mut gathered = Ok(());
    let parts = list.of(memory).map_err(|_| FAULT);
    for part in parts.as_ref().map_or(&[][..], |parts| parts).chunks_exact(8) {
        let number = |bytes: &[u8]| bytes.first_chunk().map_or(0, |bytes| i32::from_le_bytes(*bytes));
        let (start, length) = part.split_at(4);
        match Span::new(number(start), number(length)).of(memory) {
            Ok(bytes) => {
                written = written.saturating_add(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
                let room = MAX_OUTPUT.saturating_sub(text.len());
                text.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
            }
            Err(_) => gathered = Err(FAULT),
        }
    }
    let done = parts.map(drop).and(gathered);
    if done.is_ok() {
        let whole = text.strip_suffix(b"\n").unwrap_or(&text);
        if !whole.is_empty() {
            whole
                .split(|byte| *byte == b'\n')
                .for_each(|line| write_line(state, level, line));
        }
    }
    state.scratch = text;
    done?;
    fault(guest.write_u32(out, written))
}

fn environ_sizes_get(guest: &mut Guest<'_, '_>, count: u32, size: u32) -> Errno {
    let environment = &guest.state().generation.options.environment;
    let bytes: usize = environment
        .iter()
        .map(|(name, value)| name.len() + value.len() + 2)
        .sum();
    let entries = u32::try_from(environment.len()).map_err(|_| INVALID)?;
    let bytes = u32::try_from(bytes).map_err(|_| INVALID)?;
    fault(guest.write_u32(count, entries))?;
    fault(guest.write_u32(size, bytes))
}

fn environ_get(guest: &mut Guest<'_, '_>, mut pointers: u32, mut text: u32) -> Errno {
    let generation = std::sync::Arc::clone(&guest.state().generation);
    for (name, value) in &generation.options.environment {
        let entry = format!("{name}={value}\0");
        fault(guest.write(text, entry.as_bytes()))?;
        fault(guest.write_u32(pointers, text))?;
        pointers = pointers.checked_add(4).ok_or(FAULT)?;
        text = text
            .checked_add(u32::try_from(entry.len()).map_err(|_| INVALID)?)
            .ok_or(FAULT)?;
    }
    Ok(())
}

fn clock_time_get(guest: &mut Guest<'_, '_>, clock: i32, out: u32) -> Errno {
    let state = guest.state();
    let nanos = match clock {
        0 => state
            .generation
            .host
            .services
            .clock
            .now_millis()
            .saturating_mul(1_000_000),
        1 => {
            let since = Instant::now().saturating_duration_since(state.generation.host.started);
            u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
        }
        _ => return Err(NOT_SUPPORTED),
    };
    fault(guest.write_u64(out, nanos))
}

fn random_get(guest: &mut Guest<'_, '_>, span: Span) -> Errno {
    if span.length as usize > MAX_RANDOM {
        return Err(INVALID);
    }
    let (memory, _) = guest.parts();
    let start = span.start as usize;
    let target = memory.get_mut(start..start + span.length as usize).ok_or(FAULT)?;
    fill_random(target).map_err(|_| IO)
}

/// A character device that may only be written to.
fn fd_fdstat_get(guest: &mut Guest<'_, '_>, fd: i32, out: u32) -> Errno {
    const CHARACTER_DEVICE: u8 = 2;
    const RIGHT_FD_WRITE: u8 = 64;
    if !matches!(fd, 1 | 2) {
        return Err(BAD_FILE);
    }
    let mut stat = [0; 24];
    stat[0] = CHARACTER_DEVICE;
    stat[8] = RIGHT_FD_WRITE;
    fault(guest.write(out, &stat))
}
