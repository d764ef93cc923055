//! An allocator that counts what it is asked for.

use std::alloc::{GlobalAlloc, Layout};
use std::sync::atomic::{AtomicU64, Ordering};

/// Counts allocations and hands them on.
#[derive(Debug, Default)]
pub struct Counting<A> {
    inner: A,
    count: AtomicU64,
    bytes: AtomicU64,
}

impl<A> Counting<A> {
    /// Counts for another allocator.
    pub const fn new(inner: A) -> Self {
        Self {
            inner,
            count: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
        }
    }

    /// Allocations since the start of the process, those that grew included, and their bytes.
    pub fn totals(&self) -> (u64, u64) {
        (
            self.count.load(Ordering::Relaxed),
            self.bytes.load(Ordering::Relaxed),
        )
    }

    fn note(&self, bytes: usize) {
        self.count.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}

// SAFETY: every call goes to the inner allocator as it came; counting touches two atomics and allocates nothing.
#[allow(unsafe_code, reason = "allocators are unsafe by definition")]
unsafe impl<A: GlobalAlloc> GlobalAlloc for Counting<A> {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        self.note(layout.size());
        // SAFETY: the caller's promises are passed on.
        unsafe { self.inner.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are passed on.
        unsafe { self.inner.dealloc(pointer, layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        self.note(layout.size());
        // SAFETY: the caller's promises are passed on.
        unsafe { self.inner.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        self.note(size);
        // SAFETY: the caller's promises are passed on.
        unsafe { self.inner.realloc(pointer, layout, size) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::alloc::System;

    #[global_allocator]
    static ALLOCATOR: Counting<System> = Counting::new(System);

    #[test]
    fn an_allocation_counts_once_with_its_bytes() {
        let before = ALLOCATOR.totals();
        let kept = std::hint::black_box(Box::new([0_u8; 10_000]));
        let after = ALLOCATOR.totals();
        drop(kept);
        assert!(
            after.0 > before.0 && after.1 >= before.1 + 10_000,
            "{before:?} {after:?}"
        );
    }
}
