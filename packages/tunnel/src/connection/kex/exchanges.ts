/**
 * Key exchange as the engine lacks it: mlkem768x25519-sha256, and hosts that show a certificate. Everything happens on the
 * one connection: the engine itself is left as it is. It has no place for either, so
 * it is shown the server's KEXINIT with a name that it knows in place of the one agreed on, and its exchange
 * is then given other keys to work with. What it hashes, and what the host has signed, is always what really went over the
 * wire: a slip here makes the host's signature wrong, and ends the connection.
 */
import { KeytoolError, PublicKey, Reader, Writer } from '@keytool/keygen'
import type { Protocol, RawExchange } from '../insides.js'
import { type Hybrid, makeHybrid } from './hybrid.js'
import { agree, KEXINIT, type Lists, MARKERS, readKexInit, replaceLists } from './kexinit.js'
import { loadMlKem, type MakeMlKemPair, mlKemIfLoaded } from './mlkem.js'

/** SSH_MSG_KEX_ECDH_REPLY and its like (RFC 5656 section 4). */
const REPLY = 31

/** Exchanges that only we have, and the engine's whose hash and messages are the same. */
const exchanges: ReadonlyMap<string, string> = new Map([['mlkem768x25519-sha256', 'curve25519-sha256']])

/** What the engine does not know, and its place among what it knows. */
export interface MoreOffers {
  readonly kex: readonly string[]
  readonly hostKey: readonly HostCertificateAlgorithm[]
  /** All that is offered, with what the engine knows, best first. */
  readonly order: { readonly kex: readonly string[]; readonly hostKey: readonly string[] }
}

/** A way in which a host proves itself with a certificate, and the one in which its key does alone. */
export interface HostCertificateAlgorithm {
  readonly name: string
  readonly plain: string
  readonly certificateType: string
}

/** What the host said when it proved its key in the first key exchange, as `session-bind@openssh.com` wants it. */
export interface HostProof {
  readonly hostKey: Buffer
  readonly sessionId: Buffer
  readonly signature: Buffer
}

/** What both sides have agreed on, in the exchange that is going on. */
interface Agreed {
  readonly kexInit: Buffer
  readonly kex: string
  readonly certificate: HostCertificateAlgorithm | undefined
}

/** All key exchanges of one connection. */
export class Exchanges {
  readonly #protocol: Protocol
  readonly #more: MoreOffers
  /** What is sent. */
  readonly #ours: { readonly kex: readonly string[]; readonly hostKey: readonly string[] }
  readonly #fail: (error: unknown) => void
  #exchange: RawExchange | undefined
  #agreed: Agreed | undefined
  #offered: Lists | undefined
  #certificate: PublicKey | undefined
  #shown: Omit<HostProof, 'sessionId'> | undefined

  /**
   * Takes over before anything was said.
   * @param fail ends the connection
   */
  constructor(protocol: Protocol, more: MoreOffers, fail: (error: unknown) => void) {
    this.#protocol = protocol
    this.#more = more
    this.#fail = fail
    const { _offer: offer } = protocol
    protocol._offer = new offer.constructor(inOrder(offer.lists, more))
    const { kex, serverHostKey } = protocol._offer.lists
    this.#ours = { kex: kex.array, hostKey: serverHostKey.array }
    // What stands for ours is to be found there, and is not sent: that is made of other bytes.
    const stand = (names: readonly string[], others: Iterable<string>) => [...new Set([...names, ...others])]
    Object.assign(kex, { array: stand(kex.array, exchanges.values()) })
    Object.assign(serverHostKey, {
      array: stand(
        serverHostKey.array,
        more.hostKey.map(({ plain }) => plain),
      ),
    })
    Object.defineProperty(protocol, '_kex', {
      get: () => this.#exchange,
      set: (exchange: RawExchange) => {
        this.#exchange = exchange
        if (this.#agreed) this.#adapt(exchange, this.#agreed)
      },
    })
  }

  /** What the server offered last; absent before it said. */
  get serverOffer(): Lists | undefined {
    return this.#offered
  }

  /**
   * Notes what the host shows, while it shows it.
   * @param key the engine's view of it
   * @returns a copy of the key's blob, or of the certificate's
   */
  noteHostKey(key: Buffer): Buffer {
    const hostKey = Buffer.from(this.#certificate?.blob ?? key)
    // What was shown first is what the session's identifier was signed with.
    this.#shown ??= { hostKey, signature: Buffer.from(this.#exchange?._sig ?? []) }
    return hostKey
  }

  /** Once the first exchange is done. */
  get hostProof(): HostProof | undefined {
    const sessionId = this.#exchange?.sessionID
    return this.#shown && sessionId && { ...this.#shown, sessionId: Buffer.from(sessionId) }
  }

  /** What the engine is to see in place of what arrived. Throws `damaged`, `unsupported`. */
  onPayload(payload: Buffer): Buffer {
    if (payload[0] === KEXINIT) return this.#onKexInit(payload)
    if (payload[0] === REPLY && this.#agreed?.certificate) return this.#onReply(payload, this.#agreed.certificate)
    return payload
  }

  #onKexInit(payload: Buffer): Buffer {
    const theirs = readKexInit(payload)
    this.#offered = theirs
    this.#certificate = undefined
    const { kex, serverHostKey } = this.#protocol._offer.lists
    const agreedKex = agree(this.#ours.kex, theirs.kex)
    const hostKey = agree(this.#ours.hostKey, theirs.hostKey)
    const certificate = this.#more.hostKey.find(({ name }) => name === hostKey)
    this.#agreed = agreedKex === undefined ? undefined : { kexInit: payload, kex: agreedKex, certificate }
    const known = agreedKex === undefined ? undefined : (exchanges.get(agreedKex) ?? agreedKex)
    return replaceLists(payload, {
      kex: showOnly(agreedKex, known, theirs.kex, kex.array),
      hostKey: showOnly(hostKey, certificate?.plain ?? hostKey, theirs.hostKey, serverHostKey.array),
    })
  }

  /** Shows the engine the key inside the certificate. */
  #onReply(payload: Buffer, { certificateType }: HostCertificateAlgorithm): Buffer {
    const reader = new Reader(payload)
    reader.byte()
    const certificate = PublicKey.fromBlob(reader.string())
    if (certificate.algorithm.name !== certificateType) {
      throw new KeytoolError('damaged', 'the host shows another kind of key than was agreed on')
    }
    this.#certificate = certificate
    return new Writer().byte(REPLY).string(certificate.plain.blob).bytes(reader.bytes(reader.left)).done()
  }

  #adapt(exchange: RawExchange, agreed: Agreed): void {
    exchange._remoteKexinit = agreed.kexInit
    exchange.negotiated.kex = agreed.kex
    if (exchanges.has(agreed.kex)) this.#useHybrid(exchange)
    if (agreed.certificate) this.#useCertificate(exchange)
  }

  #useHybrid(exchange: RawExchange): void {
    const { start, parse } = exchange
    let hybrid: Hybrid | undefined
    const begin = (makePair: MakeMlKemPair) => {
      hybrid = makeHybrid(makePair)
      start.call(exchange)
    }
    const made = () => {
      if (hybrid) return hybrid
      throw new KeytoolError('damaged', 'the server answers a key exchange that has not begun')
    }
    exchange.start = () => {
      const loaded = mlKemIfLoaded()
      if (loaded) begin(loaded)
      else loadMlKem().then(begin).catch(this.#fail)
    }
    exchange.parse = payload => {
      made()
      return parse.call(exchange, payload)
    }
    exchange.generateKeys = () => {}
    exchange.getPublicKey = () => made().publicKey
    exchange.convertPublicKey = key => key
    exchange.computeSecret = reply => {
      const { publicKey, computeSecret } = made()
      // What is secret of it is used once, and then let go: the exchange itself stays until the next one.
      hybrid = { publicKey, computeSecret: usedUp }
      return computeSecret(reply)
    }
  }

  /**
   * The host's signature is over the certificate, and made by the key inside. The engine looks for both in one place, one
   * after the other: it hashes the secret's parts in the order of RFC 5656 section 4, the host's key before the client's.
   */
  #useCertificate(exchange: RawExchange): void {
    const { computeSecret, getPublicKey } = exchange
    exchange.computeSecret = reply => {
      const secret = computeSecret.call(exchange, reply)
      exchange._hostKey = this.#certificate?.blob
      return secret
    }
    exchange.getPublicKey = () => {
      const certificate = this.#certificate
      if (certificate && exchange._hostKey === certificate.blob) exchange._hostKey = certificate.plain.blob
      return getPublicKey.call(exchange)
    }
  }
}

function usedUp(): never {
  throw new KeytoolError('damaged', 'the server answers a key exchange that is done')
}

/** What the engine must not agree on by itself. No algorithm has such a name. */
const HIDDEN = '-'

/**
 * The server's list with nothing in it that the engine could agree on but what was agreed on, under the name that it is known
 * by there. Each in its place: what stands first is a server's guess.
 */
function showOnly(
  agreed: string | undefined,
  known: string | undefined,
  theirs: readonly string[],
  engine: readonly string[],
): string[] {
  return theirs.map(name => {
    if (name === agreed && known !== undefined) return known
    return engine.includes(name) ? HIDDEN : name
  })
}

/** Besides algorithms, the list of key exchanges has what a side understands of the protocol: that stays, at its end. */
function inOrder(lists: Protocol['_offer']['lists'], { order }: MoreOffers): object {
  const direction = ({ cipher, mac, compress, lang }: Protocol['_offer']['lists']['cs']) => ({
    cipher: cipher.array,
    mac: mac.array,
    compress: compress.array,
    lang: lang.array,
  })
  return {
    kex: [...order.kex, ...lists.kex.array.filter(name => MARKERS.test(name))],
    serverHostKey: [...order.hostKey],
    cs: direction(lists.cs),
    sc: direction(lists.sc),
  }
}
