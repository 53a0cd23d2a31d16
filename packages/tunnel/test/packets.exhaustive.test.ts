import { randomBytes } from 'node:crypto'
import { createRequire } from 'node:module'
import { openLibrary } from '@keytool/agent/platform'
import { ChaCha } from '../src/connection/packets/chacha.js'
import { CipherContext, Poly1305, TAG } from '../src/connection/packets/contexts.js'
import { Gcm } from '../src/connection/packets/gcm.js'
import { type OnPayload, Opener } from '../src/connection/packets/opener.js'
import { bindOpenssl, loadOpenssl, type Openssl } from '../src/connection/packets/openssl.js'
import { Outlet } from '../src/connection/packets/outlet.js'
import { HEAD, type PacketCipher } from '../src/connection/packets/packet-cipher.js'
import { Sealer } from '../src/connection/packets/sealer.js'
import { type PacketProtocol, takePackets } from '../src/connection/packets/take-over.js'
import { collect, type Pipe } from './packets-fake.js'

// Packets as ours and as ssh2's own ciphers make and read them.

interface Theirs {
  readonly init: Promise<void>
  readonly CIPHER_INFO: Readonly<Record<string, object>>
  createCipher(config: object): { allocPacket(length: number): Buffer; encrypt(packet: Buffer): void }
  createDecipher(config: object): { decrypt(data: Buffer, from: number, end: number): unknown }
}

const theirs: Theirs = createRequire(import.meta.url)('ssh2/lib/protocol/crypto.js')

/** The counter's last four bytes are about to carry over. */
const nonce = Buffer.from('0102030405060708ffffffff', 'hex')
const ciphers = [
  { name: 'aes128-gcm@openssh.com', key: randomBytes(16) },
  { name: 'aes256-gcm@openssh.com', key: randomBytes(32) },
  { name: 'chacha20-poly1305@openssh.com', key: randomBytes(64) },
]
/** The last number before they begin anew, RFC 4253 section 6.4. */
const LAST = 0xffffffff
const payloads = [1, 3, 4, 10, 11, 12, 15, 16, 17, 255, 32_768, 5].map(length => randomBytes(length))

let openssl: Openssl

beforeAll(async () => {
  await theirs.init
  const found = await bindOpenssl(openLibrary)
  if (!found) throw new Error('no OpenSSL')
  openssl = found
})

function make({ name, key }: (typeof ciphers)[number], encrypts: boolean): PacketCipher {
  if (name.startsWith('chacha')) return new ChaCha(openssl, key.subarray(0, 32), key.subarray(32))
  return new Gcm(openssl, name.startsWith('aes128') ? 'aes-128-gcm' : 'aes-256-gcm', key, nonce, encrypts)
}

/** What ssh2 wants of a cipher. */
function config({ name, key }: (typeof ciphers)[number]) {
  const both = { seqno: LAST, macInfo: undefined, macKey: undefined }
  const info = theirs.CIPHER_INFO[name]
  return {
    out: (onWrite: (data: Buffer) => void) => ({
      outbound: { ...both, onWrite, cipherInfo: info, cipherKey: Buffer.from(key), cipherIV: Buffer.from(nonce) },
    }),
    in: (onPayload: (payload: Buffer) => void) => ({
      inbound: {
        ...both,
        onPayload,
        decipherInfo: info,
        decipherKey: Buffer.from(key),
        decipherIV: Buffer.from(nonce),
      },
    }),
  }
}

function sealAll(cipher: PacketCipher, all: readonly Buffer[], pipe: Pipe = collect()): Pipe {
  const sealer = new Sealer(cipher, new Outlet(pipe.stream), LAST)
  for (const payload of all) {
    const packet = sealer.allocPacket(payload.length)
    payload.copy(packet, HEAD + 1)
    sealer.encrypt(packet)
  }
  return pipe
}

/** Feeds it in pieces; what it reads is copied, for it stands where it came in. */
function openAll(cipher: PacketCipher, bytes: Buffer, piece: number, onPayload: OnPayload = () => undefined): Buffer[] {
  const read: Buffer[] = []
  const opener = new Opener(cipher, LAST, payload => {
    read.push(Buffer.from(payload))
    return onPayload(payload)
  })
  for (let at = 0; at < bytes.length; at += piece) {
    const part = Buffer.from(bytes.subarray(at, at + piece))
    opener.decrypt(part, 0, part.length)
  }
  return read
}

describe.each(ciphers)('$name', row => {
  test('ssh2 reads what we seal, over the end of the numbers and of the counter', async () => {
    const bytes = await sealAll(make(row, true), payloads).bytes()
    const read: Buffer[] = []
    const decipher = theirs.createDecipher(config(row).in(payload => void read.push(Buffer.from(payload))))
    decipher.decrypt(bytes, 0, bytes.length)
    expect(read).toEqual(payloads)
  })

  test.each([1, 2, 3, 5, 19, 1000, 65_536, 1 << 20])('we read what ssh2 seals, in pieces of %d bytes', piece => {
    const written: Buffer[] = []
    const cipher = theirs.createCipher(config(row).out(data => written.push(Buffer.from(data))))
    for (const payload of payloads) {
      const packet = cipher.allocPacket(payload.length)
      payload.copy(packet, HEAD + 1)
      cipher.encrypt(packet)
    }
    expect(openAll(make(row, false), Buffer.concat(written), piece)).toEqual(payloads)
  })

  test('whatever bit is changed, nothing of the packet is read', async () => {
    const bytes = await sealAll(make(row, true), [Buffer.from('once')]).bytes()
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const changed = Buffer.from(bytes)
      changed.writeUInt8(changed.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3)
      const read: Buffer[] = []
      const attempt = () => read.push(...openAll(make(row, false), changed, changed.length))
      // Who says that more belongs to it is waited for.
      if (bit >= HEAD * 8) expect(attempt).toThrow('a packet was changed on its way')
      else expect(orRefused(attempt)).toBeTruthy()
      expect(read).toEqual([])
    }
  })

  test('a packet twice, one left out, and the key of another are refused', async () => {
    const first = await sealAll(make(row, true), [Buffer.from('pay him')]).bytes()
    const twice = Buffer.concat([first, first])
    expect(orRefused(() => openAll(make(row, false), twice, twice.length))).toBe('refused')
    const [both, second] = [await sealAll(make(row, true), payloads).bytes(), first.length]
    expect(orRefused(() => openAll(make(row, false), both.subarray(second), both.length))).toBe('refused')
    const other = { ...row, key: randomBytes(row.key.length) }
    expect(orRefused(() => openAll(make(other, false), first, first.length))).toBe('refused')
  })

  test.each([0, 4, 28, 35_008, 0xfffffff0])('a packet of %d bytes is refused by its length', length => {
    const [out, into] = [make(row, true), make(row, false)]
    const packet = Buffer.alloc(HEAD + 64 + TAG)
    packet.writeUInt32BE(length)
    out.seal(packet, LAST)
    expect(() => openAll(into, packet, packet.length)).toThrow('no length that it can have')
  })

  test.each([0, 3, 28, 255])('a packet with %d bytes of padding is refused', padding => {
    const length = 32
    const packet = Buffer.alloc(HEAD + length + TAG)
    packet.writeUInt32BE(length)
    packet.writeUInt8(padding === 28 ? length : padding, HEAD)
    make(row, true).seal(packet, LAST)
    expect(() => openAll(make(row, false), packet, packet.length)).toThrow('padded as none can be')
  })

  test('what comes behind new keys is left to whoever has them', async () => {
    const bytes = await sealAll(make(row, true), [Buffer.from('NEWKEYS'), Buffer.from('?')]).bytes()
    const opener = new Opener(make(row, false), LAST, () => false)
    const one = await sealAll(make(row, true), [Buffer.from('NEWKEYS')]).bytes()
    expect(opener.decrypt(Buffer.concat([Buffer.from('...'), bytes]), 3, 3 + bytes.length)).toBe(3 + one.length)
  })

  test('takes the place of what the engine makes, and only that', async () => {
    await loadOpenssl()
    const { stream } = collect()
    const protocol: PacketProtocol = { _cipher: undefined, _decipher: undefined, _onWrite: () => {} }
    takePackets(protocol, stream)
    protocol._cipher = theirs.createCipher(config(row).out(() => {}))
    protocol._decipher = theirs.createDecipher(config(row).in(() => {}))
    expect(protocol._cipher).toBeInstanceOf(Sealer)
    expect(protocol._cipher).toMatchObject({ outSeqno: LAST })
    expect(protocol._decipher).toBeInstanceOf(Opener)
    expect(protocol._decipher).toMatchObject({ inSeqno: LAST })
    const other = { inSeqno: 1 }
    protocol._decipher = other
    expect(protocol._decipher).toBe(other)
  })

  test('once it is freed nothing is read or sent', async () => {
    const bytes = await sealAll(make(row, true), payloads).bytes()
    const opener = new Opener(make(row, false), LAST, () => {
      opener.free()
      return undefined
    })
    expect(opener.decrypt(bytes, 0, bytes.length)).toBeUndefined()
    // The first one alone.
    expect(opener.inSeqno).toBe(0)
    const pipe = collect()
    const sealer = new Sealer(make(row, true), new Outlet(pipe.stream), 0)
    sealer.free()
    sealer.encrypt(sealer.allocPacket(1))
    expect((await pipe.bytes()).length).toBe(0)
  })
})

test('a packet that was kept back is not sent in the place of another', () => {
  const [row] = ciphers
  const sealer = new Sealer(make(row as (typeof ciphers)[number], true), new Outlet(collect().stream), 0)
  const kept = sealer.allocPacket(1)
  sealer.allocPacket(1)
  expect(() => sealer.encrypt(kept)).toThrow('kept back')
})

describe('OpenSSL', () => {
  test('a context that is freed, and lengths that do not fit, never reach it', () => {
    const context = new CipherContext(openssl, 'aes-128-gcm', Buffer.alloc(16), true)
    expect(() => context.writeTag(Buffer.alloc(15))).toThrow()
    context.free()
    context.free()
    expect(() => context.begin(Buffer.alloc(12))).toThrow('not in use')
    expect(() => new CipherContext(openssl, 'aes-256-gcm', Buffer.alloc(16), true)).toThrow()
    const mac = new Poly1305(openssl)
    expect(() => mac.compute(Buffer.alloc(31), Buffer.alloc(1), Buffer.alloc(TAG))).toThrow()
    mac.free()
    expect(() => mac.compute(Buffer.alloc(32), Buffer.alloc(1), Buffer.alloc(TAG))).toThrow('not in use')
  })

  test('that can’t be opened is none, and so is one that lacks something or does something else', async () => {
    const broken = (bend: (declaration: string) => string) => async () => {
      const library = await openLibrary()
      return { ...library, bind: (declaration: string) => library.bind(bend(declaration)) }
    }
    const none = () => Promise.reject(new Error('no such library'))
    expect(await bindOpenssl(none)).toBeUndefined()
    for (const [from, to] of [
      ['EVP_MAC_final', 'EVP_MAC_finale'],
      ['EVP_aes_256_gcm', 'EVP_aes_256_ocb'],
      ['EVP_chacha20(', 'EVP_aes_256_ctr('],
    ] as const) {
      expect(await bindOpenssl(broken(declaration => declaration.replace(from, to)))).toBeUndefined()
    }
    expect(await bindOpenssl(broken(declaration => declaration))).toBeDefined()
  })
})

function orRefused(attempt: () => unknown): unknown {
  try {
    attempt()
    return 'waits'
  } catch (error) {
    expect(error).toMatchObject({ code: 'damaged' })
    return 'refused'
  }
}
