import { KeytoolError } from '@keytool/keygen'

/** What is used of ssh2's protocol beyond its documentation. {@link checkInsides} holds it against what is there. */
export interface Protocol {
  /** What our next KEXINIT says, and what is compared with the server's. */
  _offer: Offer
  /** The exchange that is going on, or was last. */
  _kex: RawExchange | undefined
  /** `read` unpacks what arrived, before anybody has looked at it. The engine replaces both with each exchange. */
  readonly _packetRW: {
    read: PacketReader
    write: { readonly allocStart: number; alloc(length: number): Buffer; finalize(packet: Buffer): Buffer }
  }
  readonly _cipher: { encrypt(packet: Uint8Array): void }
  /** Our KEXINIT while an exchange goes on; what is sent meanwhile waits in the queue. */
  readonly _kexinit: Buffer | undefined
  _queue: Buffer[] | undefined
  /** Which answers to logins are awaited. */
  readonly _authsQueue: string[]
  /** Asks whether a key is taken, or signs with it. */
  authPK: (
    user: string,
    key: unknown,
    algorithm: unknown,
    sign?: (data: Buffer, done: (signature: Buffer) => void) => void,
  ) => void
  windowChange(channel: number, rows: number, columns: number, height: number, width: number): void
  signal(channel: number, name: string): void
}

export interface PacketReader {
  read(payload: Buffer): Buffer
  cleanup(): void
}

interface NameList {
  readonly array: readonly string[]
}

interface Direction {
  readonly cipher: NameList
  readonly mac: NameList
  readonly compress: NameList
  readonly lang: NameList
}

interface Offer {
  readonly constructor: new (lists: object) => Offer
  readonly lists: {
    readonly kex: NameList
    readonly serverHostKey: NameList
    readonly cs: Direction
    readonly sc: Direction
  }
}

/** One key exchange of the engine's. The order in which it calls these is the order of the hash. */
export interface RawExchange {
  readonly sessionID: Buffer | undefined
  readonly negotiated: { kex: string }
  /** The server's KEXINIT, as it is hashed. */
  _remoteKexinit: Buffer
  /** The host's key as it is hashed, and then as it verifies the signature. */
  _hostKey: Buffer | undefined
  readonly _sig: Buffer | undefined
  start(): void
  parse(payload: Buffer): unknown
  generateKeys(): void
  getPublicKey(): Buffer
  convertPublicKey(key: Buffer): Buffer
  computeSecret(reply: Buffer): Buffer | Error
}

/**
 * Whether the library has what is used of it beyond its documentation, before it is used: with another version nothing
 * is sent at all.
 * @throws KeytoolError `failed`
 */
export function checkInsides(protocol: Protocol | undefined): Protocol {
  const offer = protocol?._offer
  const lists = [offer?.lists?.kex, offer?.lists?.serverHostKey, offer?.lists?.cs?.cipher, offer?.lists?.sc?.mac]
  const packets = protocol?._packetRW
  const fits =
    lists.every(list => Array.isArray(list?.array)) &&
    typeof offer?.constructor === 'function' &&
    typeof packets?.read?.read === 'function' &&
    typeof packets.write?.alloc === 'function' &&
    typeof protocol?._cipher?.encrypt === 'function' &&
    typeof protocol.authPK === 'function' &&
    typeof protocol.windowChange === 'function' &&
    typeof protocol.signal === 'function' &&
    Array.isArray(protocol._authsQueue) &&
    protocol._kex === undefined
  if (protocol && fits) return protocol
  throw new KeytoolError('failed', 'the SSH library is another than this program was made for', {
    hint: 'install it anew, with ssh2 1.17.0',
  })
}

/** Has every payload pass by before the engine looks at it, whichever reader it uses now. */
export function watchPayloads(protocol: Protocol, see: (payload: Buffer) => Buffer): void {
  const packets = protocol._packetRW
  let reader = packets.read
  const watched: PacketReader = {
    read: payload => see(reader.read(payload)),
    cleanup: () => reader.cleanup(),
  }
  Object.defineProperty(packets, 'read', {
    get: () => watched,
    set: (next: PacketReader) => {
      reader = next
    },
  })
}

/** Sends one message, or keeps it until the key exchange that goes on is done. */
export function sendPayload(protocol: Protocol, payload: Uint8Array): void {
  const { write } = protocol._packetRW
  const packet = write.alloc(payload.length)
  packet.set(payload, write.allocStart)
  const finished = write.finalize(packet)
  if (protocol._kexinit === undefined) {
    protocol._cipher.encrypt(finished)
  } else {
    protocol._queue ??= []
    protocol._queue.push(finished)
  }
}
