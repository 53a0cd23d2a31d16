import { isKeytoolError, KeytoolError, type Signature } from '@keytool/keygen'
import { type Client, type Identity, publicKeyOf } from '../agent.js'
import { goneError } from '../ring/jobs.js'
import { choose } from './choose.js'
import type { Source, UpstreamConnection } from './source.js'

/** A connection of one client's own, made when it is first needed. */
export interface UpstreamView {
  /** Empty whenever there is trouble: it never rejects. */
  list(): Promise<readonly Identity[]>
  /**
   * Only what the key's owner would sign comes back: it is verified, where the type is known.
   * @throws KeytoolError `not-found` when it does not list the key, `refused`, `unreachable`, `damaged`; `cancelled` once closed
   */
  sign(blob: Buffer, data: Buffer, flags: number): Promise<Signature>
  /**
   * Tells it which host the client is bound to, before whatever is asked next; on a new connection all are told again. Never
   * rejects.
   * @param fields of `session-bind@openssh.com` (PROTOCOL.agent section 1), as they came, and verified
   */
  bind(fields: Buffer): Promise<void>
  /** What is under way rejects. */
  close(): void
}

const SESSION_BIND = 'session-bind@openssh.com'
/** How long a list tells which keys it can sign with, so that a login costs it one list rather than three. In milliseconds. */
const FRESH = 2_000

/** A connection, and what the agent there knows of the client's hosts. */
interface Link {
  readonly connection: UpstreamConnection
  told: number
  /** It refused the first host: it knows of no hosts, or can't check this one. Those behind it would seem nearer than they are. */
  deaf: boolean
}

export class View implements UpstreamView, Client {
  readonly #agent: Source
  readonly #forget: () => void
  readonly #binds: Buffer[] = []
  #link: Promise<Link> | undefined
  /** What all who want a list just now wait for. */
  #listing: Promise<readonly Identity[]> | undefined
  /** The list that is under way on the connection. It may outlast the patience of those above: behind a signature. */
  #asked: Promise<readonly Identity[]> | undefined
  #known: { readonly until: number; readonly keys: readonly Identity[] } | undefined
  #signing = 0
  #closed = false

  constructor(agent: Source, forget: () => void) {
    this.#agent = agent
    this.#forget = forget
  }

  get gone(): boolean {
    return this.#closed
  }

  list(): Promise<readonly Identity[]> {
    this.#listing ??= this.#listNow().finally(() => {
      this.#listing = undefined
    })
    return this.#listing
  }

  async sign(blob: Buffer, data: Buffer, flags: number): Promise<Signature> {
    const agent = this.#agent
    if (!(await this.#lists(blob))) {
      if (this.#closed) throw goneError()
      throw new KeytoolError('not-found', `the agent behind, at ${agent.path}, does not hold this key`)
    }
    const link = this.#connect()
    this.#signing++
    try {
      const { connection } = await link
      const signature = await agent.countSignature(() => connection.sign(blob, data, flags))
      await this.#check(blob, data, signature)
      return signature
    } catch (error) {
      if (this.#closed) throw goneError()
      if (!isRefusal(error)) {
        this.#drop(link)
        agent.tellError(error)
      }
      throw error
    } finally {
      this.#signing--
    }
  }

  async bind(fields: Buffer): Promise<void> {
    if (this.#closed) return
    const bind = Buffer.from(fields)
    this.#binds.push(bind)
    // What it lists depends on the host.
    this.#known = undefined
    if (!this.#link) return
    const link = this.#link.then(async link => {
      await this.#tellHost(link, bind)
      return link
    })
    this.#hold(link)
    await link.catch(() => undefined)
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#forget()
    if (this.#link) this.#drop(this.#link)
  }

  async #listNow(): Promise<readonly Identity[]> {
    const agent = this.#agent
    if (this.#closed || agent.rests) return []
    try {
      const keys = await agent.inTurn(this, () => this.#fetch())
      this.#known = { until: agent.now() + FRESH, keys }
      return keys
    } catch (error) {
      if (!this.#closed) agent.tellError(error)
      return []
    }
  }

  async #fetch(): Promise<readonly Identity[]> {
    const agent = this.#agent
    const asked: Promise<readonly Identity[]> =
      this.#asked ??
      this.#ask().finally(() => {
        if (this.#asked === asked) this.#asked = undefined
      })
    this.#asked = asked
    const slow = agent.failure('unreachable', `gives no list in ${agent.timeout} ms`)
    try {
      return choose(await within(asked, agent.timeout, slow), agent)
    } catch (error) {
      // Whoever waits for a touch there goes on waiting.
      if (this.#link && this.#signing === 0) this.#drop(this.#link)
      if (error === slow) agent.tellError(error, true)
      throw error
    }
  }

  /** A connection that died since it was last used says nothing of the agent: another one has taken its place, perhaps. */
  async #ask(): Promise<readonly Identity[]> {
    const old = this.#link
    try {
      return await this.#askOver(this.#connect())
    } catch (error) {
      const isStale = old !== undefined && this.#link === old && isUnreachable(error)
      if (!isStale || this.#closed) throw error
      this.#drop(old)
      return this.#askOver(this.#connect())
    }
  }

  async #askOver(link: Promise<Link>): Promise<readonly Identity[]> {
    const { connection } = await link
    return connection.list()
  }

  #connect(): Promise<Link> {
    if (this.#closed) return Promise.reject(goneError())
    return this.#link ?? this.#hold(this.#dial())
  }

  async #dial(): Promise<Link> {
    // Those that come from now on follow by themselves.
    const binds = [...this.#binds]
    const link: Link = { connection: await this.#agent.dial(), told: 0, deaf: false }
    for (const bind of binds) await this.#tellHost(link, bind)
    return link
  }

  #hold(link: Promise<Link>): Promise<Link> {
    this.#link = link
    link.catch(() => {
      if (this.#link === link) this.#link = undefined
    })
    return link
  }

  #drop(link: Promise<Link>): void {
    if (this.#link === link) this.#link = undefined
    this.#known = undefined
    this.#asked = undefined
    link.then(
      ({ connection }) => connection.close(),
      () => undefined,
    )
  }

  async #tellHost(link: Link, bind: Buffer): Promise<void> {
    const { connection } = link
    if (link.deaf) return
    if (!connection.extension) {
      link.deaf = true
      return
    }
    const slow = this.#agent.failure('unreachable', `does not answer in ${this.#agent.timeout} ms`)
    try {
      await within(connection.extension(SESSION_BIND, bind), this.#agent.timeout, slow)
      link.told++
    } catch (error) {
      if (isRefusal(error) && link.told === 0) {
        link.deaf = true
        return
      }
      connection.close()
      // It knows of the nearer hosts only, and might take this one for one of them.
      throw isRefusal(error) ? this.#agent.failure('refused', 'refused a host behind others') : error
    }
  }

  async #lists(blob: Buffer): Promise<boolean> {
    const agent = this.#agent
    if (agent.holds(blob)) return false
    const holds = (keys: readonly Identity[]) => keys.some(each => each.blob.equals(blob))
    const known = this.#known
    if (known && agent.now() < known.until && holds(known.keys)) return true
    return holds(await this.list())
  }

  async #check(blob: Buffer, data: Buffer, signature: Signature): Promise<void> {
    const key = publicKeyOf({ blob, comment: '' })
    if (!key || (await key.verify(data, signature))) return
    throw this.#agent.failure('damaged', 'made a signature that does not verify', 'it was not passed on')
  }
}

function within<T>(work: Promise<T>, milliseconds: number, late: KeytoolError): Promise<T> {
  return new Promise((done, fail) => {
    const timer = setTimeout(fail, milliseconds, late)
    work.then(done, fail).finally(() => clearTimeout(timer))
  })
}

function isUnreachable(error: unknown): boolean {
  return isKeytoolError(error) && error.code === 'unreachable'
}

function isRefusal(error: unknown): boolean {
  return isKeytoolError(error) && error.code === 'refused'
}
