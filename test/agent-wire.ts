import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'

// The agent protocol's bytes, written down once more and without our library: what is tested must not be the judge.

/** A frame: uint32 length, number, body. */
export function frame(number: number, ...body: Uint8Array[]): Buffer {
  return string(Buffer.concat([Buffer.from([number]), ...body]))
}

/** RFC 4251 section 5: uint32 length, bytes. */
export function string(value: string | Uint8Array): Buffer {
  const bytes = Buffer.from(value)
  return Buffer.concat([uint32(bytes.length), bytes])
}

export function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}

/** The parts of a run of strings, as far as they go. */
export function readStrings(bytes: Buffer): Buffer[] {
  const parts: Buffer[] = []
  for (let at = 0; at + 4 <= bytes.length; ) {
    const length = bytes.readUInt32BE(at)
    if (at + 4 + length > bytes.length) break
    parts.push(bytes.subarray(at + 4, at + 4 + length))
    at += 4 + length
  }
  return parts
}

/** Calls `take` with each whole message of a stream, without its length. */
export function splitFrames(stream: Socket, take: (message: Buffer) => void): void {
  let held = Buffer.alloc(0)
  stream.on('data', (chunk: Buffer) => {
    held = Buffer.concat([held, chunk])
    while (held.length >= 4 && held.length >= 4 + held.readUInt32BE(0)) {
      const end = 4 + held.readUInt32BE(0)
      take(held.subarray(4, end))
      held = held.subarray(end)
    }
  })
}

export interface RawClient {
  send(bytes: Uint8Array): void
  /** The next answer, without its length. Throws when the connection closes first or three seconds pass. */
  answer(): Promise<Buffer>
  /** Sends a message, waits for its answer. */
  ask(number: number, ...body: Uint8Array[]): Promise<Buffer>
  /** Says that nothing more will come; answers can still be read. */
  end(): void
  /** Reads nothing from now on. */
  pause(): void
  /** Bytes that were sent and that the agent has not taken yet, those in the kernel's own buffers aside. */
  readonly unsent: number
  /** Resolves when the agent has closed the connection. */
  readonly closed: Promise<void>
  destroy(): void
}

/** Far above what a machine at work needs. */
const PATIENCE_MS = 20_000

/** A connection to an agent on which anything can be said. */
export async function connectRaw(path: string): Promise<RawClient> {
  const socket = connect(path)
  await once(socket, 'connect')
  const answers: Buffer[] = []
  let wake = () => {}
  splitFrames(socket, message => {
    answers.push(message)
    wake()
  })
  const closed = new Promise<void>(resolve => {
    socket.once('close', () => {
      resolve()
      wake()
    })
  })
  socket.on('error', () => {})
  const answer = async () => {
    const end = Date.now() + PATIENCE_MS
    for (;;) {
      const next = answers.shift()
      if (next) return next
      if (socket.destroyed) throw new Error('the agent closed the connection')
      if (Date.now() > end) throw new Error(`no answer in ${PATIENCE_MS} ms`)
      await new Promise<void>(resolve => {
        const timer = setTimeout(resolve, PATIENCE_MS)
        wake = () => {
          clearTimeout(timer)
          resolve()
        }
      })
    }
  }
  return {
    send: bytes => void socket.write(bytes),
    answer,
    ask(number, ...body) {
      socket.write(frame(number, ...body))
      return answer()
    },
    end: () => void socket.end(),
    pause: () => void socket.pause(),
    get unsent() {
      return socket.writableLength
    },
    closed,
    destroy: () => void socket.destroy(),
  }
}

export interface Recorder {
  readonly socket: string
  /** Every request that went through, oldest first, without its length. */
  readonly requests: readonly Buffer[]
  /** Every answer to them. */
  readonly answers: readonly Buffer[]
  stop(): Promise<void>
}

/** A socket that passes everything on to an agent and back, and keeps a copy. */
export async function startRecorder(agent: string, socket: string): Promise<Recorder> {
  const requests: Buffer[] = []
  const answers: Buffer[] = []
  const open = new Set<Socket>()
  const server = createServer(client => {
    const upstream = connect(agent)
    for (const [from, to, kept] of [[client, upstream, requests] as const, [upstream, client, answers] as const]) {
      open.add(from)
      splitFrames(from, message => kept.push(Buffer.from(message)))
      from.on('error', () => to.destroy())
      from.on('close', () => open.delete(from))
      from.pipe(to)
    }
  })
  server.listen(socket)
  await once(server, 'listening')
  return {
    socket,
    requests,
    answers,
    async stop() {
      for (const each of open) each.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}
