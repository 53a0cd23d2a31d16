import { connect } from 'node:net'
import { KeytoolError, type PrivateKey, type Signature, type Signer } from '@keytool/keygen'
import {
  type AddOptions,
  type Agent,
  type Identity,
  type Offer,
  publicKeyOf,
  type SealedOffer,
  type SessionBind,
} from '../agent.js'
import { type ExtensionName, type Extensions, extensions } from '../protocol/extensions.js'
import type { KeyParts } from '../protocol/fields.js'
import {
  type Replies,
  type ReplyName,
  type RequestName,
  type Requests,
  replies,
  requests,
} from '../protocol/messages.js'
import {
  areKeyReports,
  areOrderReports,
  isStatus,
  type KeyReport,
  type OrderReport,
  readReport,
  type StatusReport,
} from '../reports.js'
import type { Terms } from '../terms.js'
import { explainConnect } from './connect-trouble.js'
import { Exchange, unreachable, type Wish } from './exchange.js'
import { signerOf } from './signers.js'

export interface ConnectOptions {
  /**
   * Milliseconds that connecting, and then each answer, may take. Default: no limit, since an agent may be asking its
   * user something.
   */
  readonly timeout?: number
}

/** An agent at the other end of a socket. What its agent does not have, it refuses. */
export interface AgentClient extends Required<Omit<Agent, 'forClient' | 'inspect' | 'distrust'>> {
  readonly path: string
  /** What it can sign with, in the order of its list. Types that the table of algorithms does not have are left out. */
  signers(): Promise<Signer[]>
  /** Whether the agent has this extension: what `query` says (RFC 9987 section 5.8.1). One that does not answer that has none. */
  supports(extension: string): Promise<boolean>
  /** How our own agent holds each key. */
  reports(): Promise<readonly KeyReport[]>
  /**
   * Any extension that is answered with a plain yes.
   * @param body what follows the name in the request
   */
  extension(name: string, body: Buffer): Promise<void>
  /** Lets go of the connection. Requests without an answer reject with `unreachable`. */
  close(): void
}

/**
 * Connects to an agent.
 * @param path a Unix socket or a Windows pipe, such as SSH_AUTH_SOCK names
 * @throws KeytoolError `unreachable` when no agent answers there
 */
export function connectAgent(path: string, options: ConnectOptions = {}): Promise<AgentClient> {
  return new Promise((resolve, reject) => {
    const socket = connect(path)
    const fail = (cause: Error) => {
      socket.destroy()
      reject(unreachable(path, explainConnect(cause), cause))
    }
    socket.once('error', fail)
    if (options.timeout) socket.setTimeout(options.timeout, () => fail(new Error('no answer in time')))
    socket.once('connect', () => {
      socket.off('error', fail)
      socket.setTimeout(0)
      socket.removeAllListeners('timeout')
      resolve(new Client(new Exchange(path, socket, options.timeout)))
    })
  })
}

type Asked = RequestName | ExtensionName

const whereItIs = 'keytool list shows whether it is locked or lacks the key'
const ifLocked = 'if it is locked: keytool unlock'

/** What was asked for, as an error says it. */
const wishes: Partial<Record<Asked, Wish>> = {
  list: { wish: 'list its keys' },
  sign: { wish: 'sign', hint: whereItIs },
  add: { wish: 'take the key', hint: ifLocked },
  addConstrained: { wish: 'take the key under these conditions', hint: ifLocked },
  addSealed: { wish: 'take the sealed key', hint: ifLocked },
  unseal: { wish: 'open the key', hint: ifLocked },
  reencrypt: { wish: 'seal the key', hint: 'only a key that was added with its encrypted file can be' },
  reencryptAll: { wish: 'seal its keys', hint: ifLocked },
  remove: { wish: 'remove the key', hint: whereItIs },
  removeAll: { wish: 'remove its keys', hint: ifLocked },
  lock: { wish: 'be locked', hint: 'it may be locked already' },
  unlock: { wish: 'be unlocked', hint: 'the passphrase is wrong, it was not locked, or too many others are trying' },
}

class Client implements AgentClient {
  readonly #exchange: Exchange
  #names: Promise<ReadonlySet<string>> | undefined

  constructor(exchange: Exchange) {
    this.#exchange = exchange
  }

  get path(): string {
    return this.#exchange.path
  }

  async list(): Promise<readonly Identity[]> {
    return (await this.#ask('list', {}, 'identities')).identities
  }

  async sign(blob: Buffer, data: Buffer, flags: number): Promise<Signature> {
    return (await this.#ask('sign', { key: blob, data, flags }, 'signature')).signature
  }

  /** Sends a copy and then wipes the key, as every agent does that takes a key over. */
  async add(key: PrivateKey, { terms = {}, certificate }: AddOptions = {}): Promise<void> {
    const { algorithm, parts, comment } = key
    try {
      await this.#add({ algorithm, parts, ...(certificate && { certificate }) }, comment, terms)
    } finally {
      key.wipe()
    }
  }

  /** As {@link Client.add}; the key that the offer opens stays its owner's. */
  async offer({ identity, terms, open }: Offer): Promise<void> {
    await this.#add(keyPartsOf(identity, await open()), identity.comment, terms)
  }

  async addSealed({ identity, terms: constraints, sealed, open }: SealedOffer): Promise<void> {
    const key = open && keyPartsOf(identity, await open())
    const { comment } = identity
    await this.#extend('addSealed', { file: sealed.bytes, comment, constraints, ...(key && { key }) })
  }

  async unseal(blob: Buffer, passphrase: Buffer): Promise<void> {
    const { fits } = await this.#extend('unseal', { key: blob, passphrase })
    if (!fits) throw new KeytoolError('secret-wrong', 'the passphrase does not open the key')
  }

  async reencrypt(blob: Buffer): Promise<void> {
    await this.#extend('reencrypt', { key: blob })
  }

  async reencryptAll(): Promise<number> {
    return (await this.#extend('reencryptAll', {})).left
  }

  async bind(bind: SessionBind): Promise<void> {
    await this.#extend('sessionBind', bind)
  }

  async remove(blob: Buffer): Promise<void> {
    await this.#ask('remove', { key: blob }, 'success')
  }

  async removeAll(): Promise<void> {
    await this.#ask('removeAll', {}, 'success')
  }

  async lock(passphrase: Buffer): Promise<void> {
    await this.#ask('lock', { passphrase }, 'success')
  }

  async unlock(passphrase: Buffer): Promise<void> {
    await this.#ask('unlock', { passphrase }, 'success')
  }

  async signers(): Promise<Signer[]> {
    const sign = this.sign.bind(this)
    return (await this.list()).flatMap(identity => signerOf(identity, sign) ?? [])
  }

  async supports(extension: string): Promise<boolean> {
    this.#names ??= this.#extend('query', {}).then(
      ({ names }) => new Set(names),
      () => new Set(),
    )
    return (await this.#names).has(extension)
  }

  async reports(): Promise<readonly KeyReport[]> {
    return readReport((await this.#extend('list', {})).json, areKeyReports)
  }

  async status(): Promise<StatusReport> {
    return readReport((await this.#extend('status', {})).json, isStatus)
  }

  async orderFor(hostKeys: readonly Buffer[]): Promise<readonly OrderReport[]> {
    return readReport((await this.#extend('listFor', { hostKeys })).json, areOrderReports)
  }

  async extension(name: string, body: Buffer): Promise<void> {
    await this.#exchange.ask(requests.extension, { name, body }, replies.success, { wish: `serve ${name}` })
  }

  close(): void {
    this.#exchange.close()
  }

  async #add(key: KeyParts, comment: string, constraints: Terms): Promise<void> {
    // An agent that knows no constraints takes a plain add still.
    if (Object.keys(constraints).length === 0) await this.#ask('add', { key, comment }, 'success')
    else await this.#ask('addConstrained', { key, comment, constraints }, 'success')
  }

  #ask<N extends RequestName, R extends ReplyName>(what: N, value: Requests[N], answer: R): Promise<Replies[R]> {
    return this.#exchange.ask(requests[what], value, replies[answer], wishOf(what))
  }

  #extend<N extends ExtensionName>(what: N, value: Extensions[N]['request']): Promise<Extensions[N]['response']> {
    const { request, reply } = extensions[what]
    return this.#exchange.ask(request, value, reply, wishOf(what))
  }
}

/** The key as it travels, under the certificate that the identity is, where it is one. */
function keyPartsOf(identity: Identity, { algorithm, parts }: PrivateKey): KeyParts {
  const certificate = publicKeyOf(identity)
  return { algorithm, parts, ...(certificate?.algorithm.certifies && { certificate }) }
}

function wishOf(what: Asked): Wish {
  return wishes[what] ?? { wish: 'do that' }
}
