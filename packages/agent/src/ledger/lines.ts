import type { Disk } from './files.js'

const CHUNK = 256 * 1024
/** Longer than any line of ours. In bytes. */
const MAX_LINE = 64 * 1024

export interface Line {
  /** Without its end. Good until the next one is asked for. */
  readonly bytes: Buffer
  /** False for what stands after the last end of a line, or is longer than any line. */
  readonly isEnded: boolean
}

/** The lines of an open file from its start, in bounded memory. A line that is too long is the last one given. */
export function* readLines(fd: number, disk: Disk): Generator<Line> {
  const buffer = Buffer.allocUnsafe(CHUNK)
  let filled = 0
  let position = 0
  for (;;) {
    const got = disk.readSync(fd, buffer, filled, CHUNK - filled, position)
    position += got
    filled += got
    let start = 0
    for (let end = indexOfEnd(buffer, start, filled); end >= 0; end = indexOfEnd(buffer, start, filled)) {
      yield { bytes: buffer.subarray(start, end), isEnded: true }
      start = end + 1
    }
    const rest = filled - start
    if (got === 0 || rest > MAX_LINE) {
      if (rest > 0) yield { bytes: buffer.subarray(start, filled), isEnded: false }
      return
    }
    buffer.copyWithin(0, start, filled)
    filled = rest
  }
}

function indexOfEnd(buffer: Buffer, start: number, filled: number): number {
  const end = buffer.indexOf(0x0a, start)
  return end < filled ? end : -1
}
