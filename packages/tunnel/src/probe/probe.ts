import type { Duplex } from 'node:stream'
import { KeytoolError } from '@keytool/keygen'
import type { Clock } from '../supervisor/clock.js'
import { readGreeting } from './greeting.js'
import { type ProbeKind, probeKinds } from './kinds.js'
import { wrapInTls } from './tls.js'

/** How long a target may take to show life, and to say goodbye, in milliseconds. */
const TIME = 10_000
const GOODBYE_TIME = 2_000

export interface ProbeOptions {
  readonly kind: ProbeKind
  /** Opens a stream to the target: a connection's `openDirect`. */
  readonly open: () => Promise<Duplex>
  /** The target's name, for TLS. */
  readonly host?: string
  readonly clock: Clock
  /** Ends it: it then rejects, with `cancelled` unless something else came first. */
  readonly signal?: AbortSignal
}

/**
 * Whether somebody answers at the far end of a forward: opens a stream to it, waits for the greeting its protocol begins with,
 * and leaves politely. Resolves when it is alive and the stream is closed.
 * @returns the first line of the greeting, escaped and cut; absent where there is none to wait for
 * @throws KeytoolError what `open` threw; `unreachable` without an answer within 10 s; `damaged` for another greeting
 */
export async function probe(options: ProbeOptions): Promise<string | undefined> {
  const streams: Duplex[] = []
  let over = false
  const keep = (stream: Duplex): Duplex => {
    // What breaks later is nobody's business any more, but must not stop the process.
    streams.push(stream.on('error', () => {}))
    if (over) stream.destroy()
    return stream
  }
  const limit = startLimit(options)
  try {
    return await Promise.race([look(options, keep), limit.reached])
  } finally {
    over = true
    limit.callOff()
    for (const stream of streams) stream.destroy()
  }
}

/** Rejects when the time is over, or when nobody wants to know any more. */
function startLimit({ clock, signal }: ProbeOptions): { reached: Promise<never>; callOff(): void } {
  let callOff = () => {}
  const reached = new Promise<never>((_, reject) => {
    const cancel = () => reject(new KeytoolError('cancelled', 'looking for the target was cancelled'))
    const callOffTimer = clock.after(TIME, () => {
      const reason = `waited ${TIME / 1000} s`
      reject(new KeytoolError('unreachable', 'the target gives no sign of life', { reason }))
    })
    signal?.addEventListener('abort', cancel)
    callOff = () => {
      callOffTimer()
      signal?.removeEventListener('abort', cancel)
    }
    if (signal?.aborted) cancel()
  })
  return { reached, callOff }
}

async function look(
  { kind, open, host, clock }: ProbeOptions,
  keep: (stream: Duplex) => Duplex,
): Promise<string | undefined> {
  const { tls, greeting } = probeKinds[kind]
  const plain = keep(await open())
  if (!greeting) return undefined
  const wrapped = tls ? await wrapInTls(plain, host) : plain
  if (!wrapped) return undefined
  if (tls) keep(wrapped)
  const { banner, whole } = await readGreeting(wrapped, greeting)
  if (whole) await leave(wrapped, greeting.goodbye, clock)
  return banner
}

/** Says goodbye and waits for the other side to close; not for long, since it is known to be alive. */
function leave(stream: Duplex, goodbye: string, clock: Clock): Promise<void> {
  return new Promise(resolve => {
    const done = () => {
      callOff()
      resolve()
    }
    const callOff = clock.after(GOODBYE_TIME, done)
    stream.once('end', done).once('close', done).resume()
    if (stream.destroyed) done()
    else stream.write(goodbye)
  })
}
