// What a filter in AssemblyScript needs.
//
//     import { Exchange, Filter, Flow, Head, register } from "tidegate";
//     export * from "tidegate/callbacks";
//
//     class Greeting extends Filter {
//       exchange(): Exchange { return new Greeted(); }
//     }
//
//     class Greeted extends Exchange {
//       requestHead(request: Head, endOfStream: bool): Flow {
//         request.set("x-greeting", "hello");
//         return Flow.Continue;
//       }
//     }
//
//     register(() => new Greeting());
//
// A call of the host that fails traps, so that the failure policy of the attachment decides what becomes of the request.

import {
  proxy_add_header_map_value, proxy_get_buffer_bytes, proxy_get_current_time_nanoseconds, proxy_get_header_map_value,
  proxy_log, proxy_remove_header_map_value, proxy_replace_header_map_value, proxy_send_local_response
} from "./abi";

import { Config } from "./config";

export { Config };

/** What a callback answers. */
export enum Flow {
  /** The part goes on. */
  Continue = 0,
  /** The part is held. */
  Pause = 1,
}

export enum Level { Trace, Debug, Info, Warn, Error, Critical }

/** A configured filter. An instance serves one configuration, and one callback at a time. */
export abstract class Filter {
  /** Reads the configuration. What is not legal is refused by `config.refuse(place, reason)`. */
  configure(config: Config): void {}

  /** What serves one request and its response. */
  abstract exchange(): Exchange;
}

/** One request and its response. */
export abstract class Exchange {
  /** The request's first line and headers are there, and not yet on their way. */
  requestHead(request: Head, endOfStream: bool): Flow { return Flow.Continue; }

  /** The response's status and headers are there, and not yet on their way. */
  responseHead(response: Head, endOfStream: bool): Flow { return Flow.Continue; }
}

let make: (() => Filter) | null = null;

/** Names the filter of this module; called once, at its top level. */
export function register(filter: () => Filter): void {
  make = filter;
}

export function makeFilter(): Filter {
  return make!();
}

/** Headers of a request or a response. */
export class Head {
  constructor(private map: u32) {}

  /** The first value as text, without what is no UTF-8; `null` when there is none. Also for `:method`, `:path`, `:status`. */
  get(name: string): string | null {
    const value = this.getBytes(name);
    return value === null ? null : String.UTF8.decode(value);
  }

  /** The first value as it came; `null` when there is none. */
  getBytes(name: string): ArrayBuffer | null {
    const key = String.UTF8.encode(name);
    const status = proxy_get_header_map_value(
      this.map, changetype<usize>(key), key.byteLength, slot, slot + 4
    );
    if (status == 1) return null;
    must(status);
    return taken();
  }

  /** Sets a header to one value, whatever it had. */
  set(name: string, value: string): void {
    const key = String.UTF8.encode(name), bytes = String.UTF8.encode(value);
    must(proxy_replace_header_map_value(
      this.map, changetype<usize>(key), key.byteLength, changetype<usize>(bytes), bytes.byteLength
    ));
  }

  /** Adds a value. */
  add(name: string, value: string): void {
    const key = String.UTF8.encode(name), bytes = String.UTF8.encode(value);
    must(proxy_add_header_map_value(
      this.map, changetype<usize>(key), key.byteLength, changetype<usize>(bytes), bytes.byteLength
    ));
  }

  /** Removes a header, where it is. */
  remove(name: string): void {
    const key = String.UTF8.encode(name);
    must(proxy_remove_header_map_value(this.map, changetype<usize>(key), key.byteLength));
  }
}

/** Answers in the place of the upstream; to be returned. The status is one from 200 to 599. */
export function reply(status: u32, body: string): Flow {
  const bytes = String.UTF8.encode(body);
  must(proxy_send_local_response(status, 0, 0, changetype<usize>(bytes), bytes.byteLength, 0, 0, -1));
  return Flow.Pause;
}

export function log(level: Level, text: string): void {
  const bytes = String.UTF8.encode(text);
  must(proxy_log(level, changetype<usize>(bytes), bytes.byteLength));
}

/** Seconds since 1970. */
export function nowSeconds(): u64 {
  must(proxy_get_current_time_nanoseconds(slot));
  return load<u64>(slot) / 1_000_000_000;
}

/** The configuration, while it is given. */
export function configuration(length: u32): string {
  if (length == 0) return "";
  must(proxy_get_buffer_bytes(7, 0, length, slot, slot + 4));
  return String.UTF8.decode(taken());
}

/** For `--use abort=~lib/tidegate/index/failed`: what the language calls abort is logged, and ends the callback. */
export function failed(message: string | null, file: string | null, line: u32, column: u32): void {
  log(Level.Error, (message || "failed") + " at " + (file || "?") + ":" + line.toString());
  unreachable();
}

/** Where the host puts results: a number, or address and length of what it allocated. */
const slot = memory.data(8, 8);

function must(status: u32): void {
  if (status != 0) unreachable();
}

/** What the host allocated, as a buffer of the language. */
function taken(): ArrayBuffer {
  const at = load<usize>(slot), length = load<u32>(slot + 4);
  const bytes = new ArrayBuffer(length);
  memory.copy(changetype<usize>(bytes), at, length);
  if (at != 0) heap.free(at);
  return bytes;
}
