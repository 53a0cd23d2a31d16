import { showForeign } from '@keytool/keygen'
import type { Environment } from '../platform/places.js'
import { isLocked, isSilent, noKeychain } from './answers.js'
import type { KeychainState } from './keychain.js'
import { connectSecretService, type SecretService } from './secret-service.js'

/** A system's keychain as the child sees it: texts by their accounts. Rejects as `Keychain` does. */
export interface SystemStore {
  state(): Promise<Exclude<KeychainState, 'none'>>
  /** `undefined` where certainly nothing is stored. */
  get(account: string): Promise<string | undefined>
  set(account: string, secret: string): Promise<void>
  /** Whether there was one. */
  delete(account: string): Promise<boolean>
  close(): void
}

/** What is used of keytar. Not `findCredentials`: with some keyrings it ends the process. */
export interface Keytar {
  getPassword(service: string, account: string): Promise<string | null>
  setPassword(service: string, account: string, password: string): Promise<void>
  deletePassword(service: string, account: string): Promise<boolean>
}

export const SERVICE = 'keytool'

export interface StoreOptions {
  readonly env: Environment
  /** Milliseconds that a bus has for each answer. */
  readonly timeout: number
  readonly loadKeytar: () => Promise<Keytar>
  /** Node's name of the operating system. */
  readonly system: string
}

export async function openStore(options: StoreOptions): Promise<SystemStore> {
  // Both at once: the bus is asked while the library is loaded.
  const service = hasSecretService(options.system) ? connectSecretService(options.env, options.timeout) : undefined
  service?.catch(() => undefined)
  const keytar = await load(options)
  return service ? byService(keytar, await service) : plain(keytar)
}

const hasSecretService = (system: string) => system !== 'darwin' && system !== 'win32'

async function load({ loadKeytar, system }: StoreOptions): Promise<Keytar> {
  try {
    return await loadKeytar()
  } catch (cause) {
    const reason = hasSecretService(system)
      ? 'libsecret is missing: Debian has it in libsecret-1-0, others in libsecret'
      : 'keytar has no binary for this system'
    throw noKeychain(reason, cause)
  }
}

/** macOS and Windows: what is locked there is asked for by the system itself, and what does not answer in time is locked. */
function plain(keytar: Keytar): SystemStore {
  const get = (account: string) => tell(keytar.getPassword(SERVICE, account))
  return {
    async state() {
      await get('index')
      return 'unlocked'
    },
    get: async account => (await get(account)) ?? undefined,
    set: (account, secret) => tell(keytar.setPassword(SERVICE, account, secret)),
    delete: account => tell(keytar.deletePassword(SERVICE, account)),
    close() {},
  }
}

/**
 * Linux and its like. libsecret says of a locked keyring that nothing is stored, or has a window opened that nobody waits
 * for; so the service is asked before.
 */
function byService(keytar: Keytar, service: SecretService): SystemStore {
  async function isThere(account: string): Promise<boolean> {
    const found = await service.look({ service: SERVICE, account })
    // A keyring that is locked may not even show what is in it.
    if (found === 'locked' || (found === 'missing' && (await service.state()) === 'locked')) throw isLocked()
    return found === 'there'
  }
  return {
    state: () => service.state(),
    async get(account) {
      if (!(await isThere(account))) return undefined
      const secret = await tell(keytar.getPassword(SERVICE, account))
      if (secret !== null) return secret
      // It was there a moment ago.
      if ((await service.state()) === 'locked') throw isLocked()
      return undefined
    },
    async set(account, secret) {
      if ((await service.state()) === 'locked') throw isLocked()
      await tell(keytar.setPassword(SERVICE, account, secret))
    },
    delete: async account => (await isThere(account)) && (await tell(keytar.deletePassword(SERVICE, account))),
    close: () => service.close(),
  }
}

/** What it says of a failure is the system's own text, never the secret. */
async function tell<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer
  } catch (cause) {
    throw isSilent(showForeign((cause as Error).message, 200), cause)
  }
}
