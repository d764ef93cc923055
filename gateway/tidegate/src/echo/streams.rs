//! Answers that are made while they are sent.

use super::answers::Answer;
use bytes::{Bytes, BytesMut};
use futures_util::stream;
use http::Response;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use serde_json::{Map, Value};
use std::convert::Infallible;
use std::time::{SystemTime, UNIX_EPOCH};

/// Bytes made at a time.
const CHUNK: usize = 16 << 10;

/// `count` random bytes; the same for the same seed.
pub(super) fn bytes(count: usize, seed: Option<u64>) -> Answer {
    let random = Random(seed.unwrap_or_else(seed_of_now));
    let chunks = stream::unfold((count, random), |(left, mut random)| async move {
        if left == 0 {
            return None;
        }
        let size = left.min(CHUNK);
        let chunk = random.chunk(size);
        Some((Ok::<_, Infallible>(Frame::data(chunk)), (left - size, random)))
    });
    let mut answer = Response::new(StreamBody::new(chunks).boxed_unsync());
    answer
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    answer
        .headers_mut()
        .insert(CONTENT_LENGTH, HeaderValue::from(count));
    answer
}

/// `count` lines of JSON that differ in their `id`.
pub(super) fn lines(count: usize, report: Map<String, Value>) -> Answer {
    let lines = stream::unfold((0, report), move |(id, mut report)| async move {
        if id == count {
            return None;
        }
        report.insert("id".to_owned(), Value::from(id));
        let line = format!("{}\n", serde_json::to_string(&report).unwrap_or_default());
        Some((
            Ok::<_, Infallible>(Frame::data(Bytes::from(line))),
            (id + 1, report),
        ))
    });
    let mut answer = Response::new(StreamBody::new(lines).boxed_unsync());
    answer
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer
}

/// SplitMix64 (Steele, Lea, Flood 2014): bytes that do not compress, nothing more.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn chunk(&mut self, size: usize) -> Bytes {
        let mut chunk = BytesMut::with_capacity(size + size_of::<u64>());
        while chunk.len() < size {
            chunk.extend_from_slice(&self.next().to_le_bytes());
        }
        chunk.truncate(size);
        chunk.freeze()
    }
}

fn seed_of_now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_secs() ^ (u64::from(since.subsec_nanos()) << 32)
}
