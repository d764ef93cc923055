//! Lends what belongs to an exchange to host functions while a guest runs.
//!
//! wasmtime keeps the data of host functions in the store, for as long as the store lives; an exchange belongs to the
//! request. Moving it in and out of the store would copy about a kilobyte per callback.

#![allow(
    unsafe_code,
    reason = "a borrow that the store's type cannot express; see the proof below"
)]

use std::cell::Cell;
use std::ptr::NonNull;
use tidegate_plugin::Exchange;

/// Holds the value that is lent at the moment. Belongs to one thread: the cell is not `Sync`.
pub(crate) struct Slot<T> {
    lent: Cell<Option<NonNull<T>>>,
    owner: Cell<u32>,
}

/// An exchange, lent to a module's host functions.
pub(crate) type ExchangeSlot = Slot<Exchange>;

thread_local! {
    static EXCHANGE: ExchangeSlot = const { Slot::new() };
}

/// Runs `call` while [`exchange`] reaches `x` for the stream `owner`.
pub(crate) fn lend<R>(x: Option<&mut Exchange>, owner: u32, call: impl FnOnce() -> R) -> R {
    EXCHANGE.with(|slot| slot.lend(x, owner, call))
}

/// The exchange that is lent to the guest which runs on this thread, if it belongs to the stream `owner`.
pub(crate) fn exchange<R>(owner: u32, call: impl FnOnce(&mut Exchange) -> R) -> Option<R> {
    EXCHANGE.with(|slot| slot.with(owner, call))
}

impl<T> Default for Slot<T> {
    fn default() -> Self {
        Self::new()
    }
}

/// Puts back what was there, also when the guest's call unwinds.
struct Lease<'s, T> {
    slot: &'s Slot<T>,
    lent: Option<NonNull<T>>,
    owner: u32,
}

impl<T> Drop for Lease<'_, T> {
    fn drop(&mut self) {
        self.slot.lent.set(self.lent);
        self.slot.owner.set(self.owner);
    }
}

impl<T> Slot<T> {
    pub(crate) const fn new() -> Self {
        Self {
            lent: Cell::new(None),
            owner: Cell::new(0),
        }
    }

    /// Runs `call` while [`Slot::with`] reaches `x` for the stream `owner`.
    pub(crate) fn lend<R>(&self, x: Option<&mut T>, owner: u32, call: impl FnOnce() -> R) -> R {
        let lent = x.map(NonNull::from);
        let _lease = Lease {
            slot: self,
            lent: self.lent.replace(lent),
            owner: self.owner.replace(owner),
        };
        call()
    }

    /// The value, if it is lent and belongs to the stream `owner`. A nested call finds none.
    pub(crate) fn with<R>(&self, owner: u32, call: impl FnOnce(&mut T) -> R) -> Option<R> {
        if self.owner.get() != owner {
            return None;
        }
        let lease = Lease {
            slot: self,
            owner,
            lent: self.lent.take(),
        };
        // SAFETY: the pointer was made from the exclusive borrow that `lend` holds until `call` there has returned or
        // unwound, when `Lease` removes it; we are inside of that call, on the same thread (`Cell` is not `Sync`, and
        // the slot is only handed out by reference). It is taken out of the cell for as long as this reference
        // lives, so that no second one can be made from it; `Lease` puts it back afterwards.
        let x = unsafe { lease.lent?.as_mut() };
        Some(call(x))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::exchange;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    #[test]
    fn reaches_the_exchange_only_while_it_is_lent_and_only_for_its_stream() {
        let slot = ExchangeSlot::default();
        let mut x = exchange("GET", "/");
        assert!(slot.with(1, |_| ()).is_none());
        slot.lend(Some(&mut x), 1, || {
            assert!(slot.with(2, |_| ()).is_none());
            slot.with(1, |x| x.request_body_bytes = 7);
            assert_eq!(slot.with(1, |x| x.request_body_bytes), Some(7));
        });
        assert!(slot.with(1, |_| ()).is_none());
        assert_eq!(x.request_body_bytes, 7);
    }

    #[test]
    fn a_nested_look_finds_nothing_and_the_outer_one_keeps_it() {
        let slot = ExchangeSlot::default();
        let mut x = exchange("GET", "/");
        slot.lend(Some(&mut x), 1, || {
            assert!(
                slot.with(1, |_| assert!(slot.with(1, |_| ()).is_none()))
                    .is_some()
            );
            assert!(slot.with(1, |_| ()).is_some());
        });
    }

    #[test]
    fn an_inner_loan_gives_way_to_the_outer_one_and_a_panic_ends_a_loan() {
        let slot = ExchangeSlot::default();
        let (mut x, mut y) = (exchange("GET", "/"), exchange("POST", "/"));
        slot.lend(Some(&mut x), 1, || {
            slot.lend(Some(&mut y), 2, || {
                assert_eq!(
                    slot.with(2, |x| x.request.method.clone()),
                    Some(http::Method::POST)
                );
            });
            assert_eq!(
                slot.with(1, |x| x.request.method.clone()),
                Some(http::Method::GET)
            );
        });
        let unwound = catch_unwind(AssertUnwindSafe(|| slot.lend(Some(&mut x), 1, || panic!("host"))));
        assert!(unwound.is_err());
        assert!(slot.with(1, |_| ()).is_none());
    }
}
