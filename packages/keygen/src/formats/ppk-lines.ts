import { KeytoolError } from '../error.js'
import { decodeBase64, wrapBase64 } from './armor.js'
import { decodeComment } from './comment.js'

/** No real key needs more lines of base64 than this (RSA at 16384 bits takes some 200). */
const MAX_LINES = 1024

/** Reads a PPK file's lines in the order the format fixes (PuTTY manual, appendix C.1). LF and CRLF are both fine. */
export class PpkLines {
  readonly #bytes: Buffer
  #at = 0

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  /** The value of the next line, which must be `name: value`. Throws `damaged` with the offset. */
  value(name: string): string {
    return this.#value(name).toString('latin1')
  }

  /** Like {@link PpkLines.value}, for the one value that is a person's text. */
  comment(): { bytes: Buffer; text: string } {
    const bytes = this.#value('Comment')
    return { bytes, text: decodeComment(bytes) }
  }

  /** A value that is a decimal number. */
  number(name: string): number {
    const at = this.#at
    const text = this.value(name)
    if (!/^(0|[1-9]\d{0,9})$/.test(text)) throw damaged(`"${name}" is not a number`, at)
    return Number(text)
  }

  /** A value that is bytes in hex. */
  hex(name: string): Buffer {
    const at = this.#at
    return fromHex(this.value(name), name, at)
  }

  /** The file's last value: exactly `size` bytes in hex. Only this line may lack its newline. */
  lastHex(name: string, size: number): Buffer {
    const at = this.#at
    const bytes = fromHex(this.#value(name, true).toString('latin1'), name, at)
    if (bytes.length !== size) throw damaged(`"${name}" is not ${size} bytes long`, at)
    return bytes
  }

  /** `name: count`, then so many lines of base64. */
  base64(name: string): Buffer {
    const start = this.#at
    const count = this.number(name)
    if (count > MAX_LINES) throw damaged(`"${name}" claims ${count} lines`, start)
    const from = this.#at
    for (let i = 0; i < count; i++) this.#line()
    return decodeBase64(this.#bytes.toString('latin1', from, this.#at), from)
  }

  /** Throws `damaged` when more than blank space follows. */
  end(): void {
    if (this.#bytes.toString('latin1', this.#at).trim() !== '') throw damaged('there is more after the key', this.#at)
  }

  #value(name: string, isLast = false): Buffer {
    const at = this.#at
    const line = this.#line(isLast)
    const prefix = `${name}: `
    if (line.toString('latin1', 0, prefix.length) !== prefix) throw damaged(`the line "${name}" is missing`, at)
    return line.subarray(prefix.length)
  }

  #line(isLast = false): Buffer {
    const start = this.#at
    const found = this.#bytes.indexOf(10, start)
    if (found < 0 && !isLast) throw damaged('the file is cut short', this.#bytes.length)
    const end = found < 0 ? this.#bytes.length : found
    this.#at = Math.min(end + 1, this.#bytes.length)
    return this.#bytes.subarray(start, this.#bytes[end - 1] === 13 && end > start ? end - 1 : end)
  }
}

function fromHex(text: string, name: string, at: number): Buffer {
  if (!/^([0-9a-f]{2})*$/i.test(text)) throw damaged(`"${name}" is not in hex`, at)
  return Buffer.from(text, 'hex')
}

/** `name: count`, then the base64 in lines of 64, as PuTTY writes it. */
export function base64Lines(name: string, bytes: Uint8Array): string {
  const lines = wrapBase64(bytes, 64)
  return [`${name}: ${lines.length}`, ...lines].join('\n')
}

function damaged(message: string, offset: number): KeytoolError {
  return new KeytoolError('damaged', `${message} (at byte ${offset})`, { offset })
}
