import { decodeSignature, KeytoolError, PublicKey, Reader, Writer } from '@keytool/keygen'
import { type Protocol, sendPayload } from './insides.js'

/** SSH_MSG_GLOBAL_REQUEST */
const REQUEST = 80
const NEWS = 'hostkeys-00@openssh.com'
const PROVE = 'hostkeys-prove-00@openssh.com'
/** What the engine is shown in its place: it would take every key for a file and try all formats on it. */
const SHOWN = 'hostkeys'
/** In one message. Hosts have three or four. */
const MAX_KEYS = 64
/** A key in bytes: RSA of 16384 bits has 2 KiB. */
const MAX_KEY = 8 * 1024
/** Messages of that kind in one connection. OpenSSH's server sends one. */
const MAX_NEWS = 4

/** The proof of these keys, which came with the news. Throws KeytoolError `damaged`, `refused`, `unreachable`. */
export type Prove = (keys: readonly Buffer[]) => Promise<void>
/** Told which keys the host says it has, all of types that are known here; nothing of it is proved. */
export type OnHostKeys = (keys: readonly Buffer[], prove: Prove) => Promise<void>

/** What of the engine asks the server, and hears its answer. */
export interface AskingEngine {
  readonly _callbacks: ((failed: unknown, data?: Buffer | null) => void)[]
  readonly _protocol: Protocol
}

/** The same payload, with another name where it is news of host keys. */
export function disguiseNews(payload: Buffer): Buffer {
  if (payload[0] !== REQUEST) return payload
  const reader = new Reader(payload)
  reader.byte()
  if (!reader.string().equals(Buffer.from(NEWS))) return payload
  return new Writer().byte(REQUEST).text(SHOWN).bytes(reader.bytes(reader.left)).done()
}

/** What a host says of its keys while it is connected: OpenSSH's PROTOCOL section 2.5. */
export class HostKeyNews {
  readonly #engine: AskingEngine
  readonly #tell: OnHostKeys
  readonly #failure: () => KeytoolError | undefined
  #news = 0
  /** One after the other. */
  #last: Promise<void> = Promise.resolve()

  /** @param failure why the connection broke, once it has */
  constructor(engine: AskingEngine, tell: OnHostKeys, failure: () => KeytoolError | undefined) {
    this.#engine = engine
    this.#tell = tell
    this.#failure = failure
  }

  /** Settles once all that was said so far is done with. */
  get settled(): Promise<void> {
    return this.#last
  }

  /** Whatever comes of it is no reason to end the connection. */
  onRequest(name: string, data: unknown): void {
    if (name !== SHOWN || !Buffer.isBuffer(data) || ++this.#news > MAX_NEWS) return
    const keys = readNews(Buffer.from(data))
    if (keys.length === 0) return
    // In a turn of its own: the engine is in the middle of what arrived.
    this.#last = this.#last
      .then(() => new Promise(setImmediate))
      .then(() => this.#tell(keys, chosen => this.#prove(keys, chosen)))
      .catch(() => {})
  }

  async #prove(known: readonly Buffer[], keys: readonly Buffer[]): Promise<void> {
    if (keys.length === 0) return
    if (!keys.every(key => known.some(one => one.equals(key)))) {
      throw new KeytoolError('usage', 'only keys that the host has shown can be proved')
    }
    const sessionId = this.#engine._protocol._kex?.sessionID
    if (!sessionId) throw new KeytoolError('unreachable', 'the connection is closed')
    const answer = new Reader(await this.#ask(keys))
    for (const blob of keys) {
      if (await isProof(blob, sessionId, answer)) continue
      throw new KeytoolError('damaged', 'the host does not have a key that it says is its own')
    }
    answer.end()
  }

  #ask(keys: readonly Buffer[]): Promise<Buffer> {
    const writer = new Writer().byte(REQUEST).text(PROVE).boolean(true)
    for (const key of keys) writer.string(key)
    return new Promise((resolve, reject) => {
      const lost = () => reject(this.#failure() ?? new KeytoolError('unreachable', 'the connection is closed'))
      if (this.#failure()) return lost()
      this.#engine._callbacks.push((failed, data) => {
        if (!failed) resolve(Buffer.from(data ?? []))
        else if (failed === true) reject(new KeytoolError('refused', 'the host does not prove its other keys'))
        else lost()
      })
      try {
        sendPayload(this.#engine._protocol, writer.done())
      } catch {
        lost()
      }
    })
  }
}

/** Blobs of the keys that are known here, each once. Too many, or what can't be read, is no news. */
function readNews(data: Buffer): Buffer[] {
  const blobs = new Map<string, Buffer>()
  try {
    const reader = new Reader(data)
    for (let count = 0; reader.left > 0; count++) {
      if (count === MAX_KEYS) return []
      const blob = reader.string(MAX_KEY)
      if (isUsable(blob)) blobs.set(blob.toString('base64'), blob)
    }
  } catch {
    return []
  }
  return [...blobs.values()]
}

function isUsable(blob: Buffer): boolean {
  try {
    return PublicKey.fromBlob(blob).algorithm.certifies === undefined
  } catch {
    return false
  }
}

/** Whether the next signature is this key's, for this session. SHA-1 proves nothing. Throws `damaged` where there is none. */
async function isProof(blob: Buffer, sessionId: Buffer, answer: Reader): Promise<boolean> {
  const key = PublicKey.fromBlob(blob)
  const signature = decodeSignature(answer.string())
  const { hash } = key.algorithm.schemes.find(({ name }) => name === signature.scheme) ?? { hash: 'sha1' }
  if (hash === 'sha1') return false
  return await key.verify(new Writer().text(PROVE).string(sessionId).string(blob).done(), signature)
}
