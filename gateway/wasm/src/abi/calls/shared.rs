//! Shared data, queues and metrics.

use crate::abi::guest::{Guest, Out, Span};
use crate::abi::status::{Answer, Status};
use crate::host::data::SetError;
use crate::host::metrics::{DefineError, MetricKind};
use crate::host::queues::EnqueueError;
use std::str;
use std::sync::Arc;

pub(crate) fn get_data(guest: &mut Guest<'_, '_>, key: Span, out: Out, out_cas: u32) -> Answer {
    let (memory, state) = guest.parts();
    let generation = &state.generation;
    let now = generation.host.services.clock.now_millis();
    let found = generation
        .data
        .get(key.of(memory)?, now)
        .ok_or(Status::NotFound)?;
    guest.write_u32(out_cas, found.version)?;
    guest.give(&found.value, out)
}

pub(crate) fn set_data(guest: &mut Guest<'_, '_>, key: Span, value: Span, cas: u32) -> Answer {
    let (memory, state) = guest.parts();
    let generation = &state.generation;
    let now = generation.host.services.clock.now_millis();
    let set = generation.data.set(key.of(memory)?, value.of(memory)?, cas, now);
    set.map_err(|error| match error {
        SetError::CasMismatch => Status::CasMismatch.into(),
        SetError::TooLarge => Status::InternalFailure.into(),
    })
}

pub(crate) fn register_queue(guest: &mut Guest<'_, '_>, name: Span, out_id: u32) -> Answer {
    guest.write_u32(out_id, 0)?;
    let (memory, state) = guest.parts();
    let generation = &state.generation;
    let id = generation
        .host
        .queues
        .register(&generation.vm_id, name.of(memory)?, &generation.mailbox)
        .ok_or(Status::InternalFailure)?;
    state.has_queues = true;
    guest.write_u32(out_id, id)
}

pub(crate) fn resolve_queue(guest: &mut Guest<'_, '_>, vm: Span, name: Span, out_id: u32) -> Answer {
    let (memory, state) = guest.parts();
    let vm = str::from_utf8(vm.of(memory)?).map_err(|_| Status::NotFound)?;
    let vm = if vm.is_empty() {
        &state.generation.vm_id
    } else {
        vm
    };
    let id = state
        .generation
        .host
        .queues
        .resolve(vm, name.of(memory)?)
        .ok_or(Status::NotFound)?;
    guest.write_u32(out_id, id)
}

pub(crate) fn enqueue(guest: &mut Guest<'_, '_>, id: u32, item: Span) -> Answer {
    let (memory, state) = guest.parts();
    let queued = state.generation.host.queues.enqueue(id, item.of(memory)?);
    queued.map_err(|error| match error {
        EnqueueError::Unknown => Status::NotFound.into(),
        EnqueueError::Full => Status::InternalFailure.into(),
    })
}

pub(crate) fn dequeue(guest: &mut Guest<'_, '_>, id: u32, out: Out) -> Answer {
    let item = guest
        .state()
        .generation
        .host
        .queues
        .dequeue(id)
        .ok_or(Status::NotFound)?;
    guest.give(&item.ok_or(Status::Empty)?, out)
}

pub(crate) fn define_metric(guest: &mut Guest<'_, '_>, kind: i32, name: Span, out_id: u32) -> Answer {
    let kind = match kind {
        0 => MetricKind::Counter,
        1 => MetricKind::Gauge,
        2 => MetricKind::Histogram,
        _ => return Err(Status::BadArgument.into()),
    };
    guest.write_u32(out_id, 0)?;
    let (memory, state) = guest.parts();
    let name = str::from_utf8(name.of(memory)?).map_err(|_| Status::BadArgument)?;
    let generation = &state.generation;
    let max = generation.options.max_metrics;
    let metric = generation
        .host
        .metrics
        .define(&generation.name, name, kind, max)
        .map_err(|error| match error {
            DefineError::OtherKind => Status::BadArgument,
            DefineError::TooMany => Status::InternalFailure,
        })?;
    let known = state.metrics.iter().position(|known| Arc::ptr_eq(known, &metric));
    let index = known.unwrap_or_else(|| {
        state.metrics.push(metric);
        state.metrics.len() - 1
    });
    let index = u32::try_from(index).map_err(|_| Status::InternalFailure)?;
    // The two lowest bits tell the type, as in Envoy.
    guest.write_u32(out_id, ((index + 1) << 2) | kind as u32)
}

fn with_metric<R>(
    guest: &mut Guest<'_, '_>,
    id: u32,
    act: impl FnOnce(&crate::host::metrics::Metric) -> R,
) -> Answer<R> {
    let state = guest.state();
    let index = (id >> 2) as usize;
    let metric = index.checked_sub(1).and_then(|index| state.metrics.get(index));
    let metric = metric
        .filter(|metric| metric.kind as u32 == id & 3)
        .ok_or(Status::NotFound)?;
    Ok(act(metric))
}

pub(crate) fn increment(guest: &mut Guest<'_, '_>, id: u32, delta: i64) -> Answer {
    let done = with_metric(guest, id, |metric| {
        let is_allowed = match metric.kind {
            MetricKind::Counter => delta >= 0,
            MetricKind::Gauge => true,
            MetricKind::Histogram => false,
        };
        if is_allowed {
            metric.add(delta);
        }
        is_allowed
    })?;
    if done {
        Ok(())
    } else {
        Err(Status::BadArgument.into())
    }
}

pub(crate) fn record(guest: &mut Guest<'_, '_>, id: u32, value: i64) -> Answer {
    with_metric(guest, id, |metric| metric.record(value))
}

pub(crate) fn get_metric(guest: &mut Guest<'_, '_>, id: u32, out: u32) -> Answer {
    let value = with_metric(guest, id, |metric| {
        (metric.kind != MetricKind::Histogram).then(|| metric.value())
    })?;
    guest.write_u64(out, value.ok_or(Status::BadArgument)?.cast_unsigned())
}
