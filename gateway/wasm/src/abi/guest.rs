//! The guest's memory as host functions see it.

use super::state::State;
use super::status::{Answer, Fail, Status};
use crate::options::BadPointer;
use wasmtime::{AsContextMut, Caller, Extern, Memory};

/// The guest that called.
pub(crate) struct Guest<'c, 's> {
    caller: &'c mut Caller<'s, State>,
    memory: Memory,
}

/// A piece of memory that the guest named.
#[derive(Clone, Copy)]
pub(crate) struct Span {
    pub(crate) start: u32,
    pub(crate) length: u32,
}

/// Where a result goes: addresses of a pointer and a length. Both are zero when the guest wants none.
#[derive(Clone, Copy)]
pub(crate) struct Out {
    pub(crate) pointer: u32,
    pub(crate) length: u32,
}

impl Span {
    pub(crate) const fn new(start: i32, length: i32) -> Self {
        Self {
            start: start.cast_unsigned(),
            length: length.cast_unsigned(),
        }
    }

    pub(crate) fn of(self, memory: &[u8]) -> Answer<&[u8]> {
        let start = self.start as usize;
        memory
            .get(start..start + self.length as usize)
            .ok_or(Fail::Pointer)
    }
}

impl Out {
    pub(crate) const fn new(pointer: i32, length: i32) -> Self {
        Self {
            pointer: pointer.cast_unsigned(),
            length: length.cast_unsigned(),
        }
    }
}

impl<'c, 's> Guest<'c, 's> {
    pub(crate) fn new(caller: &'c mut Caller<'s, State>) -> Answer<Self> {
        let memory = match caller.data().memory {
            Some(memory) => memory,
            // A start function of the module itself runs before the export could be looked up.
            None => match caller.get_export("memory") {
                Some(Extern::Memory(memory)) => memory,
                _ => return Err(Fail::Pointer),
            },
        };
        Ok(Self { caller, memory })
    }

    pub(crate) fn state(&mut self) -> &mut State {
        self.caller.data_mut()
    }

    /// Memory and state at once.
    pub(crate) fn parts(&mut self) -> (&mut [u8], &mut State) {
        self.memory.data_and_store_mut(self.caller.as_context_mut())
    }

    pub(crate) fn write_u32(&mut self, address: u32, value: u32) -> Answer {
        self.write(address, &value.to_le_bytes())
    }

    pub(crate) fn write_u64(&mut self, address: u32, value: u64) -> Answer {
        self.write(address, &value.to_le_bytes())
    }

    pub(crate) fn write(&mut self, address: u32, bytes: &[u8]) -> Answer {
        let start = address as usize;
        let memory = self.memory.data_mut(self.caller.as_context_mut());
        memory
            .get_mut(start..start + bytes.len())
            .ok_or(Fail::Pointer)?
            .copy_from_slice(bytes);
        Ok(())
    }

    /// Gives bytes to the guest: allocates with its allocator, copies, stores address and length.
    pub(crate) fn give(&mut self, bytes: &[u8], out: Out) -> Answer {
        self.give_with(bytes.len(), out, |memory, _| {
            memory.copy_from_slice(bytes);
            Ok(())
        })
    }

    /// Gives what a call left in [`State::scratch`].
    pub(crate) fn give_scratch(&mut self, out: Out) -> Answer {
        let bytes = std::mem::take(&mut self.state().scratch);
        let given = self.give(&bytes, out);
        self.state().scratch = bytes;
        given
    }

    /// Gives `length` bytes that `fill` writes straight into the guest's memory.
    pub(crate) fn give_with(
        &mut self,
        length: usize,
        out: Out,
        fill: impl FnOnce(&mut [u8], &mut State) -> Answer,
    ) -> Answer {
        if out.pointer == 0 && out.length == 0 {
            return Ok(());
        }
        // Both addresses are checked before the guest's allocator runs.
        self.write_u32(out.pointer, 0)?;
        self.write_u32(out.length, 0)?;
        if length == 0 {
            return Ok(());
        }
        let size = u32::try_from(length).map_err(|_| Status::InternalFailure)?;
        let address = self.allocate(size)?;
        let (memory, state) = self.parts();
        let start = address as usize;
        let target = memory.get_mut(start..start + length).ok_or(Fail::Pointer)?;
        fill(target, state)?;
        self.write_u32(out.pointer, address)?;
        self.write_u32(out.length, size)
    }

    fn allocate(&mut self, size: u32) -> Answer<u32> {
        let state = self.caller.data_mut();
        if state.in_allocator {
            return Err(Fail::Trap("the allocator asked the host for data".to_owned()));
        }
        let Some(allocator) = state.allocator.clone() else {
            return Err(Status::InternalFailure.into());
        };
        state.in_allocator = true;
        let address = allocator.call(self.caller.as_context_mut(), size.cast_signed());
        self.caller.data_mut().in_allocator = false;
        match address {
            Ok(0) => Err(Fail::Pointer),
            Ok(address) => Ok(address.cast_unsigned()),
            Err(error) => Err(Fail::Engine(error)),
        }
    }
}

/// Turns an answer into what the guest sees.
pub(crate) fn settle(
    caller: &mut Caller<'_, State>,
    name: &'static str,
    answer: Answer,
) -> wasmtime::Result<i32> {
    let generation = &caller.data().generation;
    match answer {
        Ok(()) => Ok(0),
        // Rust's SDK has no number for it, and one that it does not know is undefined behaviour there.
        Err(Fail::Status(Status::Unimplemented)) if caller.data().is_rust => {
            Ok(Status::InternalFailure as i32)
        }
        Err(Fail::Status(status)) => Ok(status as i32),
        Err(Fail::Pointer) => match generation.options.bad_pointer {
            BadPointer::Trap => Err(wasmtime::Error::msg(format!(
                "{name}: a pointer leads out of the guest's memory"
            ))),
            BadPointer::Status if caller.data().is_rust => Ok(Status::InternalFailure as i32),
            BadPointer::Status => Ok(Status::InvalidMemoryAccess as i32),
        },
        Err(Fail::Trap(message)) => Err(wasmtime::Error::msg(format!("{name}: {message}"))),
        Err(Fail::Engine(error)) => Err(error),
    }
}
