//! Round robin: every address stands on a wheel as often as its weight says, evenly spread.
//!
//! The pointer is shared by all workers. An address that is passed over uses up its turn, and the pointer moves on for
//! everybody: over full turns the others keep their shares of each other exactly.

use std::sync::atomic::{AtomicUsize, Ordering};

/// Turns of a wheel, so that odd weights cannot make it huge. Weights whose sum is beyond it are rounded.
const MAX_TURNS: u64 = 16_384;

/// The order of turns.
#[derive(Debug)]
pub(crate) struct Wheel(Box<[u16]>);

impl Wheel {
    /// The wheel of addresses by weight; all weights are above 0.
    pub(crate) fn new(weights: &[u32]) -> Self {
        let mut turns: Vec<(u64, u64, u16)> = Vec::new();
        for (number, share) in (0_u16..).zip(shares(weights)) {
            // Turn k of n stands in the middle of the k-th of n equal parts of the wheel.
            turns.extend((0..share).map(|turn| (2 * turn + 1, share, number)));
        }
        turns.sort_unstable_by(|one, other| {
            let places = (one.0 * other.1).cmp(&(other.0 * one.1));
            places.then(one.2.cmp(&other.2))
        });
        Self(turns.into_iter().map(|(_, _, number)| number).collect())
    }

    /// Moves on to the next address that is taken, for one full turn at most.
    pub(crate) fn next(&self, turn: &AtomicUsize, takes: impl Fn(u16, usize) -> bool) -> Option<u16> {
        for _ in 0..self.0.len() {
            let turn = turn.fetch_add(1, Ordering::Relaxed);
            let number = *self.0.get(turn % self.0.len())?;
            if takes(number, turn) {
                return Some(number);
            }
        }
        None
    }
}

/// How often each address stands on the wheel: its weight without the common divisor.
fn shares(weights: &[u32]) -> Vec<u64> {
    let divisor = weights.iter().fold(0, |divisor, weight| gcd(divisor, *weight));
    let mut shares: Vec<u64> = weights
        .iter()
        .map(|weight| u64::from(weight.checked_div(divisor).unwrap_or(0)))
        .collect();
    let total: u64 = shares.iter().sum();
    if total > MAX_TURNS {
        for share in &mut shares {
            *share = ((*share * MAX_TURNS + total / 2) / total).max(1);
        }
    }
    shares
}

fn gcd(one: u32, other: u32) -> u32 {
    if other == 0 { one } else { gcd(other, one % other) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn turns(wheel: &Wheel, count: usize, takes: impl Fn(u16) -> bool) -> Vec<u16> {
        let pointer = AtomicUsize::new(0);
        (0..count)
            .filter_map(|_| wheel.next(&pointer, |number, _| takes(number)))
            .collect()
    }

    #[test]
    fn equal_weights_take_turns_and_heavy_ones_are_spread() {
        assert_eq!(Wheel::new(&[100, 100, 100]).0.as_ref(), [0, 1, 2]);
        assert_eq!(Wheel::new(&[100, 300]).0.as_ref(), [1, 0, 1, 1]);
        assert_eq!(Wheel::new(&[5, 1, 1]).0.as_ref(), [0, 0, 0, 1, 2, 0, 0]);
        assert!(Wheel::new(&[]).0.is_empty());
    }

    #[test]
    fn one_that_is_out_leaves_even_shares_to_the_others() {
        let wheel = Wheel::new(&[1, 1, 1]);
        assert_eq!(turns(&wheel, 6, |number| number != 1), [0, 2, 0, 2, 0, 2]);
        assert_eq!(turns(&wheel, 6, |_| false), [] as [u16; 0]);
    }

    #[test]
    fn huge_weights_are_rounded_and_nobody_is_forgotten() {
        let mut weights = vec![65_535; 200];
        weights.push(1);
        let wheel = Wheel::new(&weights);
        assert!(wheel.0.len() < 20_000, "{}", wheel.0.len());
        assert!(wheel.0.contains(&200));
    }

    proptest! {
        #[test]
        fn a_full_turn_is_exact_by_weight(weights in proptest::collection::vec(1_u32..200, 1..20)) {
            let wheel = Wheel::new(&weights);
            let length = wheel.0.len();
            let total: u32 = weights.iter().sum();
            let chosen = turns(&wheel, length, |_| true);
            for (number, weight) in (0_u16..).zip(&weights) {
                let times = chosen.iter().filter(|chosen| **chosen == number).count();
                prop_assert_eq!(times as u64 * u64::from(total), length as u64 * u64::from(*weight));
            }
        }

        #[test]
        fn a_share_is_never_far_ahead_or_behind(weights in proptest::collection::vec(1_u32..50, 2..8)) {
            let wheel = Wheel::new(&weights);
            let total: f64 = weights.iter().map(|weight| f64::from(*weight)).sum();
            let mut counts = vec![0.0; weights.len()];
            for (turn, number) in (1..).zip(wheel.0.iter()) {
                counts[usize::from(*number)] += 1.0;
                for (count, weight) in counts.iter().zip(&weights) {
                    let due = f64::from(turn) * f64::from(*weight) / total;
                    prop_assert!((count - due).abs() <= weights.len() as f64, "turn {}", turn);
                }
            }
        }
    }
}
