// What the host calls. A filter's entry has `export * from "tidegate/callbacks"`.

import { Config, Exchange, Filter, Head, configuration, makeFilter } from "./index";

let filter: Filter | null = null;
const exchanges = new Map<u32, Exchange>();
const request = new Head(0), response = new Head(2);

/** Garbage is collected between exchanges, once for this many: then no reference is on the stack. */
const COLLECT_AFTER: u32 = 32;
let ended: u32 = 0;

export function proxy_abi_version_0_2_1(): void {}

export function proxy_on_memory_allocate(size: u32): usize {
  return heap.alloc(size);
}

export function proxy_on_configure(plugin: u32, length: u32): u32 {
  const config = new Config(configuration(length));
  if (config.isRefused) return 0;
  const configured = makeFilter();
  configured.configure(config);
  if (config.isRefused) return 0;
  filter = configured;
  return 1;
}

export function proxy_on_context_create(context: u32, parent: u32): void {
  if (parent != 0) exchanges.set(context, filter!.exchange());
}

export function proxy_on_request_headers(context: u32, headers: u32, endOfStream: u32): u32 {
  return exchanges.get(context).requestHead(request, endOfStream != 0);
}

export function proxy_on_response_headers(context: u32, headers: u32, endOfStream: u32): u32 {
  return exchanges.get(context).responseHead(response, endOfStream != 0);
}

export function proxy_on_delete(context: u32): void {
  exchanges.delete(context);
  if (++ended % COLLECT_AFTER == 0) __collect();
}
