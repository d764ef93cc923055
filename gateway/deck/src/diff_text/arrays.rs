//! Which elements of two lists belong together.

use super::{ArrayDelta, Delta, Element, compare as compare_values};
use crate::compare::same;
use serde_json::Value;
use std::collections::VecDeque;

/// An element that is in one list only, as far as the common subsequence goes.
#[derive(Clone, Copy)]
struct Loose<'v> {
    index: usize,
    /// Elements of the common subsequence ahead of it.
    gap: usize,
    value: &'v Value,
}

pub(super) fn compare<'v>(old: &'v [Value], new: &'v [Value]) -> Vec<ArrayDelta<'v>> {
    let pairs = common_subsequence(old, new);
    let mut removed = loose(old, pairs.iter().map(|pair| pair.0));
    let mut added = loose(new, pairs.iter().map(|pair| pair.1));
    let mut deltas = moved(&mut removed, &mut added);
    for gap in 0..=pairs.len() {
        let mut left = take_gap(&mut removed, gap);
        let mut right = take_gap(&mut added, gap);
        if !left.is_empty() && !right.is_empty() {
            deltas.extend(pair_up(&mut left, &mut right));
        }
        deltas.extend(
            left.iter()
                .map(|loose| changed(loose.index, Delta::Deleted(loose.value))),
        );
        deltas.extend(
            right
                .iter()
                .map(|loose| changed(loose.index, Delta::Added(loose.value))),
        );
    }
    deltas
}

const fn changed(index: usize, delta: Delta<'_>) -> ArrayDelta<'_> {
    ArrayDelta {
        index,
        what: Element::Changed(delta),
    }
}

fn loose(list: &[Value], common: impl Iterator<Item = usize>) -> VecDeque<Loose<'_>> {
    let mut common = common.peekable();
    let mut gap = 0;
    let mut loose = VecDeque::new();
    for (index, value) in list.iter().enumerate() {
        if common.next_if_eq(&index).is_some() {
            gap += 1;
        } else {
            loose.push_back(Loose { index, gap, value });
        }
    }
    loose
}

fn take_gap<'v>(loose: &mut VecDeque<Loose<'v>>, gap: usize) -> Vec<Loose<'v>> {
    let mut taken = Vec::new();
    while let Some(first) = loose.pop_front_if(|first| first.gap == gap) {
        taken.push(first);
    }
    taken
}

/// Takes out what is in both lists, at different places.
fn moved<'v>(removed: &mut VecDeque<Loose<'v>>, added: &mut VecDeque<Loose<'v>>) -> Vec<ArrayDelta<'v>> {
    let mut deltas = Vec::new();
    removed.retain(|old| {
        let Some(at) = added.iter().position(|new| same(old.value, new.value)) else {
            return true;
        };
        if let Some(new) = added.remove(at) {
            deltas.push(ArrayDelta {
                index: new.index,
                what: Element::Moved,
            });
        }
        false
    });
    deltas
}

/// Pairs elements in order so that they are as alike as possible; those without a partner stay.
fn pair_up<'v>(left: &mut Vec<Loose<'v>>, right: &mut Vec<Loose<'v>>) -> Vec<ArrayDelta<'v>> {
    let (width, height) = (left.len(), right.len());
    // Likeness of the diagonal from here on, row by row.
    let mut scores = vec![0.0_f64; (width + 1) * (height + 1)];
    let at = |x: usize, y: usize| x * (height + 1) + y;
    for (x, old) in left.iter().enumerate().rev() {
        for (y, new) in right.iter().enumerate().rev() {
            let behind = scores.get(at(x + 1, y + 1)).copied().unwrap_or_default();
            if let Some(score) = scores.get_mut(at(x, y)) {
                *score = likeness_of(old.value, new.value) + behind;
            }
        }
    }
    let score = |x: usize, y: usize| scores.get(at(x, y)).copied().unwrap_or_default();
    let spare = width.min(height) - 1;
    let mut deltas = Vec::new();
    let (mut free_left, mut free_right) = (Vec::new(), Vec::new());
    let (mut x, mut y) = (0, 0);
    while let (Some(old), Some(new)) = (left.get(x), right.get(y)) {
        #[allow(clippy::float_cmp, reason = "equal only when it is the very same sum")]
        let is_left_free = x + 1 + spare < width + y && score(x, y) == score(x + 1, y);
        #[allow(clippy::float_cmp, reason = "equal only when it is the very same sum")]
        let is_right_free = y + 1 + spare < height + x && score(x, y) == score(x, y + 1);
        if is_left_free {
            free_left.push(*old);
            x += 1;
        } else if is_right_free {
            free_right.push(*new);
            y += 1;
        } else {
            deltas.extend(compare_values(old.value, new.value).map(|delta| changed(new.index, delta)));
            x += 1;
            y += 1;
        }
    }
    free_left.extend(left.iter().skip(x));
    free_right.extend(right.iter().skip(y));
    (*left, *right) = (free_left, free_right);
    deltas
}

fn likeness_of(old: &Value, new: &Value) -> f64 {
    compare_values(old, new).map_or(1.0, |delta| likeness(&delta))
}

fn likeness(delta: &Delta<'_>) -> f64 {
    match delta {
        Delta::Added(_) | Delta::Deleted(_) => 0.0,
        Delta::Object(deltas) => mean(deltas.iter().map(|(_, delta)| likeness(delta)), deltas.len()),
        Delta::Array(deltas) => {
            let likenesses = deltas.iter().map(|delta| match &delta.what {
                Element::Changed(delta) => likeness(delta),
                Element::Moved => 0.6,
            });
            mean(likenesses, deltas.len())
        }
        Delta::Modified(old, new) => match (old, new) {
            (Value::String(old), Value::String(new)) => 0.6 + 0.4 * text_likeness(old, new),
            (Value::Number(old), Value::Number(new)) => {
                let ratio = old.as_f64().unwrap_or_default() / new.as_f64().unwrap_or_default();
                0.6 + 0.4 * if ratio > 1.0 { 1.0 / ratio } else { ratio }
            }
            (Value::Bool(_), Value::Bool(_)) => 0.6,
            _ => 0.3,
        },
    }
}

#[allow(clippy::cast_precision_loss, reason = "lists are far shorter than 2^52")]
fn mean(values: impl Iterator<Item = f64>, count: usize) -> f64 {
    values.sum::<f64>() / count.max(1) as f64
}

/// Longer texts are not compared letter by letter.
const LONGEST_TEXT: usize = 1_000;

/// 1 less the share of letters to change.
#[allow(clippy::cast_precision_loss, reason = "texts are far shorter than 2^52")]
fn text_likeness(old: &str, new: &str) -> f64 {
    let (old, new): (Vec<char>, Vec<char>) = (
        old.chars().take(LONGEST_TEXT).collect(),
        new.chars().take(LONGEST_TEXT).collect(),
    );
    let longest = old.len().max(new.len());
    if longest == 0 {
        return 1.0;
    }
    let mut row: Vec<usize> = (0..=new.len()).collect();
    for (x, from) in old.iter().enumerate() {
        let mut diagonal = x;
        let mut last = x + 1;
        if let Some(first) = row.first_mut() {
            *first = last;
        }
        for (cell, to) in row.iter_mut().skip(1).zip(&new) {
            let replaced = diagonal + usize::from(from != to);
            diagonal = *cell;
            last = replaced.min(diagonal + 1).min(last + 1);
            *cell = last;
        }
    }
    1.0 - row.last().copied().unwrap_or_default() as f64 / longest as f64
}

/// Longer lists are taken for different in what lies between their common ends.
const LARGEST_TABLE: usize = 4_000_000;

/// Index pairs of the longest common subsequence.
fn common_subsequence(old: &[Value], new: &[Value]) -> Vec<(usize, usize)> {
    let ahead = old
        .iter()
        .zip(new)
        .take_while(|(old, new)| same(old, new))
        .count();
    let (old_rest, new_rest) = (
        old.get(ahead..).unwrap_or_default(),
        new.get(ahead..).unwrap_or_default(),
    );
    let mut pairs: Vec<(usize, usize)> = (0..ahead).map(|index| (index, index)).collect();
    let width = new_rest.len() + 1;
    if old_rest.len().saturating_mul(width) > LARGEST_TABLE {
        return pairs;
    }
    let mut table = vec![0_u32; (old_rest.len() + 1) * width];
    let cell = |table: &[u32], x: usize, y: usize| table.get(x * width + y).copied().unwrap_or_default();
    for (x, old) in old_rest.iter().enumerate() {
        for (y, new) in new_rest.iter().enumerate() {
            let through = cell(&table, x, y) + u32::from(same(old, new));
            let best = through.max(cell(&table, x, y + 1)).max(cell(&table, x + 1, y));
            if let Some(slot) = table.get_mut((x + 1) * width + y + 1) {
                *slot = best;
            }
        }
    }
    let mut found = Vec::new();
    let (mut x, mut y) = (old_rest.len(), new_rest.len());
    while let (Some(before_x), Some(before_y)) = (x.checked_sub(1), y.checked_sub(1)) {
        let is_same = match (old_rest.get(before_x), new_rest.get(before_y)) {
            (Some(old), Some(new)) => same(old, new),
            _ => false,
        };
        if is_same {
            found.push((ahead + before_x, ahead + before_y));
            (x, y) = (before_x, before_y);
        } else if cell(&table, before_x, y) >= cell(&table, x, before_y) {
            x = before_x;
        } else {
            y = before_y;
        }
    }
    pairs.extend(found.into_iter().rev());
    pairs
}
