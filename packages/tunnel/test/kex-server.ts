import { createHash, createPublicKey, diffieHellman, generateKeyPairSync, randomBytes } from 'node:crypto'
import type { Socket } from 'node:net'
import { encodeSignature, type PrivateKey, Writer } from '@keytool/keygen'
import { ml_kem768 } from '@noble/post-quantum/ml-kem.js'

// A server that speaks SSH up to its new keys, and says in that time whatever a test wants.

export const HYBRID = 'mlkem768x25519-sha256'
const IDENT = 'SSH-2.0-test'
const [KEXINIT, NEWKEYS, INIT, REPLY] = [20, 21, 30, 31]
const SPKI_HEAD = Buffer.from('302a300506032b656e032100', 'hex')

/** What an honest server would say to the client's half of the exchange. */
export interface Honest {
  /** What it shows as its key: K_S. */
  readonly hostKey: Buffer
  /** ML-KEM's ciphertext, then its X25519 key. */
  readonly reply: Buffer
  /** The exchange hash over these, with the secret as a string. */
  hash(hostKey?: Buffer, reply?: Buffer): Buffer
}

export interface Script {
  /** Default: the hybrid alone. */
  readonly kex?: readonly string[]
  readonly hostKeyAlgorithm?: string
  /** K_S. Default: the key itself. */
  readonly hostKey?: Buffer
  /** Default: what {@link Script.hostKey} says. */
  readonly replyWith?: (honest: Honest) => { hostKey?: Buffer; reply?: Buffer; signed?: Buffer }
  /** Sent behind the KEXINIT at once. */
  readonly early?: readonly Buffer[]
  /** In place of the KEXINIT. */
  readonly kexInit?: Buffer
}

/** Serves one connection by the script, with this key of the host's. */
export function serveExchange(socket: Socket, key: PrivateKey, script: Script = {}): void {
  const { hostKeyAlgorithm = 'ssh-ed25519', kex = [HYBRID], early = [] } = script
  const ours = script.kexInit ?? kexInit(kex, hostKeyAlgorithm)
  let received = Buffer.alloc(0)
  let ident: Buffer | undefined
  let theirs = Buffer.alloc(0)
  const say = (payload: Buffer) => socket.write(packet(payload))
  socket.write(`${IDENT}\r\n`)
  say(ours)
  for (const payload of early) say(payload)
  socket.on('data', chunk => {
    received = Buffer.concat([received, chunk])
    if (!ident) {
      const end = received.indexOf('\r\n')
      if (end === -1) return
      ident = received.subarray(0, end)
      received = received.subarray(end + 2)
    }
    while (received.length >= 5 && received.length >= 4 + received.readUInt32BE()) {
      const length = received.readUInt32BE()
      const payload = received.subarray(5, 4 + length - (received[4] ?? 0))
      received = received.subarray(4 + length)
      if (payload[0] === KEXINIT) theirs = payload
      if (payload[0] === INIT) answer(payload.subarray(5), ident, theirs).catch(() => socket.destroy())
    }
  })

  async function answer(init: Buffer, clientIdent: Buffer, clientKexInit: Buffer): Promise<void> {
    const shared = ml_kem768.encapsulate(init.subarray(0, 1184))
    const pair = generateKeyPairSync('x25519')
    const point = pair.publicKey.export({ type: 'spki', format: 'der' }).subarray(SPKI_HEAD.length)
    const theirPoint = createPublicKey({
      key: Buffer.concat([SPKI_HEAD, init.subarray(1184)]),
      type: 'spki',
      format: 'der',
    })
    const secret = createHash('sha256')
      .update(shared.sharedSecret)
      .update(diffieHellman({ privateKey: pair.privateKey, publicKey: theirPoint }))
      .digest()
    const honest: Honest = {
      hostKey: script.hostKey ?? key.publicKey.blob,
      reply: Buffer.concat([shared.cipherText, point]),
      hash: (hostKey = honest.hostKey, reply = honest.reply) => {
        const fields = [clientIdent, Buffer.from(IDENT), clientKexInit, ours, hostKey, init, reply, secret]
        const writer = new Writer()
        for (const field of fields) writer.string(field)
        return createHash('sha256').update(writer.done()).digest()
      },
    }
    const said = script.replyWith?.(honest) ?? {}
    const signature = encodeSignature(await key.sign(said.signed ?? honest.hash()))
    const message = new Writer()
      .byte(REPLY)
      .string(said.hostKey ?? honest.hostKey)
      .string(said.reply ?? honest.reply)
      .string(signature)
    say(message.done())
    say(Buffer.of(NEWKEYS))
  }
}

export function kexInit(kex: readonly string[], hostKeyAlgorithm: string): Buffer {
  const both = (list: string) => [list, list]
  const lists = [kex.join(','), hostKeyAlgorithm, ...both('aes128-ctr'), ...both('hmac-sha2-256'), ...both('none')]
  const writer = new Writer().byte(KEXINIT).bytes(randomBytes(16))
  for (const list of [...lists, '', '']) writer.text(list)
  return writer.boolean(false).uint32(0).done()
}

function packet(payload: Buffer): Buffer {
  const padding = 8 - ((payload.length + 5) % 8) + 4
  const aligned =
    (5 + payload.length + padding) % 8 === 0 ? padding : padding + 8 - ((5 + payload.length + padding) % 8)
  return Buffer.concat([
    new Writer()
      .uint32(1 + payload.length + aligned)
      .byte(aligned)
      .done(),
    payload,
    Buffer.alloc(aligned),
  ])
}
