import { once } from 'node:events'
import { Duplex, Readable } from 'node:stream'
import { ChannelStream, PIECE, type RawChannel } from '../src/connection/channel.js'

// A channel as a stream, over a raw one that does as the engine's does.

/** What the engine does with what arrives, and with what is to be sent. */
class Raw extends Duplex implements RawChannel {
  readonly incoming = { state: 'open' }
  readonly outgoing = { packetSize: 32_768 }
  readonly stderr = new Readable({ read() {} })
  readonly sent: Buffer[] = []
  /** Whether the window was to be opened again since the last look. */
  wanted = false
  closes = 0
  /** What waits for the far side's window. */
  waiting: (() => void) | undefined
  isFull = false

  constructor() {
    super({ emitClose: false, allowHalfOpen: true })
  }

  override _read(): void {
    this.wanted = true
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.sent.push(Buffer.from(chunk))
    if (this.isFull) this.waiting = done
    else done()
  }

  close(): void {
    this.closes++
  }

  /** CHANNEL_EOF. */
  eof(): void {
    this.incoming.state = 'eof'
    this.push(null)
  }

  /** CHANNEL_CLOSE. */
  farClose(): void {
    this.incoming.state = 'closed'
    if (this.readable) this.push(null)
    if (this.readableEnded) this.emit('close')
    else this.once('end', () => this.emit('close'))
  }
}

function open() {
  const raw = new Raw()
  const stream = new ChannelStream(raw, write => write())
  const failed = new Promise<Error>(resolve => stream.on('error', resolve))
  return { raw, stream, failed }
}

const later = () => new Promise(resolve => setImmediate(resolve))

test('what came before a cut is read before the cut is told, by whoever begins to read late', async () => {
  const { raw, stream, failed } = open()
  raw.push(Buffer.from('half '))
  raw.push(Buffer.from('of it'))
  raw.farClose()
  await later()
  expect(stream.destroyed).toBe(false)
  const parts: Buffer[] = []
  stream.on('data', part => parts.push(part))
  expect(await failed).toMatchObject({ code: 'unreachable' })
  expect(Buffer.concat(parts).toString()).toBe('half of it')
})

test('the same for one who reads piece by piece', async () => {
  const { raw, stream, failed } = open()
  raw.push(Buffer.from('half of it'))
  raw.farClose()
  await later()
  expect(String(stream.read(4))).toBe('half')
  await later()
  expect(stream.destroyed).toBe(false)
  expect(String(stream.read())).toBe(' of it')
  expect(await failed).toMatchObject({ code: 'unreachable' })
})

test('one that is cut with nothing in it is cut at once, though nobody reads', async () => {
  const { raw, stream } = open()
  raw.farClose()
  await later()
  expect(stream.destroyed).toBe(true)
})

test('an end is an end, and the other direction goes on', async () => {
  const { raw, stream } = open()
  raw.push(Buffer.from('all'))
  raw.eof()
  let told = ''
  stream.on('data', part => {
    told += part
  })
  await once(stream, 'end')
  expect(told).toBe('all')
  stream.end('and back')
  await once(stream, 'finish')
  expect(Buffer.concat(raw.sent).toString()).toBe('and back')
  await later()
  expect(raw.closes).toBe(1)
  raw.farClose()
  await later()
  expect(stream.errored).toBeNull()
})

test('while nobody reads the window stays shut; whoever reads opens it', async () => {
  const { raw, stream } = open()
  expect(raw.push(Buffer.alloc(100_000))).toBe(true)
  expect(raw.push(Buffer.alloc(200_000))).toBe(false)
  raw.wanted = false
  await later()
  expect(raw.wanted).toBe(false)
  stream.resume()
  await later()
  expect(raw.wanted).toBe(true)
})

test('what comes for one that is gone is dropped, and its window opened', async () => {
  const { raw, stream } = open()
  raw.push(Buffer.alloc(300_000))
  raw.wanted = false
  stream.destroy()
  await later()
  expect(raw.closes).toBe(1)
  expect(raw.wanted).toBe(true)
  const held = stream.readableLength
  expect(raw.push(Buffer.alloc(1_000_000))).toBe(true)
  expect(stream.readableLength).toBe(held)
})

test('a write is done when all its pieces are sent, and its end comes behind it', async () => {
  const { raw, stream } = open()
  raw.isFull = true
  let done = false
  stream.write(Buffer.alloc(PIECE + 10, 1), () => {
    done = true
  })
  const finished = once(raw, 'finish')
  stream.end()
  await later()
  expect(raw.sent.map(({ length }) => length)).toEqual([PIECE])
  expect(raw.writableEnded).toBe(false)
  raw.waiting?.()
  raw.isFull = false
  raw.waiting?.()
  await finished
  expect(done).toBe(true)
  expect(raw.sent.map(({ length }) => length)).toEqual([PIECE, 10])
})
