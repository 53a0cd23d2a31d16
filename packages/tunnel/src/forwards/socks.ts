import type { Duplex } from 'node:stream'
import { KeytoolError } from '@keytool/keygen'
import { outcomeOf, writeReply } from './socks-replies.js'
import { readRequest, type SocksTarget } from './socks-request.js'

/**
 * In milliseconds. A request is some dozen bytes: whoever takes longer for it does not mean to send one. The farewell is
 * how long a refused client may take to read why.
 */
const TIMES = { request: 10_000, farewell: 2_000 }

/**
 * Serves one SOCKS client (4, 4a, 5 without authentication) up to the point where it is carried. What is refused, by us
 * (BIND, UDP) or by the target, is answered with the protocol's own reply before the stream is closed.
 * @param open makes the connection that is asked for
 * @returns what `open` gave, once the client was told; `undefined` when the client has left
 * @throws KeytoolError `damaged` for what is no SOCKS, `unsupported`; whatever `open` throws. When the client was told, its
 * stream has ended by then; otherwise it is still open
 */
export async function speakSocks<T extends Duplex>(
  stream: Duplex,
  open: (to: SocksTarget) => Promise<T>,
  times: { readonly request: number; readonly farewell: number } = TIMES,
): Promise<T | undefined> {
  const request = await withinTime(times.request, signal => readRequest(stream, signal))
  if (!request) {
    stream.destroy()
    return undefined
  }
  if ('error' in request) {
    refuse(stream, request.reply, times.farewell)
    throw request.error
  }
  const reply = writeReply[request.version]
  const opened = await open(request).catch(error => {
    if (!stream.destroyed) refuse(stream, reply(outcomeOf(error)), times.farewell)
    throw error
  })
  if (stream.destroyed) {
    opened.destroy()
    return undefined
  }
  stream.write(reply('granted'))
  return opened
}

/** Says it, then waits for the other side to go: closing over what it still sends would take the reply with it. */
function refuse(stream: Duplex, reply: Buffer, farewell: number): void {
  const timer = setTimeout(() => stream.destroy(), farewell)
  stream.once('close', () => clearTimeout(timer))
  stream.end(reply)
  stream.resume()
}

async function withinTime<T>(patience: number, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const late = new AbortController()
  const timer = setTimeout(() => {
    const reason = `no request came within ${patience / 1000} s`
    late.abort(new KeytoolError('damaged', 'what came in at the SOCKS proxy is not carried', { reason }))
  }, patience)
  try {
    return await work(late.signal)
  } finally {
    clearTimeout(timer)
  }
}
