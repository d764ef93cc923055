// HMAC-SHA256 (RFC 2104, FIPS 180-4).

const ROUND_CONSTANTS: StaticArray<u32> = [
  0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
  0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
  0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
  0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
  0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
  0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
  0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
  0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
];

const START: StaticArray<u32> = [
  0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
];

/** Words of the message that a block is made of. */
const schedule = new StaticArray<u32>(64);

class Sha256 {
  state: StaticArray<u32> = new StaticArray<u32>(8);
  block: StaticArray<u8> = new StaticArray<u8>(64);
  length: u64 = 0;

  constructor() {
    for (let i = 0; i < 8; i++) this.state[i] = START[i];
  }

  /** Goes back to where another one stands, which is between two blocks. */
  copy(other: Sha256): void {
    for (let i = 0; i < 8; i++) unchecked(this.state[i] = other.state[i]);
    this.length = other.length;
  }

  byte(byte: u8): void {
    unchecked(this.block[<i32>(this.length++ & 63)] = byte);
    if ((this.length & 63) == 0) this.digestBlock();
  }

  update(bytes: ArrayBuffer): void {
    const at = changetype<usize>(bytes);
    for (let i = 0; i < bytes.byteLength; i++) this.byte(load<u8>(at + i));
  }

  finish(): StaticArray<u8> {
    const bits = this.length * 8;
    this.byte(0x80);
    while ((this.length & 63) != 56) this.byte(0);
    for (let shift = 56; shift >= 0; shift -= 8) this.byte(<u8>(bits >> shift));
    const digest = new StaticArray<u8>(32);
    for (let i = 0; i < 32; i++) digest[i] = <u8>(this.state[i >> 2] >> (24 - (i & 3) * 8));
    return digest;
  }

  private digestBlock(): void {
    const w = schedule, state = this.state;
    const at = changetype<usize>(this.block);
    for (let i = 0; i < 16; i++) unchecked(w[i] = bswap(load<u32>(at + i * 4)));
    for (let i = 16; i < 64; i++) {
      const x = unchecked(w[i - 15]), y = unchecked(w[i - 2]);
      const s0 = rotr(x, 7) ^ rotr(x, 18) ^ (x >> 3);
      const s1 = rotr(y, 17) ^ rotr(y, 19) ^ (y >> 10);
      unchecked(w[i] = w[i - 16] + s0 + w[i - 7] + s1);
    }
    let a = state[0], b = state[1], c = state[2], d = state[3];
    let e = state[4], f = state[5], g = state[6], h = state[7];
    for (let i = 0; i < 64; i++) {
      const s1 = rotr(e, 6) ^ rotr(e, 11) ^ rotr(e, 25);
      const choice = (e & f) ^ (~e & g);
      const one = h + s1 + choice + unchecked(ROUND_CONSTANTS[i]) + unchecked(w[i]);
      const s0 = rotr(a, 2) ^ rotr(a, 13) ^ rotr(a, 22);
      const majority = (a & b) ^ (a & c) ^ (b & c);
      h = g; g = f; f = e; e = d + one;
      d = c; c = b; b = a; a = one + s0 + majority;
    }
    state[0] += a; state[1] += b; state[2] += c; state[3] += d;
    state[4] += e; state[5] += f; state[6] += g; state[7] += h;
  }
}

/** Codes of messages under one key, one message at a time. */
export class Hmac {
  private inner: Sha256 = new Sha256();
  private outer: Sha256 = new Sha256();
  private message: Sha256 = new Sha256();

  constructor(secret: ArrayBuffer) {
    const key = new StaticArray<u8>(64);
    if (secret.byteLength > 64) {
      const hash = new Sha256();
      hash.update(secret);
      const digest = hash.finish();
      for (let i = 0; i < 32; i++) key[i] = digest[i];
    } else {
      memory.copy(changetype<usize>(key), changetype<usize>(secret), secret.byteLength);
    }
    for (let i = 0; i < 64; i++) {
      this.inner.byte(key[i] ^ 0x36);
      this.outer.byte(key[i] ^ 0x5c);
    }
  }

  start(): void {
    this.message.copy(this.inner);
  }

  update(bytes: ArrayBuffer): void {
    this.message.update(bytes);
  }

  /** The code of the message, in small hexadecimal digits. */
  finishHex(): string {
    const digest = this.message.finish();
    this.message.copy(this.outer);
    for (let i = 0; i < 32; i++) this.message.byte(digest[i]);
    const code = this.message.finish();
    const digits = "0123456789abcdef";
    const hex = new StaticArray<u16>(64);
    for (let i = 0; i < 32; i++) {
      hex[i * 2] = <u16>digits.charCodeAt(code[i] >> 4);
      hex[i * 2 + 1] = <u16>digits.charCodeAt(code[i] & 15);
    }
    return String.UTF16.decodeUnsafe(changetype<usize>(hex), 128);
  }
}
