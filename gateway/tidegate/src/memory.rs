//! What only the allocator can do.

/// Gives memory that this thread has freed, and that nobody uses, back to the system.
///
/// The allocator does so by itself only while it is busy, and a gateway at rest would keep what its last reload took.
#[allow(unsafe_code, reason = "the allocator's interface is C")]
pub(crate) fn give_back() {
    // SAFETY: `mi_collect` takes no pointer and may be called by any thread at any time; it touches freed blocks only.
    // It works on mimalloc's own heaps, so it does no harm where another allocator is the global one.
    unsafe { libmimalloc_sys::mi_collect(true) }
}

#[cfg(test)]
mod tests {
    #[test]
    fn live_values_survive() {
        let values: Vec<String> = (0..1_000).map(|number| number.to_string()).collect();
        super::give_back();
        assert!(
            (0..)
                .zip(&values)
                .all(|(number, text): (u32, _)| *text == number.to_string())
        );
    }
}
