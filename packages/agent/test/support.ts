import { chown, mkdtemp, rename, rm } from 'node:fs/promises'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { PrivateKey } from '@keytool/keygen'
import { encodeMessage, FrameSplitter, type Requests, requests } from '../src/index.js'

const cleanups: (() => unknown)[] = []

/** Runs after the test in which it was called, latest first. */
export function later(cleanup: () => unknown): void {
  cleanups.push(cleanup)
}

afterEach(async () => {
  const troubles: unknown[] = []
  // One that fails keeps no other from its work: a program that is left would keep jest waiting.
  for (const cleanup of cleanups.splice(0).reverse()) {
    try {
      await cleanup()
    } catch (error) {
      troubles.push(error)
    }
  }
  if (troubles.length > 0) throw troubles[0]
})

/** Looks again and again until it is so. @throws Error when it never is */
export async function until(isSo: () => boolean | Promise<boolean>, ms = 20_000): Promise<void> {
  for (const end = performance.now() + ms; !(await isSo()); ) {
    if (performance.now() > end) throw new Error('it never became so')
    await new Promise(resolve => setTimeout(resolve, 5))
  }
}

/** A fresh 0700 folder that goes away after the test. */
export async function makeTemporary(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'kt-'))
  later(() => rm(folder, { recursive: true, force: true }))
  return folder
}

export function listenAt(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(path, () => resolve())
  })
}

/** A socket as a killed agent leaves it: there, but nobody listens. */
export async function leaveStaleSocket(path: string): Promise<void> {
  const server = createServer()
  await listenAt(server, `${path}~`)
  // Closing removes the name that was bound, which is not there any more.
  await rename(`${path}~`, path)
  await new Promise(resolve => server.close(resolve))
}

const SOME_USER = 12345

/** Makes it another user's. Only root can give things away; to anybody else it is the user that changes for the test. */
export async function giveAway(path: string): Promise<void> {
  if (process.getuid?.() === 0) return chown(path, SOME_USER, SOME_USER)
  const { getuid } = process
  process.getuid = () => SOME_USER
  later(() => Object.assign(process, { getuid }))
}

/** A client that speaks in raw bytes. */
export class RawClient {
  readonly socket: Socket
  readonly #splitter = new FrameSplitter()
  readonly #replies: Buffer[] = []
  #wake: () => void = () => undefined
  closed = false

  private constructor(socket: Socket) {
    this.socket = socket
    socket.on('data', chunk => {
      this.#splitter.push(chunk)
      for (let body = this.#splitter.next(); body; body = this.#splitter.next()) this.#replies.push(body)
      this.#wake()
    })
    socket.on('error', () => undefined)
    socket.on('end', () => socket.end())
    socket.on('close', () => {
      this.closed = true
      this.#wake()
    })
    later(() => socket.destroy())
  }

  static connect(path: string): Promise<RawClient> {
    return new Promise((resolve, reject) => {
      const socket = connect({ path, allowHalfOpen: true })
      socket.once('error', reject)
      socket.once('connect', () => {
        socket.off('error', reject)
        resolve(new RawClient(socket))
      })
    })
  }

  send(...parts: Uint8Array[]): void {
    this.socket.write(Buffer.concat(parts))
  }

  /** The body of the next reply; undefined when the connection closed instead. */
  async reply(): Promise<Buffer | undefined> {
    while (this.#replies.length === 0 && !this.closed) await this.#news()
    return this.#replies.shift()
  }

  /** The numbers of the next replies. */
  async numbers(count: number): Promise<(number | undefined)[]> {
    const numbers: (number | undefined)[] = []
    while (numbers.length < count) numbers.push((await this.reply())?.[0])
    return numbers
  }

  async untilClosed(): Promise<void> {
    while (!this.closed) await this.#news()
  }

  #news(): Promise<void> {
    return new Promise(resolve => {
      this.#wake = resolve
    })
  }
}

/** Any message as a frame. */
export function frame(number: number, ...parts: Uint8Array[]): Buffer {
  const body = Buffer.concat([Buffer.of(number), ...parts])
  return Buffer.concat([u32(body.length), body])
}

export function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}

export function string(value: string | Uint8Array): Buffer {
  const bytes = Buffer.from(value as Uint8Array)
  return Buffer.concat([u32(bytes.length), bytes])
}

export const LIST: Buffer = encodeMessage(requests.list, {})

export function ask<N extends keyof Requests>(name: N, value: Requests[N]): Buffer {
  return encodeMessage(requests[name], value)
}

export function signRequest(key: PrivateKey, data = 'data', flags = 0): Buffer {
  return ask('sign', { key: key.publicKey.blob, data: Buffer.from(data), flags })
}

export function addRequest(key: PrivateKey): Buffer {
  return ask('add', { key: { algorithm: key.algorithm, parts: key.parts }, comment: key.comment })
}
