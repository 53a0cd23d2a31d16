import { createHash } from 'node:crypto'
import type { Bound, Caller, Program } from '../who.js'
import { type Learnt, MAX_HOSTS, MAX_KEYS } from './order-file.js'

/** Hosts of whom it is known which keys did not get in. They are not kept in the file. */
const MAX_TRIED = 256

/** The keys that a connection was offered first: the id of each, and when it had been so before. */
interface Round {
  readonly turn: number
  readonly before: ReadonlyMap<string, number>
}

/** Who logs in, or where: whose order it is. */
export interface Place {
  readonly id: string
  /** The session that logs in to a host; absent where only the program is known. */
  readonly bound?: Bound
}

/** What is known of places and keys while the agent runs. All are told apart by salted hashes. */
export class OrderMemory implements Learnt {
  readonly salt: Buffer
  readonly hosts: Map<string, readonly string[]>
  /** When a key was last among those that a host was offered first, and did not get in. */
  readonly #tried = new Map<string, Map<string, number>>()
  readonly #rounds = new WeakMap<Bound, Round>()
  /** The key as it last came, by place: most often it comes again. */
  readonly #latest = new Map<string, Buffer>()
  readonly #ids = new WeakMap<Bound | Program | Buffer, string>()
  #turn = 0

  constructor({ salt, hosts }: Learnt) {
    this.salt = salt
    this.hosts = new Map(hosts)
  }

  /** A host that the agent is only forwarded to is nobody's login, so it has no place. */
  placeOf({ binding: { hops, failed }, peer }: Caller): Place | undefined {
    const last = hops.at(-1)
    if (failed || last?.forwarding) return undefined
    if (last) return { id: this.#idOf(last, 'host', last.hostKey.blob), bound: last }
    const program = peer?.programs[0]
    if (program?.path === undefined) return undefined
    return { id: this.#idOf(program, 'program', Buffer.from(program.path)) }
  }

  /** The place of a host that nobody is connected to. */
  idOfHost(hostKey: Buffer): string {
    return this.#hash('host', hostKey)
  }

  idOfKey(blob: Buffer): string {
    return this.#idOf(blob, 'key', blob)
  }

  /** When each key was last offered in vain; the larger the number, the later. */
  triedAt(id: string): ReadonlyMap<string, number> | undefined {
    return this.#tried.get(id)
  }

  /** These are offered first now. Once a session: a second list of it is no further try. */
  noteOffer({ id, bound }: Place, blobs: readonly Buffer[]): void {
    if (!bound || this.#rounds.has(bound)) return
    const tried = this.#tried.get(id) ?? new Map<string, number>()
    const turn = ++this.#turn
    const keys = blobs.map(blob => this.idOfKey(blob))
    this.#rounds.set(bound, { turn, before: new Map(keys.map(key => [key, tried.get(key) ?? 0])) })
    for (const key of keys) tried.set(key, turn)
    putLast(this.#tried, id, tried, MAX_TRIED)
  }

  /** This key got in. Returns whether that is news for the file. */
  noteLogin({ id, bound }: Place, blob: Buffer): boolean {
    const round = bound && this.#rounds.get(bound)
    if (bound && round?.before.size) {
      this.#settle(id, round, this.idOfKey(blob))
      // Settled; a list that comes after it is still no further try.
      this.#rounds.set(bound, { turn: round.turn, before: new Map() })
    }
    if (this.#latest.get(id)?.equals(blob)) return false
    putLast(this.#latest, id, Buffer.from(blob), MAX_HOSTS)
    const key = this.idOfKey(blob)
    const old = this.hosts.get(id) ?? []
    putLast(this.hosts, id, [key, ...old.filter(each => each !== key)].slice(0, MAX_KEYS), MAX_HOSTS)
    return old[0] !== key
  }

  /** What stood behind the key that got in was not offered after all. */
  #settle(id: string, { turn, before }: Round, key: string): void {
    const tried = this.#tried.get(id)
    if (!tried) return
    tried.delete(key)
    const keys = [...before.keys()]
    const at = keys.indexOf(key)
    for (const behind of at < 0 ? [] : keys.slice(at + 1)) {
      // Another connection may have offered it since.
      if (tried.get(behind) !== turn) continue
      const earlier = before.get(behind) ?? 0
      if (earlier === 0) tried.delete(behind)
      else tried.set(behind, earlier)
    }
  }

  #idOf(owner: Bound | Program | Buffer, kind: string, bytes: Buffer): string {
    const known = this.#ids.get(owner)
    if (known !== undefined) return known
    const id = this.#hash(kind, bytes)
    this.#ids.set(owner, id)
    return id
  }

  /** A kind in front, so that no host is taken for a program. 12 bytes are enough to tell thousands apart. */
  #hash(kind: string, bytes: Buffer): string {
    const hash = createHash('sha256').update(this.salt).update(`${kind}\0`).update(bytes)
    return hash.digest().subarray(0, 12).toString('base64url')
  }
}

/** At the end, and what has not been put for longest goes. */
function putLast<T>(map: Map<string, T>, name: string, value: T, most: number): void {
  map.delete(name)
  map.set(name, value)
  for (const oldest of map.keys()) {
    if (map.size <= most) return
    map.delete(oldest)
  }
}
