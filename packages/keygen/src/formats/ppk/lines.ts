import { damagedAt } from '../../error.js'
import { decodeBase64, wrapBase64 } from '../armor.js'

/** PuTTY's own limit: 256 KiB of key in lines of 48 bytes. Real keys take some 200, certificates a few more. */
const MAX_LINES = 5460
/** Of base64, in characters. */
const WIDTH = 64
const LF = 10
const CR = 13

/** Reads a PPK file's lines in the order the format fixes (PuTTY manual, appendix C.2). LF and CRLF are both fine. */
export class PpkLines {
  readonly #bytes: Buffer
  #at = 0

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  /** The value of the next line, which must be `name: value`. Throws `damaged` with the offset. */
  value(name: string): string {
    return this.raw(name).toString('latin1')
  }

  /** Like {@link PpkLines.value}, as bytes: for the one value that is a person's text. */
  raw(name: string): Buffer {
    return this.#named([name]).value
  }

  /** A value that is a decimal number. */
  number(name: string): number {
    const at = this.#at
    const text = this.value(name)
    if (!/^(0|[1-9]\d{0,9})$/.test(text)) throw damagedAt(`"${name}" is not a number`, at)
    return Number(text)
  }

  /** A value that is bytes in hex. */
  hex(name: string): Buffer {
    const at = this.#at
    return fromHex(this.value(name), name, at)
  }

  /** The file's last value: exactly `size` bytes in hex, under one of these names. Only this line may lack its newline. */
  lastHex(names: readonly string[], size: number): { name: string; bytes: Buffer } {
    const at = this.#at
    const { name, value } = this.#named(names, true)
    const bytes = fromHex(value.toString('latin1'), name, at)
    if (bytes.length !== size) throw damagedAt(`"${name}" is not ${size} bytes long`, at)
    return { name, bytes }
  }

  /** `name: count`, then so many lines of base64: whole groups of four and nothing else, as PuTTY demands, too. */
  base64(name: string): Buffer {
    const start = this.#at
    const count = this.number(name)
    if (count > MAX_LINES) throw damagedAt(`"${name}" claims ${count} lines`, start)
    const from = this.#at
    for (let i = 0; i < count; i++) {
      const at = this.#at
      const line = this.#line().toString('latin1')
      if (line.length === 0 || line.length > WIDTH || line.length % 4 !== 0 || /[ \t]/.test(line)) {
        throw damagedAt('a line is not base64 as PPK files have it', at)
      }
    }
    return decodeBase64(this.#bytes.toString('latin1', from, this.#at), from)
  }

  /** Throws `damaged` when more than blank space follows. */
  end(): void {
    if (/[^ \t\r\n]/.test(this.#bytes.toString('latin1', this.#at)))
      throw damagedAt('there is more after the key', this.#at)
  }

  #named(names: readonly string[], isLast = false): { name: string; value: Buffer } {
    const at = this.#at
    const line = this.#line(isLast)
    const name = names.find(name => line.toString('latin1', 0, name.length + 2) === `${name}: `)
    if (name === undefined) throw damagedAt(`the line "${names[0]}" is missing`, at)
    return { name, value: line.subarray(name.length + 2) }
  }

  #line(isLast = false): Buffer {
    const start = this.#at
    const found = this.#bytes.indexOf(LF, start)
    if (found < 0 && !isLast) throw damagedAt('the file is cut short', this.#bytes.length)
    const end = found < 0 ? this.#bytes.length : found
    this.#at = Math.min(end + 1, this.#bytes.length)
    const line = this.#bytes.subarray(start, end > start && this.#bytes[end - 1] === CR ? end - 1 : end)
    // PuTTY would end the line here: what it reads and what is read here must be the same.
    const stray = line.indexOf(CR)
    if (stray >= 0) throw damagedAt('a line has a carriage return inside', start + stray)
    return line
  }
}

/** All digits in one case: else one bit could be turned unseen. */
function fromHex(text: string, name: string, at: number): Buffer {
  if (text.length % 2 !== 0 || !/^([0-9a-f]*|[0-9A-F]*)$/.test(text)) throw damagedAt(`"${name}" is not in hex`, at)
  return Buffer.from(text, 'hex')
}

/** `name: count`, then the base64 in lines of 64, as PuTTY writes it. */
export function base64Lines(name: string, bytes: Uint8Array): string {
  const lines = wrapBase64(bytes, WIDTH)
  return [`${name}: ${lines.length}`, ...lines].join('\n')
}
