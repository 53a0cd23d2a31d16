/** What a key press comes to, besides itself. */
export interface Typed {
  /** The line is complete, or the user does not want to answer. */
  readonly event?: 'done' | 'refused'
  /** What a terminal that shows what is typed writes. */
  readonly shown?: string
}

/** Bytes of a line. What is typed beyond is dropped, as readpassphrase(3) does. */
const MAX_LINE = 1024
const NOTHING: Typed = {}

/** One line as it is typed on a terminal in raw mode, in memory that is wiped. */
export class LineTyped {
  readonly #bytes: Buffer = Buffer.alloc(MAX_LINE)
  #length = 0

  push(byte: number): Typed {
    const key = keys.get(byte)
    if (key) return key(this)
    // The other controls, such as what an arrow begins with, have no place in an answer. A tab may have.
    if ((byte < 32 && byte !== 9) || this.#length === MAX_LINE) return NOTHING
    this.#bytes[this.#length++] = byte
    return byte < 127 ? { shown: String.fromCharCode(byte) } : NOTHING
  }

  /** A copy of the line, which is the caller's to wipe. */
  take(): Buffer {
    return Buffer.from(this.#bytes.subarray(0, this.#length))
  }

  /** Takes back the last character: in UTF-8, all of its bytes. */
  eraseLast(): void {
    const before = this.#length
    do {
      if (this.#length > 0) this.#length--
    } while (this.#length > 0 && ((this.#bytes[this.#length] ?? 0) & 0xc0) === 0x80)
    this.#bytes.fill(0, this.#length, before)
  }

  get length(): number {
    return this.#length
  }

  wipe(): void {
    this.#bytes.fill(0)
    this.#length = 0
  }
}

const erase = (line: LineTyped): Typed => {
  if (line.length === 0) return NOTHING
  line.eraseLast()
  return { shown: '\b \b' }
}
const eraseAll = (line: LineTyped): Typed => {
  const shown = '\b \b'.repeat(line.length)
  line.wipe()
  return { shown }
}

/** What the keys do that a line discipline would treat: by their byte. */
const keys: ReadonlyMap<number, (line: LineTyped) => Typed> = new Map<number, (line: LineTyped) => Typed>([
  [3, () => ({ event: 'refused' })],
  [4, () => ({ event: 'refused' })],
  [8, erase],
  [10, () => ({ event: 'done' })],
  [13, () => ({ event: 'done' })],
  [21, eraseAll],
  [28, () => ({ event: 'refused' })],
  [127, erase],
])
