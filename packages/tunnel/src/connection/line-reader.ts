import { showForeign } from '@keytool/keygen'

/** What is shown of a line, in characters. */
const MAX_LINE = 200

/** What is kept of a line that does not end, in bytes. */
const MAX_PENDING = 4096

/** Foreign output line by line, escaped and cut. Whatever is written, little is kept. */
export class LineReader {
  readonly #onLine: ((line: string) => void) | undefined
  #pending: Buffer = Buffer.alloc(0)
  #last: string | undefined

  constructor(onLine?: (line: string) => void) {
    this.#onLine = onLine
  }

  add(chunk: Buffer): void {
    let start = 0
    for (let end = chunk.indexOf(0x0a); end !== -1; end = chunk.indexOf(0x0a, start)) {
      this.#keep(chunk.subarray(start, end))
      this.#tell()
      start = end + 1
    }
    this.#keep(chunk.subarray(start))
  }

  /** The last line that says something, also one that has not ended. */
  last(): string | undefined {
    this.#tell()
    return this.#last
  }

  #keep(bytes: Buffer): void {
    const room = MAX_PENDING - this.#pending.length
    this.#pending = Buffer.concat([this.#pending, bytes.subarray(0, room)])
  }

  #tell(): void {
    const line = this.#pending.toString('utf8').trim()
    this.#pending = Buffer.alloc(0)
    if (line === '') return
    this.#last = showForeign(line, MAX_LINE)
    this.#onLine?.(this.#last)
  }
}
