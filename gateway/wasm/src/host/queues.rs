//! Queues that instances share across workers.

use super::HostLimits;
use bytes::Bytes;
use futures_util::task::AtomicWaker;
use parking_lot::Mutex;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Weak};

/// All queues of the process.
pub(crate) struct Queues {
    limits: HostLimits,
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    ids: HashMap<(Box<str>, Box<[u8]>), u32>,
    queues: Vec<Queue>,
}

#[derive(Default)]
struct Queue {
    items: VecDeque<Bytes>,
    bytes: usize,
    registrant: Weak<Mailbox>,
}

/// Where a filter is told that one of its queues has an item.
#[derive(Default)]
pub(crate) struct Mailbox {
    ready: Mutex<VecDeque<u32>>,
    pub(crate) waker: AtomicWaker,
}

impl Mailbox {
    pub(crate) fn pop(&self) -> Option<u32> {
        self.ready.lock().pop_front()
    }

    fn push(&self, queue: u32) {
        self.ready.lock().push_back(queue);
        self.waker.wake();
    }
}

/// Why an item was not queued.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum EnqueueError {
    /// No such queue.
    Unknown,
    /// It holds as much as it may.
    Full,
}

impl Queues {
    pub(crate) fn new(limits: HostLimits) -> Self {
        Self {
            limits,
            table: Mutex::default(),
        }
    }

    /// The queue's id. What it holds survives; the last who registers is told of items. `None`: too many queues.
    pub(crate) fn register(&self, vm_id: &str, name: &[u8], mailbox: &Arc<Mailbox>) -> Option<u32> {
        let mut table = self.table.lock();
        let key = (Box::from(vm_id), Box::from(name));
        let id = match table.ids.get(&key) {
            Some(id) => *id,
            None if table.queues.len() >= self.limits.max_queues => return None,
            None => {
                table.queues.push(Queue::default());
                let id = u32::try_from(table.queues.len()).ok()?;
                table.ids.insert(key, id);
                id
            }
        };
        table.queue(id)?.registrant = Arc::downgrade(mailbox);
        Some(id)
    }

    pub(crate) fn resolve(&self, vm_id: &str, name: &[u8]) -> Option<u32> {
        let key = (Box::from(vm_id), Box::from(name));
        self.table.lock().ids.get(&key).copied()
    }

    pub(crate) fn enqueue(&self, id: u32, item: &[u8]) -> Result<(), EnqueueError> {
        let mut table = self.table.lock();
        let queue = table.queue(id).ok_or(EnqueueError::Unknown)?;
        if queue.items.len() >= self.limits.max_queue_items
            || queue.bytes + item.len() > self.limits.max_queue_bytes
        {
            return Err(EnqueueError::Full);
        }
        queue.bytes += item.len();
        queue.items.push_back(Bytes::copy_from_slice(item));
        let registrant = queue.registrant.upgrade();
        drop(table);
        if let Some(mailbox) = registrant {
            mailbox.push(id);
        }
        Ok(())
    }

    /// `None`: no such queue; `Some(None)`: it is empty.
    pub(crate) fn dequeue(&self, id: u32) -> Option<Option<Bytes>> {
        let mut table = self.table.lock();
        let queue = table.queue(id)?;
        let item = queue.items.pop_front();
        queue.bytes -= item.as_ref().map_or(0, Bytes::len);
        Some(item)
    }
}

impl Table {
    fn queue(&mut self, id: u32) -> Option<&mut Queue> {
        let index = usize::try_from(id).ok()?.checked_sub(1)?;
        self.queues.get_mut(index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_come_out_in_order_and_the_last_registrant_is_told_of_each() {
        let queues = Queues::new(HostLimits::default());
        let (first, last) = (Arc::new(Mailbox::default()), Arc::new(Mailbox::default()));
        let id = queues.register("vm", b"q", &first).expect("an id");
        assert_eq!(queues.register("vm", b"q", &last), Some(id));
        assert_ne!(
            queues.register("other", b"q", &first),
            Some(id),
            "names are of one VM id"
        );
        assert_eq!(queues.resolve("vm", b"q"), Some(id));
        assert_eq!(queues.resolve("vm", b"x"), None);
        queues.enqueue(id, b"1").expect("queued");
        queues.enqueue(id, b"2").expect("queued");
        assert_eq!(
            (first.pop(), last.pop(), last.pop(), last.pop()),
            (None, Some(id), Some(id), None)
        );
        assert_eq!(queues.dequeue(id), Some(Some(Bytes::from_static(b"1"))));
        assert_eq!(queues.dequeue(id), Some(Some(Bytes::from_static(b"2"))));
        assert_eq!(queues.dequeue(id), Some(None));
        assert_eq!(queues.dequeue(id + 10), None);
        assert_eq!(queues.enqueue(0, b""), Err(EnqueueError::Unknown));
    }

    #[test]
    fn a_queue_takes_no_more_than_its_bounds() {
        let queues = Queues::new(HostLimits {
            max_queue_items: 2,
            max_queue_bytes: 10,
            max_queues: 1,
            ..HostLimits::default()
        });
        let mailbox = Arc::new(Mailbox::default());
        let id = queues.register("vm", b"q", &mailbox).expect("an id");
        assert_eq!(queues.register("vm", b"r", &mailbox), None);
        assert_eq!(queues.enqueue(id, &[0; 11]), Err(EnqueueError::Full));
        queues.enqueue(id, &[0; 5]).expect("it fits");
        queues.enqueue(id, &[0; 5]).expect("it fits");
        assert_eq!(queues.enqueue(id, b""), Err(EnqueueError::Full));
    }
}
