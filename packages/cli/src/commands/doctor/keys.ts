import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { AgentClient } from '@keytool/agent'
import { fingerprint, isKeytoolError, KeytoolError, type PublicKey, type Signer } from '@keytool/keygen'
import type { AgentState, HostProof, KeyTry } from '@keytool/tunnel'
import { openAgent } from '../../agent-link.js'
import { bindAgent } from '../../bind-agent.js'
import type { Context } from '../../context.js'
import { publicHalf } from '../../files.js'
import { isLocked } from '../../held-keys.js'
import type { Destination } from '../../reach.js'

/** Files in ~/.ssh that are looked into for a key's name. */
const MAX_FILES = 200

/** The agent that is asked for one host, and how it stands. */
export class AgentInQuestion {
  readonly #settings: Destination['settings']
  readonly #context: Context
  #client: AgentClient | undefined
  #state: AgentState | undefined
  #trouble: string | undefined

  constructor({ settings }: Destination, context: Context) {
    this.#settings = settings
    this.#context = context
  }

  get client(): AgentClient | undefined {
    return this.#client
  }

  /** Why none answers. */
  get trouble(): string | undefined {
    return this.#trouble
  }

  /** Opens it where it may be asked; after this it knows whom it signs for. */
  async open(proof: HostProof): Promise<void> {
    const { identityAgent } = this.#settings
    if (identityAgent === 'none') return
    const own = identityAgent && {
      value: { ...this.#context.env, SSH_AUTH_SOCK: identityAgent.path },
      enumerable: true,
    }
    const context = own ? (Object.create(this.#context, { env: own }) as Context) : this.#context
    try {
      const agent = await openAgent(context)
      if (await bindAgent(agent, proof)) this.#client = agent
      else {
        agent.close()
        this.#trouble = `the agent at ${agent.path} does not answer`
      }
    } catch (error) {
      if (!isKeytoolError(error)) throw error
      this.#trouble = [error.message, error.reason].filter(Boolean).join(': ')
    }
  }

  async state(): Promise<AgentState> {
    this.#state ??= await this.#look()
    return this.#state
  }

  close(): void {
    this.#client?.close()
    this.#client = undefined
  }

  async #look(): Promise<AgentState> {
    if (this.#settings.identityAgent === 'none') return 'forbidden'
    if (!this.#client) return 'missing'
    if (await isLocked(this.#client).catch(() => undefined)) return 'locked'
    const held = await this.#client.list().catch(() => [])
    return held.length === 0 ? 'empty' : 'holds'
  }
}

/** The same signer, and a note of what becomes of it. */
export function watchSigner(signer: Signer, use: KeyTry): Signer {
  return {
    publicKey: signer.publicKey,
    ...(signer.certificate && { certificate: signer.certificate }),
    async sign(data, options) {
      use.taken = true
      try {
        const signature = await signer.sign(data, options)
        use.signed = true
        return signature
      } catch (error) {
        use.error = isKeytoolError(error)
          ? error
          : new KeytoolError('failed', 'the key could not sign', { cause: error })
        throw error
      }
    },
  }
}

export function useOf({ publicKey, certificate }: Signer): KeyTry {
  return { key: publicKey, ...(certificate && { certificate }), taken: false, signed: false }
}

/** `SHA256:… (ED25519)`, and that it has a certificate. */
export function nameKey({ key, certificate }: KeyTry): string {
  return `${fingerprint(key)} (${key.algorithm.label}${certificate ? ', with a certificate' : ''})`
}

/** A file in ~/.ssh that shows this key: its private half's name where there is one beside it. */
export async function fileOfKey(key: PublicKey, { places }: Context): Promise<string | undefined> {
  const names = (await readdir(places.ssh).catch(() => [])).filter(name => name.endsWith('.pub')).sort()
  for (const name of names.slice(0, MAX_FILES)) {
    const path = join(places.ssh, name)
    const shown = await publicHalf(path).catch(() => undefined)
    if (shown && !shown.algorithm.certifies && shown.equals(key)) return path.replace(/\.pub$/, '')
  }
  return undefined
}

/** A private key in ~/.ssh that could be loaded: the first one that has its public half beside it. */
export async function loadable({ places }: Context): Promise<string | undefined> {
  const names = (await readdir(places.ssh).catch(() => [])).sort()
  const pairs = names.filter(name => names.includes(`${name}.pub`))
  return pairs[0] === undefined ? undefined : join(places.ssh, pairs[0])
}
