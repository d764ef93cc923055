//! Room for reading.

use bytes::BytesMut;

/// First size of a read buffer.
pub(super) const MIN_READ: usize = 8 * 1_024;
/// Size to which reads of long bodies grow.
pub(super) const MAX_READ: usize = 256 * 1_024;
/// A head is read into as little as this: one buffer serves many small messages before a new one is needed.
const ROOM_FOR_HEAD: usize = 2 * 1_024;

/// Makes room for a read of `want` bytes. What was taken from the buffer may still be in use, so that making room can
/// mean a new allocation.
pub(super) fn make_room(read: &mut BytesMut, want: usize) {
    let enough = if want > MIN_READ {
        want
    } else {
        want.min(ROOM_FOR_HEAD)
    };
    if read.capacity() - read.len() < enough {
        read.reserve(want);
    }
}
