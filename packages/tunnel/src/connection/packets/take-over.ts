/**
 * ssh2's ciphers take fresh memory several times for each packet, and write it in three pieces. Where it makes a cipher that
 * authenticates, ours takes its place, with the same keys and numbers; the other ciphers stay.
 */
import type { Duplex } from 'node:stream'
import { ChaCha } from './chacha.js'
import { Gcm } from './gcm.js'
import { type OnPayload, Opener } from './opener.js'
import { type Openssl, opensslIfLoaded } from './openssl.js'
import { Outlet } from './outlet.js'
import { Sealer } from './sealer.js'

/** What packets go through in ssh2 1.17. It sets the ciphers anew with each key exchange. */
export interface PacketProtocol {
  _cipher: unknown
  _decipher: unknown
  /** What its own ciphers write with. */
  _onWrite: (data: Uint8Array) => void
}

type GcmName = 'aes-128-gcm' | 'aes-256-gcm'

/** What ssh2's ciphers are made of, if they are of those that ours know. */
interface Outgoing {
  readonly outSeqno: number
  readonly _encSSLName?: GcmName
  readonly _encKey?: Buffer
  readonly _encIV?: Buffer
  readonly _encKeyMain?: Buffer
  readonly _encKeyPktLen?: Buffer
}

interface Incoming {
  readonly inSeqno: number
  readonly _onPayload: OnPayload
  readonly _decipherSSLName?: GcmName
  readonly _decipherKey?: Buffer
  readonly _decipherIV?: Buffer
  readonly _decKeyMain?: Buffer
  readonly _decKeyPktLen?: Buffer
}

/** Before anything was said. What is sent through `socket` from now on is written once a turn of the loop. */
export function takePackets(protocol: PacketProtocol, socket: Duplex): void {
  const outlet = new Outlet(socket)
  const { _onWrite: write } = protocol
  protocol._onWrite = data => {
    outlet.hold()
    write(data)
  }
  replace(protocol, '_cipher', (theirs: Outgoing, openssl) => replaceCipher(theirs, openssl, outlet))
  replace(protocol, '_decipher', replaceDecipher)
}

/** Has `make` look at whatever the engine puts there. */
function replace<Theirs>(
  protocol: PacketProtocol,
  name: '_cipher' | '_decipher',
  make: (theirs: Theirs, openssl: Openssl) => unknown,
): void {
  let current = protocol[name]
  Object.defineProperty(protocol, name, {
    get: () => current,
    set: (theirs: Theirs) => {
      const openssl = opensslIfLoaded()
      current = (openssl && make(theirs, openssl)) ?? theirs
    },
  })
}

function replaceCipher(theirs: Outgoing, openssl: Openssl, outlet: Outlet): Sealer | undefined {
  const { _encSSLName: name, _encKey: key, _encIV: nonce, _encKeyMain: bodies, _encKeyPktLen: lengths } = theirs
  if (name && key && nonce) return new Sealer(new Gcm(openssl, name, key, nonce, true), outlet, theirs.outSeqno)
  if (bodies && lengths) return new Sealer(new ChaCha(openssl, bodies, lengths), outlet, theirs.outSeqno)
  return undefined
}

function replaceDecipher(theirs: Incoming, openssl: Openssl): Opener | undefined {
  const { _decipherSSLName: name, _decipherKey: key, _decipherIV: nonce, inSeqno, _onPayload } = theirs
  const { _decKeyMain: bodies, _decKeyPktLen: lengths } = theirs
  if (name && key && nonce) return new Opener(new Gcm(openssl, name, key, nonce, false), inSeqno, _onPayload)
  if (bodies && lengths) return new Opener(new ChaCha(openssl, bodies, lengths), inSeqno, _onPayload)
  return undefined
}
