//! Header names that guests write over and over: made once per thread, then only counted up.

use http::HeaderName;
use std::cell::RefCell;
use std::hash::{BuildHasher, Hasher};

const PLACES: usize = 64;
/// Longer names are made anew each time.
const LONGEST: usize = 64;

thread_local! {
    static KNOWN: RefCell<[Option<HeaderName>; PLACES]> = const { RefCell::new([const { None }; PLACES]) };
}

/// The name that these bytes spell; `None` when they spell none (RFC 9110 §5.1).
pub(crate) fn parse(key: &[u8]) -> Option<HeaderName> {
    if key.len() > LONGEST {
        return HeaderName::from_bytes(key).ok();
    }
    KNOWN.with_borrow_mut(|known| {
        let place = known.get_mut(place_of(key))?;
        if let Some(name) = place
            && name.as_str().as_bytes() == key
        {
            return Some(name.clone());
        }
        let name = HeaderName::from_bytes(key).ok()?;
        *place = Some(name.clone());
        Some(name)
    })
}

fn place_of(key: &[u8]) -> usize {
    let mut hasher = foldhash::fast::FixedState::with_seed(0).build_hasher();
    hasher.write(key);
    usize::try_from(hasher.finish() % PLACES as u64).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_that_of_its_bytes_however_often_places_are_taken_over() {
        for round in 0..3 {
            for number in 0..4 * PLACES {
                let name = format!("x-{number}");
                assert_eq!(
                    parse(name.as_bytes()).expect("a name"),
                    name.as_str(),
                    "round {round}"
                );
            }
        }
        assert_eq!(parse(b"X-Mixed").expect("a name"), "x-mixed");
        assert_eq!(parse(b"X-Mixed").expect("a name"), "x-mixed");
        let long = "y".repeat(LONGEST + 1);
        assert_eq!(parse(long.as_bytes()).expect("a name"), long.as_str());
        for wrong in [&b""[..], b"a b", b"a\0", b"\xff"] {
            assert_eq!(parse(wrong), None);
        }
    }
}
