import { generate, keyFormats, type PrivateKey, type Signature } from '@keytool/keygen'
import { encodeMessage, type ReplyName, type Requests, replies, requests } from '../src/index.js'
import { type ExtensionName, type Extensions, extensions } from '../src/protocol/extensions.js'
import { MAX_MESSAGE } from '../src/protocol/frame.js'
import { u32 } from './support.js'

// What tests/fuzz-*.test.ts share: one good message of every row, and ways to spoil it.

/** A message, without its length. */
export interface Sample {
  readonly name: string
  readonly body: Buffer
}

const HEADER = 4

/** Uniform numbers of 32 bits that the seed decides (mulberry32). */
export function makeRandom(seed: number): (below: number) => number {
  let state = seed >>> 0
  return below => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below
  }
}

export function withLength(body: Uint8Array): Buffer {
  return Buffer.concat([u32(body.length), body])
}

/** Cut off at every byte, from nothing but its number on. */
export function cutShort({ body }: Sample): Buffer[] {
  return Array.from({ length: body.length - 1 }, (_, i) => body.subarray(0, i + 1))
}

/** With every four bytes, and so every length, one less, one more, nothing at all, and as much as there is. */
export function spoilLengths({ body }: Sample): Buffer[] {
  const found: Buffer[] = []
  for (let at = 1; at + HEADER <= body.length; at++) {
    const value = body.readUInt32BE(at)
    for (const wrong of [value - 1, value + 1, 0, 0xffffffff]) {
      const spoilt = Buffer.from(body)
      spoilt.writeUInt32BE(wrong >>> 0, at)
      found.push(spoilt)
    }
  }
  return found
}

/** Frames whose own length is one less, one more, nothing, all, or a byte more than is allowed. */
export function spoilFrame({ body }: Sample): Buffer[] {
  const wrong = [body.length - 1, body.length + 1, 0, 0xffffffff, MAX_MESSAGE + 1]
  return wrong.map(length => Buffer.concat([u32(length), body]))
}

/** A good message with some bytes changed, lost or doubled, two spliced together, or nothing but noise. */
export function spoilAtRandom(samples: readonly Sample[], random: (below: number) => number): Buffer {
  const pick = () => samples[random(samples.length)]?.body ?? Buffer.alloc(1)
  const [one, other] = [Buffer.from(pick()), pick()]
  const [from, to] = [random(one.length), random(other.length)]
  switch (random(6)) {
    case 0:
      for (let count = random(4); count >= 0; count--) one[random(one.length)] = random(256)
      return one
    case 1:
      return Buffer.concat([one.subarray(0, from + 1), other.subarray(to)])
    case 2:
      return Buffer.concat([one.subarray(0, from + 1), one.subarray(Math.min(one.length, from + 1 + random(9)))])
    case 3:
      return Buffer.concat([one, one.subarray(from)])
    case 4:
      if (one.length > HEADER) one.writeUInt32BE(random(2 ** 32), 1 + random(one.length - HEADER))
      return one
    default:
      return Buffer.from(Array.from({ length: 1 + random(60) }, () => random(256)))
  }
}

/** Pieces of 1 to `longest` bytes. */
export function cutAtRandom(bytes: Buffer, longest: number, random: (below: number) => number): Buffer[] {
  const pieces: Buffer[] = []
  for (let at = 0; at < bytes.length; ) {
    const size = 1 + random(longest)
    pieces.push(bytes.subarray(at, at + size))
    at += size
  }
  return pieces
}

const some = Buffer.from('some bytes')

/** One of every request there is. The key in them is not the one that is held, and its certificate does not exist. */
export async function sampleRequests(held: PrivateKey): Promise<Sample[]> {
  const keys = await Promise.all(['ed25519', 'ecdsa-256'].map(type => generate(type, { comment: type })))
  const [ed25519 = held, ecdsa = held] = keys
  const host = await generate('ed25519')
  const session = Buffer.alloc(32, 7)
  const hop = { user: '', host: 'server.example', keys: [{ key: host.publicKey, isAuthority: false }] }
  const destinations = [{ from: { user: '', host: '', keys: [] }, to: hop }]
  const { algorithm, parts } = ed25519
  const key = { algorithm, parts }
  const file = await sealedFile(ed25519)
  const plain: Requests = {
    list: {},
    sign: { key: held.publicKey.blob, data: some, flags: 2 },
    add: { key, comment: 'fuzzed' },
    addConstrained: { key: { algorithm: ecdsa.algorithm, parts: ecdsa.parts }, comment: '', constraints: {} },
    remove: { key: ed25519.publicKey.blob },
    removeAll: {},
    lock: { passphrase: some },
    unlock: { passphrase: some },
    addCard: { id: some, pin: some },
    addCardConstrained: { id: some, pin: some, constraints: Buffer.of(2) },
    removeCard: { id: some, pin: some },
    extension: { name: 'unheard-of@example.com', body: some },
    oldList: { body: some },
    oldChallenge: { body: some },
    oldAdd: { body: some },
    oldAddConstrained: { body: some },
    oldRemove: { body: some },
    oldRemoveAll: { body: some },
  }
  const extended: { readonly [N in ExtensionName]: Extensions[N]['request'] } = {
    query: {},
    sessionBind: {
      hostKey: host.publicKey.blob,
      sessionId: session,
      signature: encodeSigned(await host.sign(session)),
      forwarding: false,
    },
    addPpk: { file: await sealedFile(ed25519, 'ppk3') },
    reencrypt: { key: ed25519.publicKey.blob },
    reencryptAll: {},
    listExtended: {},
    status: {},
    list: {},
    listFor: { hostKeys: [host.publicKey.blob] },
    addSealed: { file, comment: 'sealed', constraints: { lifetime: 3600, confirm: true, destinations, idle: 60 }, key },
    unseal: { key: ed25519.publicKey.blob, passphrase: some },
  }
  return [
    ...namesOf(plain).map(name => sampleOf(name, encodeRequest(name, plain[name]))),
    sampleOf(
      'addConstrained, with all',
      encodeRequest('addConstrained', {
        key,
        comment: 'c',
        constraints: { lifetime: 3600, confirm: true, destinations },
      }),
    ),
    ...namesOf(extended).map(name => sampleOf(name, encodeExtended(name, extended[name]))),
  ]
}

function encodeRequest<N extends keyof Requests>(name: N, value: Requests[N]): Buffer {
  return encodeMessage(requests[name], value)
}

function encodeExtended<N extends ExtensionName>(name: N, value: Extensions[N]['request']): Buffer {
  return encodeMessage(extensions[name].request, value)
}

function namesOf<T extends object>(table: T): (keyof T & string)[] {
  return Object.keys(table) as (keyof T & string)[]
}

export function sampleOf(name: string, frame: Buffer): Sample {
  return { name, body: frame.subarray(HEADER) }
}

export function isReply(number: number | undefined): boolean {
  return (Object.keys(replies) as ReplyName[]).some(name => replies[name].number === number)
}

export async function sealedFile(key: PrivateKey, name = 'openssh'): Promise<Buffer> {
  const options = { passphrase: some, rounds: 1, argon2: { memory: 64, passes: 1 } }
  const written = await keyFormats.find(format => format.name === name)?.write?.(key, options)
  if (!written) throw new Error(`${name} is not written`)
  return written
}

function encodeSigned(signature: Signature): Buffer {
  return encodeMessage(replies.signature, { signature }).subarray(2 * HEADER + 1)
}
