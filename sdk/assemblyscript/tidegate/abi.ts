// The calls of a proxy-wasm host (ABI 0.2.1) that this library makes.

@external("env", "proxy_log")
export declare function proxy_log(level: u32, at: usize, length: u32): u32;

@external("env", "proxy_get_current_time_nanoseconds")
export declare function proxy_get_current_time_nanoseconds(out: usize): u32;

@external("env", "proxy_get_buffer_bytes")
export declare function proxy_get_buffer_bytes(buffer: u32, start: u32, length: u32, at: usize, got: usize): u32;

@external("env", "proxy_get_header_map_value")
export declare function proxy_get_header_map_value(
  map: u32, name: usize, nameLength: u32, at: usize, length: usize
): u32;

@external("env", "proxy_replace_header_map_value")
export declare function proxy_replace_header_map_value(
  map: u32, name: usize, nameLength: u32, value: usize, valueLength: u32
): u32;

@external("env", "proxy_add_header_map_value")
export declare function proxy_add_header_map_value(
  map: u32, name: usize, nameLength: u32, value: usize, valueLength: u32
): u32;

@external("env", "proxy_remove_header_map_value")
export declare function proxy_remove_header_map_value(map: u32, name: usize, nameLength: u32): u32;

@external("env", "proxy_send_local_response")
export declare function proxy_send_local_response(
  status: u32, details: usize, detailsLength: u32, body: usize, bodyLength: u32,
  headers: usize, headersLength: u32, grpcStatus: i32
): u32;
