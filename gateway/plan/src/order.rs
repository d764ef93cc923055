//! Order of plugin kinds on a chain: priority, then name, then `ordering`.

use crate::instances::Instance;
use std::cmp::Ordering;

/// Higher priority first; equal priorities in reverse alphabetical order (kong-core D.2).
pub(crate) fn by_priority(one: (i32, &str), other: (i32, &str)) -> Ordering {
    other.0.cmp(&one.0).then_with(|| other.1.cmp(one.1))
}

/// Moves kinds whose instance asks to run before or after others. `names` are in priority order; `instance_of` gives
/// the instance that stands for a kind. A kind that asks for the impossible stays where priority put it.
pub(crate) fn apply_ordering<'i>(
    names: &mut Vec<&'static str>,
    instance_of: impl Fn(&str) -> Option<&'i Instance>,
) {
    for name in names.clone() {
        let Some(ordering) = instance_of(name).and_then(|instance| instance.entity.ordering.clone()) else {
            continue;
        };
        let listed = |phases: Option<tidegate_model::entities::OrderingPhases>| {
            phases.and_then(|phases| phases.access).unwrap_or_default()
        };
        let (before, after) = (listed(ordering.before), listed(ordering.after));
        let place = |names: &[&'static str], wanted: &str| names.iter().position(|known| *known == wanted);
        let Some(from) = place(names, name) else { continue };
        let earliest = before.iter().filter_map(|other| place(names, other)).min();
        let latest = after.iter().filter_map(|other| place(names, other)).max();
        match (earliest, latest) {
            (Some(to), _) if to < from => {
                names.remove(from);
                names.insert(to, name);
            }
            (_, Some(to)) if to > from => {
                names.remove(from);
                names.insert(to, name);
            }
            _ => {}
        }
    }
}
