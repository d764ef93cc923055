// A configuration: a JSON object whose members are strings. No text at all is one without members.

import { Level, log } from "./index";

const QUOTE = 0x22, BACKSLASH = 0x5c, SMALL_U = 0x75;

export class Config {
  private members: Map<string, string> = new Map();
  private at: i32 = 0;
  /** Whether it is refused. */
  isRefused: bool = false;

  constructor(private text: string) {
    this.object();
  }

  /** Value of a member that may be left out. */
  optional(name: string, otherwise: string): string {
    if (!this.members.has(name)) return otherwise;
    const value = this.members.get(name);
    this.members.delete(name);
    return value;
  }

  /** Value of a member that must be there; without it the configuration is refused. */
  required(name: string): string {
    if (!this.members.has(name)) this.refuse(name, "is missing");
    return this.optional(name, "");
  }

  /** Refuses members that were not asked for. */
  end(): void {
    const left = this.members.keys();
    if (left.length > 0) this.refuse(left[0], "is not known");
  }

  /** Refuses the configuration, with the place of its fault. Only the first refusal is logged. */
  refuse(place: string, reason: string): void {
    if (this.isRefused) return;
    this.isRefused = true;
    log(Level.Error, (place == "" ? "config: " : "config." + place + ": ") + reason);
  }

  private object(): void {
    if (this.text == "") return;
    if (!this.skip("{")) return this.refuse("", "is no object");
    let isFirst = true;
    while (!this.skip("}")) {
      if (!isFirst && !this.skip(",")) return this.refuse("", "lacks a comma");
      isFirst = false;
      const name = this.string();
      if (name === null) return this.refuse("", "has a member without a name");
      if (!this.skip(":")) return this.refuse(name, "lacks a colon");
      const value = this.string();
      if (value === null) return this.refuse(name, "must be a string");
      this.members.set(name, value);
    }
    this.spaces();
    if (this.at < this.text.length) this.refuse("", "goes on after its end");
  }

  private spaces(): void {
    while (this.at < this.text.length && " \n\r\t".includes(this.text.charAt(this.at))) this.at++;
  }

  /** Skips spaces, then what is expected. */
  private skip(expected: string): bool {
    this.spaces();
    if (this.text.charAt(this.at) != expected) return false;
    this.at++;
    return true;
  }

  private string(): string | null {
    if (!this.skip('"')) return null;
    let value = "";
    let unit: i32;
    do {
      const start = this.at;
      do unit = this.unit(); while (unit >= 0x20 && unit != QUOTE && unit != BACKSLASH);
      value += this.text.substring(start, this.at - 1);
      if (unit == BACKSLASH) {
        const meant = this.escape();
        if (meant === null) return null;
        value += meant;
      }
    } while (unit == BACKSLASH);
    return unit == QUOTE ? value : null;
  }

  /** The next UTF-16 unit; -1 at the end. */
  private unit(): i32 {
    return this.at < this.text.length ? this.text.charCodeAt(this.at++) : -1;
  }

  /** What follows a backslash. */
  private escape(): string | null {
    if (this.at == this.text.length) return null;
    const letter = this.text.charAt(this.at++);
    const known = '"\\/bfnrt'.indexOf(letter);
    if (known >= 0) return '"\\/\b\f\n\r\t'.charAt(known);
    if (letter != "u") return null;
    const code = this.hex();
    if (code < 0 || isLow(code)) return null;
    if (code < 0xd800 || code > 0xdfff) return String.fromCharCode(code);
    if (this.unit() != BACKSLASH || this.unit() != SMALL_U) return null;
    const low = this.hex();
    return isLow(low) ? String.fromCharCode(code, low) : null;
  }

  /** Four hexadecimal digits; -1 for anything else. */
  private hex(): i32 {
    let code = 0;
    for (let i = 0; i < 4; i++) {
      const digit = this.unit(), small = digit | 0x20;
      if (digit >= 0x30 && digit <= 0x39) code = code * 16 + digit - 0x30;
      else if (digit > 0 && small >= 0x61 && small <= 0x66) code = code * 16 + small - 0x61 + 10;
      else return -1;
    }
    return code;
  }
}

/** Whether a unit is the second of a surrogate pair. */
function isLow(unit: i32): bool {
  return unit >= 0xdc00 && unit <= 0xdfff;
}
