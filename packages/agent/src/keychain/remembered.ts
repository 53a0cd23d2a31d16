import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import { isKeytoolError, KeytoolError } from '@keytool/keygen'
import { fingerprintOf } from '../agent.js'
import { readPlain } from '../platform/read.js'
import type { Openable, StoredPassphrases } from '../unlock/unsealing.js'
import { nameKey } from '../wording.js'
import { isStale } from './answers.js'
import type { Keychain, KeychainState } from './keychain.js'

/** Far above any key's file. In bytes. */
const MAX_KEY = 256 * 1024

export interface RememberedOptions {
  readonly keychain: Keychain
  /** Reads the rules anew: one may have been written a moment ago. Never rejects. Default: they are as they are. */
  readonly refresh?: () => Promise<void>
  /** Whether a key's passphrase lies in the keychain, as its rule says. */
  readonly isRemembered: (key: Openable) => boolean
  /** What is wrong with a key's passphrase in the keychain, or that nothing is any more. Fit to be shown. */
  readonly onTrouble: (key: Openable, trouble: string | undefined) => void
  /** A key was opened with what lay in the keychain, or could not be. */
  readonly onUse: (key: Openable, verdict: 'allowed' | 'failed', reason: string) => void
}

/** The keychain as unsealing has it. */
export interface Remembered extends StoredPassphrases {
  /** As it was when it was last asked. It is never asked for this. */
  readonly state: KeychainState | 'unknown'
}

/** What the keychain last had for a key: a passphrase that did not fit, as its hash, or none. */
type Lack = Buffer | 'missing'

export function createRemembered(options: RememberedOptions): Remembered {
  const { keychain, isRemembered, onTrouble, onUse } = options
  /** By fingerprint. What is here is replaced by what fits. */
  const lacks = new Map<string, Lack>()
  /** So that the hash is of no use to anybody else. */
  const secret = randomBytes(32)
  let state: KeychainState | 'unknown' = 'unknown'

  /** Of a passphrase and the file that it is for: either may change. */
  function hash({ sealed }: Openable, passphrase: Uint8Array): Buffer {
    const file = sealed?.bytes ?? Buffer.alloc(0)
    return createHmac('sha256', secret).update(`${file.length} `).update(file).update(passphrase).digest()
  }

  async function look(fingerprint: string, signal: AbortSignal): Promise<Buffer | undefined> {
    try {
      const found = await keychain.find(fingerprint, signal)
      state = 'unlocked'
      return found
    } catch (error) {
      const seen = isKeytoolError(error) ? states.get(error.code) : undefined
      if (seen) state = seen
      throw error
    }
  }

  async function find(key: Openable, signal: AbortSignal): Promise<Buffer> {
    const fingerprint = fingerprintOf(key.identity)
    const passphrase = await look(fingerprint, signal)
    if (!passphrase) {
      lacks.set(fingerprint, 'missing')
      throw isMissing(key)
    }
    const lack = lacks.get(fingerprint)
    if (!(lack instanceof Buffer) || !timingSafeEqual(lack, hash(key, passphrase))) return passphrase
    passphrase.fill(0)
    throw isStale()
  }

  function tell(key: Openable, error: unknown): void {
    if (!isKeytoolError(error) || error.code === 'cancelled') return
    const why = error.reason === undefined ? error.message : `${error.message}: ${error.reason}`
    onTrouble(key, `${nameKey(key.identity)} is not opened by the keychain: ${why}`)
  }

  return {
    get state() {
      return state
    },
    async find(key, signal) {
      await options.refresh?.()
      if (!isRemembered(key)) {
        onTrouble(key, undefined)
        return undefined
      }
      try {
        return await find(key, signal)
      } catch (error) {
        tell(key, error)
        throw error
      }
    },
    tried(key, passphrase, fits) {
      const fingerprint = fingerprintOf(key.identity)
      if (fits) {
        lacks.delete(fingerprint)
        onTrouble(key, undefined)
        onUse(key, 'allowed', 'by the keychain')
        return
      }
      lacks.set(fingerprint, hash(key, passphrase))
      tell(key, isStale())
      onUse(key, 'failed', isStale().message)
    },
    keep(key, passphrase) {
      const fingerprint = fingerprintOf(key.identity)
      if (!isRemembered(key) || !lacks.has(fingerprint)) return
      const own = Buffer.allocUnsafeSlow(passphrase.length)
      own.set(passphrase)
      const { identity, file } = key
      isOnDisk(key)
        .then(isOurs => {
          // The file's passphrase was changed since it was read: what opens the old bytes is the old passphrase.
          if (!isOurs) throw isChanged()
          return keychain.store({ fingerprint, comment: identity.comment, ...(file !== undefined && { file }) }, own)
        })
        .then(
          () => {
            lacks.delete(fingerprint)
            onTrouble(key, undefined)
          },
          error => tell(key, error),
        )
        .finally(() => own.fill(0))
    },
  }
}

/** Whether its file is still the one that is held. One that can't be read, or is not known, is no reason against it. */
async function isOnDisk({ sealed, file }: Openable): Promise<boolean> {
  if (!sealed || file === undefined) return true
  const bytes = await readPlain(file, MAX_KEY).catch(() => undefined)
  return bytes === undefined || bytes.equals(sealed.bytes)
}

function isChanged(): KeytoolError {
  return new KeytoolError('refused', 'its file was changed since the agent has read it', {
    hint: 'keytool add --remember reads it again',
  })
}

/** What an error says of the keychain. */
const states: ReadonlyMap<string, KeychainState> = new Map([
  ['refused', 'locked'],
  ['unreachable', 'none'],
])

function isMissing({ identity }: Openable): KeytoolError {
  return new KeytoolError('not-found', `the keychain has no passphrase for ${nameKey(identity)}`)
}
