//! The encoding of header maps.
//!
//! A count, then the two lengths of each pair, then the pairs, each part with a NUL after it. Numbers are 32 bits, little
//! endian and unaligned; lengths leave the NUL out.

/// Longest encoding that is decoded.
pub(crate) const MAX_BYTES: usize = 1 << 20;
/// Most pairs that are decoded.
pub(crate) const MAX_PAIRS: usize = 1_024;

/// Length of the encoding of pairs; 0 for none.
pub(crate) fn encoded_len(pairs: impl Iterator<Item = (usize, usize)>) -> usize {
    let mut total = 0;
    for (key, value) in pairs {
        total += 8 + key + 1 + value + 1;
    }
    if total == 0 { 0 } else { total + 4 }
}

/// Writes pairs in two passes over memory that was sized by [`encoded_len`].
pub(crate) struct Encoder<'m> {
    lengths: &'m mut [u8],
    data: &'m mut [u8],
}

impl<'m> Encoder<'m> {
    /// `None`: the memory is too short for that many pairs.
    pub(crate) fn new(memory: &'m mut [u8], count: usize) -> Option<Self> {
        let (head, rest) = memory.split_at_mut_checked(4)?;
        head.copy_from_slice(&u32::try_from(count).ok()?.to_le_bytes());
        let (lengths, data) = rest.split_at_mut_checked(count.checked_mul(8)?)?;
        Some(Self { lengths, data })
    }

    /// `None`: it does not fit.
    pub(crate) fn push(&mut self, key: &[u8], value: &[u8]) -> Option<()> {
        let (head, rest) = std::mem::take(&mut self.lengths).split_at_mut_checked(8)?;
        let (key_len, value_len) = head.split_at_mut_checked(4)?;
        key_len.copy_from_slice(&u32::try_from(key.len()).ok()?.to_le_bytes());
        value_len.copy_from_slice(&u32::try_from(value.len()).ok()?.to_le_bytes());
        self.lengths = rest;
        self.put(key)?;
        self.put(value)
    }

    fn put(&mut self, bytes: &[u8]) -> Option<()> {
        let (target, rest) = std::mem::take(&mut self.data).split_at_mut_checked(bytes.len() + 1)?;
        let (last, text) = target.split_last_mut()?;
        text.copy_from_slice(bytes);
        *last = 0;
        self.data = rest;
        Some(())
    }
}

/// The encoding of pairs, in a vector of its own.
pub(crate) fn encode(pairs: &[(&[u8], &[u8])]) -> Vec<u8> {
    let lengths = pairs.iter().map(|(key, value)| (key.len(), value.len()));
    let mut bytes = vec![0; encoded_len(lengths)];
    if let Some(mut encoder) = Encoder::new(&mut bytes, pairs.len()) {
        for (key, value) in pairs {
            if encoder.push(key, value).is_none() {
                break;
            }
        }
    }
    bytes
}

/// Reads an encoding. No bytes, a zero count and a single zero byte are the empty map. `None`: it breaks a rule.
pub(crate) fn decode(bytes: &[u8]) -> Option<Vec<(&[u8], &[u8])>> {
    if bytes.is_empty() || bytes == [0] {
        return Some(Vec::new());
    }
    if bytes.len() > MAX_BYTES {
        return None;
    }
    let (count, rest) = number(bytes)?;
    if count > MAX_PAIRS {
        return None;
    }
    let (mut lengths, mut data) = rest.split_at_checked(count.checked_mul(8)?)?;
    let mut pairs = Vec::with_capacity(count);
    for _ in 0..count {
        let (key_len, after) = number(lengths)?;
        let (value_len, after) = number(after)?;
        lengths = after;
        let (key, after) = terminated(data, key_len)?;
        let (value, after) = terminated(after, value_len)?;
        data = after;
        pairs.push((key, value));
    }
    data.is_empty().then_some(pairs)
}

fn number(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (head, rest) = bytes.split_first_chunk::<4>()?;
    Some((usize::try_from(u32::from_le_bytes(*head)).ok()?, rest))
}

fn terminated(bytes: &[u8], length: usize) -> Option<(&[u8], &[u8])> {
    let (text, rest) = bytes.split_at_checked(length)?;
    let (nul, rest) = rest.split_first()?;
    (*nul == 0).then_some((text, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_encoding_is_that_of_the_specification() {
        let pairs: [(&[u8], &[u8]); 2] = [(b"a", b"bc"), (b"", b"")];
        let bytes = encode(&pairs);
        assert_eq!(
            bytes,
            [
                2, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, b'a', 0, b'b', b'c', 0, 0, 0
            ]
        );
        assert_eq!(decode(&bytes).expect("pairs"), pairs);
    }

    #[test]
    fn three_spellings_of_the_empty_map_are_read() {
        for empty in [&[][..], &[0], &[0, 0, 0, 0]] {
            assert_eq!(decode(empty), Some(Vec::new()), "{empty:?}");
        }
        assert_eq!(encode(&[]), b"");
    }

    #[test]
    fn what_breaks_a_rule_is_refused() {
        let good = encode(&[(b"k", b"v")]);
        for length in 1..good.len() {
            assert_eq!(decode(&good[..length]), None, "cut to {length}");
        }
        let mut long = good.clone();
        long.push(0);
        assert_eq!(decode(&long), None, "bytes are left over");
        let mut unterminated = good.clone();
        unterminated[13] = 1;
        assert_eq!(decode(&unterminated), None, "the key does not end with NUL");
        let mut many = good;
        many[0..4].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(decode(&many), None, "more pairs than fit");
    }

    #[test]
    fn the_number_of_pairs_is_bounded() {
        let pairs = |count| encode(&vec![(&b"k"[..], &b"v"[..]); count]);
        assert_eq!(
            decode(&pairs(MAX_PAIRS)).map(|pairs| pairs.len()),
            Some(MAX_PAIRS)
        );
        assert_eq!(decode(&pairs(MAX_PAIRS + 1)), None);
    }

    proptest! {
        #[test]
        fn any_bytes_decode_or_are_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode(&bytes);
        }

        #[test]
        fn what_is_encoded_is_decoded(
            pairs in proptest::collection::vec((any::<Vec<u8>>(), any::<Vec<u8>>()), 0..20)
        ) {
            let borrowed: Vec<_> = pairs.iter().map(|(key, value)| (&key[..], &value[..])).collect();
            let bytes = encode(&borrowed);
            prop_assert_eq!(decode(&bytes), Some(borrowed));
        }
    }
}
