// HMAC-SHA256 (RFC 2104, FIPS 180-4). There is none in the engine that could answer at once.

const BLOCK = 64;
const START = fractions(8, (prime) => Math.sqrt(prime));
const ROUNDS = fractions(64, (prime) => Math.cbrt(prime));

const schedule = new Int32Array(64);

/** The first 32 bits behind the point of a root of each of the first primes. */
function fractions(count, root) {
  const primes = [];
  for (let number = 2; primes.length < count; number++) {
    if (primes.every((prime) => number % prime !== 0)) primes.push(number);
  }
  return Int32Array.from(primes, (prime) => (root(prime) % 1) * 2 ** 32);
}

/** Takes in one block of `bytes`, at `offset`. */
function compress(state, bytes, offset) {
  const w = schedule;
  for (let i = 0; i < 16; i++, offset += 4) {
    w[i] = (bytes[offset] << 24) | (bytes[offset + 1] << 16) | (bytes[offset + 2] << 8) | bytes[offset + 3];
  }
  for (let i = 16; i < 64; i++) {
    const x = w[i - 15];
    const y = w[i - 2];
    const s0 = ((x >>> 7) | (x << 25)) ^ ((x >>> 18) | (x << 14)) ^ (x >>> 3);
    const s1 = ((y >>> 17) | (y << 15)) ^ ((y >>> 19) | (y << 13)) ^ (y >>> 10);
    w[i] = w[i - 16] + s0 + w[i - 7] + s1;
  }
  let [a, b, c, d, e, f, g, h] = state;
  for (let i = 0; i < 64; i++) {
    const s1 = ((e >>> 6) | (e << 26)) ^ ((e >>> 11) | (e << 21)) ^ ((e >>> 25) | (e << 7));
    const t1 = (h + s1 + ((e & f) ^ (~e & g)) + ROUNDS[i] + w[i]) | 0;
    const s0 = ((a >>> 2) | (a << 30)) ^ ((a >>> 13) | (a << 19)) ^ ((a >>> 22) | (a << 10));
    const t2 = (s0 + ((a & b) ^ (a & c) ^ (b & c))) | 0;
    h = g;
    g = f;
    f = e;
    e = (d + t1) | 0;
    d = c;
    c = b;
    b = a;
    a = (t1 + t2) | 0;
  }
  state[0] += a;
  state[1] += b;
  state[2] += c;
  state[3] += d;
  state[4] += e;
  state[5] += f;
  state[6] += g;
  state[7] += h;
}

/** The digest of `bytes`, after `before` blocks that have led to `state` already. */
function digest(state, before, bytes) {
  const end = Math.ceil((bytes.length + 9) / BLOCK) * BLOCK;
  const padded = new Uint8Array(end);
  padded.set(bytes);
  padded[bytes.length] = 0x80;
  const bits = (before * BLOCK + bytes.length) * 8;
  const view = new DataView(padded.buffer);
  view.setUint32(end - 8, Math.floor(bits / 2 ** 32));
  view.setUint32(end - 4, bits >>> 0);
  const own = Int32Array.from(state);
  for (let offset = 0; offset < end; offset += BLOCK) compress(own, padded, offset);
  const result = new Uint8Array(32);
  own.forEach((word, index) => new DataView(result.buffer).setInt32(index * 4, word));
  return result;
}

/** A key, of which both paddings have been taken in. */
export class Hmac {
  constructor(key) {
    const block = new Uint8Array(BLOCK);
    block.set(key.length > BLOCK ? digest(START, 0, key) : key);
    const after = (padding) => {
      const state = Int32Array.from(START);
      compress(state, block.map((byte) => byte ^ padding), 0);
      return state;
    };
    this.inner = after(0x36);
    this.outer = after(0x5c);
  }

  /** The code of a message, in hexadecimal digits. */
  hex(message) {
    const code = digest(this.outer, 1, digest(this.inner, 1, message));
    return Array.from(code, (byte) => byte.toString(16).padStart(2, "0")).join("");
  }
}
