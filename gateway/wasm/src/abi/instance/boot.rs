//! Starting a guest: instantiate, start functions, plugin context, `on_vm_start`, `on_configure`.

use super::super::state::{Ending, Moment, State};
use super::exports::Exports;
use super::{Callback, Instance, call};
use crate::abi::linker::ModuleCode;
use crate::deadline::Meter;
use crate::engine::Pulse;
use crate::failure::{BootError, Failure};
use crate::generation::Bound;
use crate::limits::Limiter;
use bytes::Bytes;
use smallvec::SmallVec;
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;
use tidegate_plugin::Direction;
use wasmtime::{Memory, Store, TypedFunc};

const ROOT: u32 = 1;

impl State {
    fn new(bound: &Bound<ModuleCode>) -> Self {
        let generation = &bound.generation;
        let host = &generation.host;
        Self {
            limiter: Limiter::new(
                generation.options.max_memory_bytes,
                Arc::clone(&host.memory_in_use),
                host.limits.max_total_memory_bytes,
            ),
            generation: Arc::clone(generation),
            abi: bound.code.abi,
            is_rust: bound.code.is_rust,
            memory: None,
            allocator: None,
            in_allocator: false,
            meter: Meter::new(generation.options.boot_deadline_ms),
            streams: SmallVec::new(),
            asks: false,
            last_key: 0,
            root: ROOT,
            current: ROOT,
            moment: Moment::Start,
            last_context: ROOT,
            last_token: 0,
            delivery: None,
            calls: Vec::new(),
            new_calls: Vec::new(),
            tick_period: None,
            foreign_arguments: Bytes::new(),
            metrics: Vec::new(),
            log_lines: 0,
            log_ring: VecDeque::new(),
            root_ending: Ending::Alive,
            exit_code: None,
            has_queues: false,
            scratch: Vec::new(),
        }
    }
}

impl Instance {
    /// A guest, ready for streams.
    pub(crate) fn boot(bound: &Bound<ModuleCode>, pulse: Rc<Pulse>) -> Result<Self, BootError> {
        let generation = &bound.generation;
        let mut store = Store::new(&generation.host.engine.engine, State::new(bound));
        store.limiter(|state| &mut state.limiter);
        store.epoch_deadline_callback(|mut context| context.data_mut().meter.reached());
        store.set_epoch_deadline(generation.options.boot_deadline_ms.saturating_add(1));
        let running = pulse.enter();
        let instance = bound.code.linked.instantiate(&mut store);
        drop(running);
        let instance = match instance {
            Ok(instance) => instance,
            Err(error) if error.downcast_ref::<wasmtime::Trap>().is_some() => {
                let failure = Failure::of(Callback::Start.name(), &error, &store.data().remains());
                return Err(BootError::Failed(Box::new(failure)));
            }
            Err(error) => return Err(BootError::NoInstance(format!("{error:#}"))),
        };
        let memory = instance.get_memory(&mut store, "memory");
        let allocator = ["proxy_on_memory_allocate", "malloc"]
            .into_iter()
            .find_map(|name| instance.get_typed_func::<i32, i32>(&mut store, name).ok());
        let exports = Exports::find(bound, instance, &mut store);
        generation.host.totals.instances_booted.add(1);
        let mut booted = Self {
            store,
            exports,
            pulse,
            generation: Arc::clone(generation),
            is_poisoned: false,
            born: Instant::now(),
            uses: 0,
            touched: [std::ptr::null(); 3],
        };
        booted.start(instance, memory, allocator)?;
        booted.configure()?;
        booted.touched = booted.find_touched(memory);
        Ok(booted)
    }

    fn find_touched(&mut self, memory: Option<Memory>) -> [*const u8; 3] {
        let memory = memory.map(|memory| memory.data_ptr(&self.store).cast_const());
        let code = self
            .exports
            .headers(Direction::Request)
            .map(|headers| headers.address(&mut self.store));
        let state = std::ptr::from_ref(self.store.data()).cast();
        [
            state,
            code.unwrap_or(std::ptr::null()),
            memory.unwrap_or(std::ptr::null()),
        ]
    }

    fn start(
        &mut self,
        instance: wasmtime::Instance,
        memory: Option<Memory>,
        allocator: Option<TypedFunc<i32, i32>>,
    ) -> Result<(), BootError> {
        let state = self.store.data_mut();
        state.memory = memory;
        state.allocator = allocator;
        let deadline = self.generation.options.boot_deadline_ms;
        let started = self.enter_within(
            Callback::Start,
            (ROOT, Moment::Start),
            None,
            deadline,
            |store, _| {
                if let Ok(initialize) = instance.get_typed_func::<(), ()>(&mut *store, "_initialize") {
                    initialize.call(&mut *store, ())?;
                    if let Ok(main) = instance.get_typed_func::<(i32, i32), i32>(&mut *store, "main") {
                        main.call(store, (0, 0)).map(drop)
                    } else if let Ok(main) = instance.get_typed_func::<(), i32>(&mut *store, "__main_void") {
                        main.call(store, ()).map(drop)
                    } else {
                        Ok(())
                    }
                } else if let Ok(start) = instance.get_typed_func::<(), ()>(&mut *store, "_start") {
                    start.call(store, ())
                } else {
                    Ok(())
                }
            },
        );
        match started {
            // A command's way to say that all went well.
            Err(_) if self.store.data().exit_code == Some(0) => {
                self.store.data_mut().exit_code = None;
                self.is_poisoned = false;
                Ok(())
            }
            other => other.map_err(|failure| BootError::Failed(Box::new(failure))),
        }
    }

    fn configure(&mut self) -> Result<(), BootError> {
        let deadline = self.generation.options.boot_deadline_ms;
        let root = ROOT.cast_signed();
        let length = |bytes: &Bytes| i32::try_from(bytes.len()).unwrap_or(i32::MAX);
        let vm = length(&self.generation.vm_configuration);
        let plugin = length(&self.generation.configuration);
        let failed = |failure| BootError::Failed(Box::new(failure));
        self.enter_within(
            Callback::ContextCreate,
            (ROOT, Moment::Root),
            None,
            deadline,
            |store, exports| call(store, exports.context_create.as_ref(), (root, 0)).map(drop),
        )
        .map_err(failed)?;
        let steps = [
            (Callback::VmStart, Moment::VmStart, vm),
            (Callback::ValidateConfiguration, Moment::Configure, plugin),
            (Callback::Configure, Moment::Configure, plugin),
        ];
        for (callback, moment, length) in steps {
            let answer = self
                .enter_within(callback, (ROOT, moment), None, deadline, |store, exports| {
                    let function = match callback {
                        Callback::VmStart => &exports.vm_start,
                        Callback::ValidateConfiguration => &exports.validate_configuration,
                        _ => &exports.configure,
                    };
                    call(store, function.as_ref(), (root, length))
                })
                .map_err(failed)?;
            if answer == Some(0) {
                let log = self.store.data().log_ring.iter().cloned().collect();
                return Err(BootError::Refused(callback.name(), log));
            }
        }
        Ok(())
    }
}
