import type { Duplex } from 'node:stream'
import { Writable } from 'node:stream'

/** A stream that keeps what is written to it. */
export interface Pipe {
  readonly stream: Duplex
  /** What reached it at once, each time. */
  readonly writes: readonly Buffer[]
  /** All of it, once it has been flushed. */
  bytes(): Promise<Buffer>
  /** Says that what came is written. Until then it has it, and has not read it. */
  accept(): void
}

/** @param waits whether what is written counts as written only when it is accepted */
export function collect(waits = false): Pipe {
  const writes: Buffer[] = []
  let accept: (() => void) | undefined
  const take = (parts: readonly Buffer[], done: () => void) => {
    const read = () => {
      writes.push(Buffer.concat(parts))
      done()
    }
    if (waits) accept = read
    else read()
  }
  const stream = new Writable({
    highWaterMark: 1 << 30,
    write: (chunk: Buffer, _encoding, done) => take([chunk], done),
    writev: (chunks, done) =>
      take(
        chunks.map(({ chunk }) => chunk as Buffer),
        done,
      ),
  })
  return {
    stream: stream as unknown as Duplex,
    writes,
    bytes: async () => {
      await new Promise(resolve => setImmediate(resolve))
      return Buffer.concat(writes)
    },
    accept: () => {
      const now = accept
      accept = undefined
      now?.()
    },
  }
}
