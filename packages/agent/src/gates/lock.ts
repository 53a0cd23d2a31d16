import { randomBytes, type ScryptOptions, scrypt, timingSafeEqual } from 'node:crypto'
import { setTimeout } from 'node:timers/promises'
import { promisify } from 'node:util'
import { KeytoolError } from '@keytool/keygen'
import type { Client } from '../agent.js'
import { Attempts } from './attempts.js'
import type { QuickGate } from './gate.js'

/** The agent's lock: while it is shut nothing passes and no key is shown. */
export interface Lock extends QuickGate {
  readonly locked: boolean
  /** Shuts at once; resolves when the passphrase is kept. Rejects with `refused` when it is shut or the passphrase is empty. */
  lock(passphrase: Buffer): Promise<void>
  /**
   * Rejects with `refused`, after a delay that grows with each miss, when the passphrase does not fit.
   * @param client who tries. Default: somebody who has never tried before
   */
  unlock(passphrase: Buffer, client?: Client): Promise<void>
}

export interface LockOptions {
  readonly sleep?: (ms: number) => Promise<void>
  readonly hash?: (passphrase: Buffer, salt: Buffer) => Promise<Buffer>
}

/** OpenSSH's steps: a tenth of a second more for each miss, up to ten seconds. */
const DELAY_STEP = 100
const MAX_MISSES = 100
/** Attempts that may wait for their turn. More is somebody guessing. */
const MAX_WAITING = 16
/** About 50 ms and 16 MiB a guess. */
const COST: ScryptOptions = { N: 1 << 14, r: 8, p: 1 }

interface Kept {
  readonly salt: Buffer
  /** Still being computed just after locking; undefined when that failed. */
  readonly hash: Promise<Buffer>
}

export function createLock(options: LockOptions = {}): Lock {
  const { sleep = sleepWithoutHolding, hash = hashSlowly } = options
  let kept: Kept | undefined
  let misses = 0
  const attempts = new Attempts(MAX_WAITING)

  async function tryToUnlock(passphrase: Buffer): Promise<void> {
    if (!kept) throw refusal('the agent is not locked')
    const { salt, hash: right } = kept
    if (timingSafeEqual(await hash(passphrase, salt), await right)) {
      kept = undefined
      misses = 0
      return
    }
    misses = Math.min(misses + 1, MAX_MISSES)
    await sleep(misses * DELAY_STEP)
    throw refusal('the passphrase does not unlock the agent')
  }

  return {
    get locked() {
      return kept !== undefined
    },
    pass() {
      if (kept) throw refusal('the agent is locked')
    },
    shows: () => kept === undefined,
    async lock(passphrase) {
      if (kept) throw refusal('the agent is locked already')
      if (passphrase.length === 0) throw refusal('an empty passphrase locks nothing')
      const salt = randomBytes(16)
      // Shut before the hash is there: nothing slips through meanwhile.
      const mine = { salt, hash: hash(passphrase, salt) }
      kept = mine
      try {
        await mine.hash
      } catch (cause) {
        // A lock that nobody could open again would be worse than none, and the caller learns that there is none.
        kept = undefined
        throw new KeytoolError('failed', 'the agent could not be locked', { cause })
      }
    },
    async unlock(passphrase, client = { gone: false }) {
      if (!kept) throw refusal('the agent is not locked')
      if (passphrase.length === 0) throw refusal('an empty passphrase locks nothing')
      await attempts.run(client, () => tryToUnlock(passphrase))
    },
  }
}

function refusal(message: string): KeytoolError {
  return new KeytoolError('refused', message)
}

const scryptInThread = promisify<Buffer, Buffer, number, ScryptOptions, Buffer>(scrypt)

function hashSlowly(passphrase: Buffer, salt: Buffer): Promise<Buffer> {
  return scryptInThread(passphrase, salt, 32, COST)
}

/** A delay must not keep an agent alive that was told to stop. */
function sleepWithoutHolding(ms: number): Promise<void> {
  return setTimeout(ms, undefined, { ref: false })
}
