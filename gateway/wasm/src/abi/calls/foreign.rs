//! Functions beyond the ABI, by name: `compress`, `uncompress`, `clear_route_cache`.

use crate::abi::guest::{Guest, Out, Span};
use crate::abi::status::{Answer, Status};
use flate2::Compression;
use flate2::read::{ZlibDecoder, ZlibEncoder};
use std::io::Read;

/// Longest result of `uncompress`.
const MAX_UNCOMPRESSED: u64 = 4 << 20;

pub(crate) fn call(guest: &mut Guest<'_, '_>, name: Span, argument: Span, out: Out) -> Answer {
    let (memory, state) = guest.parts();
    let name = name.of(memory)?;
    let argument = argument.of(memory)?;
    let mut result = std::mem::take(&mut state.scratch);
    result.clear();
    let done = match name {
        b"compress" => ZlibEncoder::new(argument, Compression::default())
            .read_to_end(&mut result)
            .map(drop)
            .map_err(|_| Status::InternalFailure),
        b"uncompress" => uncompress(argument, &mut result),
        // Routes are matched once; the answer is Envoy's.
        b"clear_route_cache" => Ok(()),
        _ => Err(Status::NotFound),
    };
    state.scratch = result;
    done?;
    guest.give_scratch(out)
}

fn uncompress(argument: &[u8], result: &mut Vec<u8>) -> Result<(), Status> {
    let mut decoder = ZlibDecoder::new(argument).take(MAX_UNCOMPRESSED + 1);
    decoder
        .read_to_end(result)
        .map_err(|_| Status::SerializationFailure)?;
    if result.len() as u64 > MAX_UNCOMPRESSED {
        return Err(Status::BadArgument);
    }
    Ok(())
}
