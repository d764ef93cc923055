//! Memory that is about to be used, fetched while something else runs.
//!
//! With 64 exchanges open and 20 filters each, more than a thousand instances wait for their response. What a filter then
//! does takes less time than the first touch of each of its cache lines, one after the other; asked for ahead, they
//! arrive together.

#![allow(
    unsafe_code,
    reason = "the processor's prefetch instruction takes an address; see the proof below"
)]

/// Addresses in memory that one call will touch. They need not stay valid.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hints {
    regions: [Region; Self::REGIONS],
}

/// Some cache lines in a row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Region {
    start: usize,
    lines: u8,
}

const LINE: usize = 64;

impl Hints {
    /// Regions that are remembered; more are left out.
    pub const REGIONS: usize = 5;

    /// Remembers a region; `bytes` are counted up to whole cache lines, 16 at most.
    #[must_use]
    pub fn with<T: ?Sized>(mut self, start: *const T, bytes: usize) -> Self {
        if let Some(free) = self.regions.iter_mut().find(|region| region.lines == 0) {
            free.start = start.addr() & !(LINE - 1);
            free.lines = u8::try_from(bytes.div_ceil(LINE).clamp(1, 16)).unwrap_or(1);
        }
        self
    }

    /// Asks the processor for all regions. Returns at once.
    #[inline]
    pub fn fetch(&self) {
        for region in &self.regions {
            for line in 0..usize::from(region.lines) {
                prefetch(region.start.wrapping_add(line * LINE));
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[inline]
fn prefetch(address: usize) {
    use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
    // SAFETY: PREFETCHT0 is part of SSE, which every x86-64 processor has. It is a hint: it reads nothing into the
    // program, and an address that is not mapped is ignored without a fault (Intel SDM, volume 2, PREFETCHh).
    unsafe { _mm_prefetch::<_MM_HINT_T0>(std::ptr::without_provenance(address)) }
}

#[cfg(not(target_arch = "x86_64"))]
#[inline]
fn prefetch(_: usize) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_address_may_be_fetched() {
        let value = [0_u8; 4_096];
        let hints = Hints::default()
            .with(value.as_ptr(), value.len())
            .with(std::ptr::null::<u8>(), 1)
            .with(std::ptr::without_provenance::<u8>(usize::MAX), 1_000);
        hints.fetch();
        Hints::default().fetch();
    }

    #[test]
    fn regions_are_whole_lines_and_bounded() {
        let at = |address: usize, bytes| {
            let hints = Hints::default().with(std::ptr::without_provenance::<u8>(address), bytes);
            hints.regions.map(|region| (region.start, region.lines))[0]
        };
        assert_eq!(at(130, 0), (128, 1));
        assert_eq!(at(128, 65), (128, 2));
        assert_eq!(at(0, 1 << 20), (0, 16));
    }
}
