import type { Duplex } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { isKeytoolError, KeytoolError, showForeign } from '@keytool/keygen'
import type { Context } from '../context.js'
import type { Way } from '../way.js'

/** How often a server that turns us away is tried, and the first pause, in milliseconds. Each is twice as long. */
const TRIES = 6
const FIRST_PAUSE = 250

/** How long the first words are waited for, in milliseconds. A server may want ours first: then there is nothing to know. */
const GREETING_TIME = 2_000

/** sshd's words for MaxStartups and for PerSourcePenalties, in place of its identification. */
const TURNED_AWAY = /^(Exceeded MaxStartups|Not allowed at this time)/

type Dial = Way['dial']

/** How to wait; for tests. */
export interface Patience {
  /** In milliseconds. Rejects when the signal says so. */
  readonly pause?: (time: number, signal: AbortSignal | undefined) => Promise<unknown>
  /** From 0 to 1: none of those that were turned away together come back together. */
  readonly random?: () => number
  /** How long the first words are waited for, in milliseconds. */
  readonly greetingTime?: number
}

/**
 * Dials again when the server has no room at the moment: sshd turns connections away at random once ten are not logged in
 * yet (MaxStartups), and many hosts at once may be one machine, or lie behind one.
 * @returns a dial that waits for the server's first words, throws `unreachable` when there is no room for long, and
 * `cancelled`
 */
export function dialPatiently(dial: Dial, { say }: Pick<Context, 'say'>, patience: Patience = {}): Dial {
  const { pause = pauseFor, random = Math.random, greetingTime = GREETING_TIME } = patience
  return async options => {
    for (let tries = 1; ; tries++) {
      const stream = await dial(options).catch(error => {
        // The kernel turns away whom sshd is too slow to take on.
        if (tries === TRIES || !isReset(error)) throw error
        return undefined
      })
      if (stream && !(await isTurnedAway(stream, greetingTime))) return stream
      stream?.destroy()
      if (tries === TRIES) throw noRoom(options)
      say.transient('the server has no room at the moment')
      await pause(FIRST_PAUSE * 2 ** (tries - 1) * (0.5 + random()), options.signal).catch(() => {
        throw new KeytoolError('cancelled', 'connecting was cancelled')
      })
    }
  }
}

function pauseFor(time: number, signal: AbortSignal | undefined): Promise<void> {
  return sleep(time, undefined, { signal })
}

function noRoom({ host, port }: { host: string; port: number }): KeytoolError {
  return new KeytoolError('unreachable', `${showForeign(host)}:${port} turns every connection away`, {
    reason: `${TRIES} tries; it has no room for more logins (MaxStartups), or none for this address`,
    hint: 'try again later, or with fewer hosts at once: --parallel 4',
  })
}

function isReset(error: unknown): boolean {
  if (!isKeytoolError(error) || error.code !== 'unreachable') return false
  return (error.cause as NodeJS.ErrnoException | undefined)?.code === 'ECONNRESET'
}

/** Looks at a server's first words, and puts them back for whoever reads them. */
function isTurnedAway(stream: Duplex, time: number): Promise<boolean> {
  return new Promise(resolve => {
    const settle = (turnedAway: boolean): void => {
      clearTimeout(timer)
      stream.off('readable', look).off('end', over).off('close', over)
      resolve(turnedAway)
    }
    const look = (): void => {
      const words: Buffer | null = stream.read()
      // Nothing to read is the end of it.
      if (words === null) return
      stream.unshift(words)
      settle(TURNED_AWAY.test(words.toString('latin1', 0, 64)))
    }
    const over = (): void => settle(true)
    const timer = setTimeout(() => settle(false), time)
    // An error is followed by the close.
    stream.on('error', () => {})
    stream.on('readable', look).once('end', over).once('close', over)
    if (stream.destroyed) over()
  })
}
