;; Adds `x-wasm-req: 1` to the request and `x-wasm-res: 1` to the response; ABI 0.2.1, no configuration.
(module
  (import "env" "proxy_add_header_map_value" (func $add (param i32 i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "x-wasm-reqx-wasm-res1")
  (func (export "proxy_abi_version_0_2_1"))
  ;; Nothing is read from the host, but for the empty configuration.
  (func (export "proxy_on_memory_allocate") (param i32) (result i32) (i32.const 1024))
  (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
    (call $add (i32.const 0) (i32.const 0) (i32.const 10) (i32.const 20) (i32.const 1)))
  (func (export "proxy_on_response_headers") (param i32 i32 i32) (result i32)
    (call $add (i32.const 2) (i32.const 10) (i32.const 10) (i32.const 20) (i32.const 1)))
  ;; More
)
