//! The continuum against what nodes of Kong chose, and its stability.

use super::*;
use proptest::prelude::*;
use std::collections::HashMap;

fn place(port: u16, weight: u32) -> Place {
    Place {
        ip: "127.0.0.1".to_owned(),
        port,
        weight,
    }
}

fn ring(ports: &[u16]) -> Ring {
    let places: Vec<Place> = ports.iter().map(|port| place(*port, 100)).collect();
    Ring::new(&places, ports.len(), 10_000)
}

fn owner(ring: &Ring, ports: &[u16], value: &str) -> u16 {
    ports[usize::from(ring.find(value.as_bytes(), |_| true).unwrap())]
}

#[test]
fn values_fall_where_they_fall_on_a_node_of_kong() {
    let three = [19_081, 19_082, 19_083];
    let cases = [
        ("/p1", 19_083),
        ("127.0.0.1", 19_081),
        ("", 19_082),
        ("alpha", 19_081),
        ("beta", 19_083),
    ];
    for (value, port) in cases {
        assert_eq!(owner(&ring(&three), &three, value), port, "{value}");
    }
    let two = [19_081, 19_082];
    for value in ["abc", "86d871db-7c3d-4b65-96c7-b8d762d7bfe8"] {
        assert_eq!(owner(&ring(&two), &two, value), 19_082, "{value}");
    }
}

#[test]
fn one_that_is_refused_leaves_its_values_to_others_and_theirs_alone() {
    let ring = ring(&[1, 2, 3, 4]);
    for value in 0..1_000 {
        let value = format!("value {value}");
        let before = ring.find(value.as_bytes(), |_| true).unwrap();
        let after = ring.find(value.as_bytes(), |number| number != 2).unwrap();
        assert!(after != 2 && (before == 2 || before == after), "{value}");
    }
    assert_eq!(ring.find(b"x", |_| false), None);
}

#[test]
fn nobody_and_nothing_are_no_fault() {
    assert_eq!(Ring::new(&[], 0, 10_000).find(b"x", |_| true), None);
    assert_eq!(Ring::new(&[place(1, 65_535)], 1, 10).find(b"", |_| true), Some(0));
}

#[test]
fn every_one_of_a_thousand_has_points() {
    let ports: Vec<u16> = (1..=1_000).collect();
    let ring = ring(&ports);
    let mut points: HashMap<u16, usize> = HashMap::new();
    for owner in &ring.0 {
        *points.entry(*owner).or_default() += 1;
    }
    assert_eq!(points.len(), 1_000);
    let mean = ring.0.len() / 1_000;
    assert!(
        points
            .values()
            .all(|points| *points > mean / 3 && *points < mean * 3)
    );
}

#[test]
fn shares_follow_weights() {
    let places = [place(1, 100), place(2, 300)];
    let ring = Ring::new(&places, 2, 10_000);
    let heavy = (0..20_000).filter(|value| ring.find(format!("{value}").as_bytes(), |_| true) == Some(1));
    let share = heavy.count() as f64 / 20_000.0;
    assert!((0.65..0.85).contains(&share), "{share}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn removing_one_of_n_moves_its_values_alone(count in 2_u16..40, gone in 0_u16..40, salt in any::<u32>()) {
        let before: Vec<u16> = (8_000..8_000 + count).collect();
        let gone = before[usize::from(gone % count)];
        let after: Vec<u16> = before.iter().copied().filter(|port| *port != gone).collect();
        let (one, other) = (ring(&before), ring(&after));
        let values = 4_000;
        let (mut moved, mut own) = (0, 0);
        for value in 0..values {
            let value = format!("{salt}-{value}");
            let (old, new) = (owner(&one, &before, &value), owner(&other, &after, &value));
            own += usize::from(old == gone);
            moved += usize::from(old != gone && old != new);
        }
        // A point that two texts wanted may change hands, which moves what lay before it.
        prop_assert!(moved * 100 <= values * 6, "{} of {} strangers moved", moved, values);
        // Its share is 1/N, with the scatter of 160 points.
        prop_assert!(own as f64 <= values as f64 / f64::from(count) * 1.5, "{} of {}", own, values);
    }
}
