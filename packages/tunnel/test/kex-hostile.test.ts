import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { generate, type PrivateKey, Writer } from '@keytool/keygen'
import type { ConnectOptions } from '../src/connection/connect.js'
import { connect } from '../src/connection/connect.js'
import { kexInit, type Script, serveExchange } from './kex-server.js'
import { Servers } from './servers.js'

// Servers that answer a key exchange with what is none.

const CERTIFICATE = 'ssh-ed25519-cert-v01@openssh.com'

let home: string
let servers: Servers
let key: PrivateKey
let authority: PrivateKey

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'kt-'))
  servers = new Servers(home)
  key = await generate('ed25519')
  authority = await generate('ed25519')
})

afterEach(() => servers.close())

afterAll(() => rm(home, { recursive: true }))

/** Connects, and tells what the host has proved before the connection came to nothing. */
async function visit(script: Script, more: Partial<ConnectOptions> = {}) {
  const port = await servers.raw(socket => serveExchange(socket, key, script))
  const options = servers.to(port, { stepTime: 3000, ...more })
  // Hosts are believed for their authority, too: a certificate is then asked for.
  const line = `@cert-authority * ssh-ed25519 ${authority.publicKey.blob.toString('base64')}\n`
  if (script.hostKeyAlgorithm === CERTIFICATE) await writeFile(join(home, `known-${port}`), line)
  let proof: Parameters<NonNullable<ConnectOptions['onBinding']>>[0] | undefined
  const stop = new Error('far enough')
  const failure = await connect({
    ...options,
    onBinding: async binding => {
      proof = binding
      throw stop
    },
  }).then(
    () => undefined,
    error => error,
  )
  return { proof, failure, port }
}

/** A certificate of the host's key, or of another, for every name there is. */
async function certificateOf({ publicKey }: PrivateKey): Promise<Buffer> {
  const body = new Writer()
    .text(CERTIFICATE)
    .string(Buffer.alloc(32))
    .string(publicKey.parts['pk'] ?? Buffer.alloc(0))
    .uint64(1n)
    .uint32(2)
    .text('test')
    .string(new Writer().text('127.0.0.1').done())
    .uint64(0n)
    .uint64(0xffffffffffffffffn)
    .text('')
    .text('')
    .text('')
    .string(authority.publicKey.blob)
    .done()
  const { scheme, blob } = await authority.sign(body)
  return new Writer().bytes(body).string(new Writer().text(scheme).string(blob).done()).done()
}

const flip = (bytes: Buffer, at: number) => {
  const turned = Buffer.from(bytes)
  turned[at] = (turned[at] ?? 0) ^ 1
  return turned
}

test('an answer before our half was sent is no answer', async () => {
  const early = [new Writer().byte(31).string(key.publicKey.blob).string(Buffer.alloc(1120)).text('').done()]
  const { proof, failure, port } = await visit({ early })
  expect(failure).toMatchObject({ code: 'damaged', message: `127.0.0.1:${port} breaks the SSH protocol` })
  expect(proof).toBeUndefined()
})

test('an honest server proves its key, by ML-KEM', async () => {
  let hash: Buffer | undefined
  const { proof, failure } = await visit({
    replyWith(honest) {
      hash = honest.hash()
      return {}
    },
  })
  expect(failure).toMatchObject({ cause: { message: 'far enough' } })
  expect(proof?.hostKey).toEqual(key.publicKey.blob)
  expect(proof?.sessionId).toEqual(hash)
})

describe('by ML-KEM: no proof from', () => {
  const damages: readonly [string, Script['replyWith'], string?][] = [
    ['half a reply', ({ reply }) => ({ reply: reply.subarray(0, 560) }), 'has 560 bytes, not 1120'],
    ['no reply', () => ({ reply: Buffer.alloc(0) }), 'has 0 bytes, not 1120'],
    ['one byte too few', ({ reply }) => ({ reply: reply.subarray(1) }), 'has 1119 bytes, not 1120'],
    ['one byte too many', ({ reply }) => ({ reply: Buffer.concat([reply, Buffer.of(0)]) }), 'has 1121 bytes'],
    [
      'an X25519 key of zeros',
      ({ reply }) => ({ reply: reply.fill(0, 1088) }),
      "the server's key for the key exchange",
    ],
    ['another ciphertext', ({ reply, hash, hostKey }) => turned(reply, 5, hash, hostKey)],
    ['another X25519 key', ({ reply, hash, hostKey }) => turned(reply, 1100, hash, hostKey)],
    ['a signature over something else', ({ hash }) => ({ signed: flip(hash(), 0) })],
  ]
  const turned = (reply: Buffer, at: number, hash: (hostKey: Buffer, reply: Buffer) => Buffer, hostKey: Buffer) => {
    const other = flip(reply, at)
    // All that is said is signed; only the secret is another.
    return { reply: other, signed: hash(hostKey, other) }
  }

  test.each(damages)('%s', async (_what, replyWith, reason = '') => {
    const { proof, failure, port } = await visit({ ...(replyWith && { replyWith }) })
    expect(failure).toMatchObject({
      code: 'damaged',
      message: `127.0.0.1:${port} breaks the SSH protocol`,
      reason: expect.stringContaining(reason),
    })
    expect(proof).toBeUndefined()
  })
})

describe('a certificate', () => {
  test('is what the host has proved', async () => {
    const hostKey = await certificateOf(key)
    const { proof, failure } = await visit({ hostKeyAlgorithm: CERTIFICATE, hostKey })
    expect(failure).toMatchObject({ cause: { message: 'far enough' } })
    expect(proof?.hostKey).toEqual(hostKey)
  })

  test('signed without itself proves nothing', async () => {
    const hostKey = await certificateOf(key)
    const { proof, failure } = await visit({
      hostKeyAlgorithm: CERTIFICATE,
      hostKey,
      replyWith: ({ hash }) => ({ signed: hash(key.publicKey.blob) }),
    })
    expect(failure).toMatchObject({ code: 'damaged', reason: expect.stringContaining('signature') })
    expect(proof).toBeUndefined()
  })

  test("of somebody else's key proves nothing", async () => {
    const hostKey = await certificateOf(await generate('ed25519'))
    const { proof, failure } = await visit({ hostKeyAlgorithm: CERTIFICATE, hostKey })
    expect(failure).toMatchObject({ code: 'damaged', reason: expect.stringContaining('signature') })
    expect(proof).toBeUndefined()
  })

  test('is not what was agreed on, when the plain key is shown, or rubbish', async () => {
    for (const hostKey of [key.publicKey.blob, Buffer.alloc(0), Buffer.from('rubbish')]) {
      const { proof, failure } = await visit({ hostKeyAlgorithm: CERTIFICATE, hostKey })
      expect(failure).toMatchObject({ code: expect.stringMatching(/^(damaged|unsupported)$/) })
      expect(proof).toBeUndefined()
    }
  })

  test('is no plain key, when that was agreed on', async () => {
    const { proof, failure } = await visit({ hostKey: await certificateOf(key) })
    expect(failure).toMatchObject({ code: 'damaged' })
    expect(proof).toBeUndefined()
  })
})

describe('a KEXINIT', () => {
  const whole = kexInit(['curve25519-sha256'], 'ssh-ed25519')

  test.each([0, 1, 16, 17, 20, 40, 100])('cut after %i bytes', async length => {
    const { failure } = await visit({ kexInit: Buffer.concat([Buffer.of(20), whole.subarray(1, length)]) })
    expect(failure).toMatchObject({ code: 'damaged' })
  })

  test('with a list that claims more than there is', async () => {
    const lying = Buffer.from(whole)
    lying.writeUInt32BE(0xffffffff, 17)
    expect((await visit({ kexInit: lying })).failure).toMatchObject({ code: 'damaged' })
  })

  test('with nothing in common', async () => {
    const { failure } = await visit({ kex: ['sntrup761x25519-sha512', 'kex-strict-s-v00@openssh.com'] })
    expect(failure).toMatchObject({
      code: 'unsupported',
      reason: 'it offers key exchange by sntrup761x25519-sha512 only',
      hint: 'the server needs an update',
    })
  })
})
