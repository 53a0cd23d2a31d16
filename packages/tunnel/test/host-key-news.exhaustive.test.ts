import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { encodeSignature, generate, type PrivateKey, type SignatureHash, Writer } from '@keytool/keygen'
import type ssh2 from 'ssh2'
import { type ConnectOptions, connect } from '../src/connection/connect.js'
import { beneath, Servers, say } from './servers.js'

// Servers that tell of host keys, and do not have them.

const [REQUEST, SUCCESS, FAILURE] = [80, 81, 82]
const NEWS = 'hostkeys-00@openssh.com'
const PROVE = 'hostkeys-prove-00@openssh.com'

let home: string
let servers: Servers
let key: PrivateKey
let rsa: PrivateKey

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'kt-'))
  servers = new Servers(home)
  key = await generate('ed25519')
  rsa = await generate('rsa', { bits: 2048 })
})

afterEach(() => servers.close())

afterAll(() => rm(home, { recursive: true }))

type OnHostKeys = NonNullable<ConnectOptions['onHostKeys']>
/** What the server says when it is asked to prove its keys, given the session's identifier. */
type Answer = (sessionId: Buffer) => Promise<readonly (number | string | Uint8Array)[]>

const tell = (client: ssh2.Connection, ...blobs: Uint8Array[]) =>
  say(client, [REQUEST, NEWS, Buffer.of(0), ...blobs.map(blob => new Writer().string(blob).done())])

/** The proof of one key, as OpenSSH's PROTOCOL section 2.5 has it, unless something else is said. */
async function proofOf(signer: PrivateKey, sessionId: Buffer, more: { hash?: SignatureHash; label?: string } = {}) {
  const { hash, label = PROVE } = more
  const data = new Writer().text(label).string(sessionId).string(signer.publicKey.blob).done()
  const signature = await signer.sign(data, hash ? { hash } : {})
  return new Writer().string(encodeSignature(signature)).done()
}

/** Logs in to a server that tells of these keys; gives what `judge` makes of it, and the connection is fine after that. */
async function hear<T>(
  blobs: readonly Uint8Array[],
  answer: Answer,
  judge: (...news: Parameters<OnHostKeys>) => Promise<T>,
) {
  const port = await servers.ssh(
    context => context.accept(),
    client => {
      const { _protocol: protocol } = beneath(client)
      const { sessionID } = (protocol as unknown as { _kex: { sessionID: Buffer } })._kex
      protocol._handlers['GLOBAL_REQUEST'] = (_protocol, name) => {
        if (String(name) === PROVE) answer(sessionID).then(message => say(client, message))
        else say(client, [FAILURE])
      }
      tell(client, ...blobs)
    },
  )
  let settle: (judged: Promise<T>) => void = () => {}
  const heard = new Promise<T>(resolve => {
    settle = resolve
  })
  const onHostKeys: OnHostKeys = async (...news) => {
    const judged = judge(...news)
    settle(judged)
    await judged
  }
  const connection = await connect(servers.to(port, { onHostKeys }))
  try {
    return await heard
  } finally {
    // Whatever was said of keys, the connection goes on.
    expect(await connection.ping(5000)).toBeGreaterThan(0)
    await connection.close()
  }
}

const prove: (...news: Parameters<OnHostKeys>) => Promise<void> = (keys, proof) => proof(keys)

test('a key that is the host’s', async () => {
  await hear([key.publicKey.blob], async id => [SUCCESS, await proofOf(key, id)], prove)
  await hear([rsa.publicKey.blob], async id => [SUCCESS, await proofOf(rsa, id, { hash: 'sha256' })], prove)
})

describe('no proof is', () => {
  const other = Buffer.alloc(32, 7)
  const lies: readonly (readonly [string, Answer, string])[] = [
    ['a refusal', async () => [FAILURE], 'refused'],
    ['nothing', async () => [SUCCESS], 'damaged'],
    ['rubbish', async () => [SUCCESS, 'rubbish'], 'damaged'],
    ['a length without bytes', async () => [SUCCESS, 0xffffffff], 'damaged'],
    ['for another session', async () => [SUCCESS, await proofOf(key, other)], 'damaged'],
    ['of another key', async id => [SUCCESS, await proofOf(await generate('ed25519'), id)], 'damaged'],
    ['under another name', async id => [SUCCESS, await proofOf(key, id, { label: NEWS })], 'damaged'],
    ['one too many', async id => [SUCCESS, await proofOf(key, id), await proofOf(key, id)], 'damaged'],
  ]

  test.each(lies)('%s', async (_what, answer, code) => {
    await expect(hear([key.publicKey.blob], answer, prove)).rejects.toMatchObject({ code })
  })

  test('RSA with SHA-1', async () => {
    const answer: Answer = async id => [SUCCESS, await proofOf(rsa, id, { hash: 'sha1' })]
    await expect(hear([rsa.publicKey.blob], answer, prove)).rejects.toMatchObject({ code: 'damaged' })
  })

  test('one for two', async () => {
    const answer: Answer = async id => [SUCCESS, await proofOf(key, id)]
    await expect(hear([key.publicKey.blob, rsa.publicKey.blob], answer, prove)).rejects.toMatchObject({
      code: 'damaged',
    })
  })
})

test('keys that can’t be used, and those told twice, are left out', async () => {
  const blobs = [Buffer.from('rubbish'), key.publicKey.blob, Buffer.alloc(0), key.publicKey.blob]
  const keys = await hear(
    blobs,
    async () => [FAILURE],
    async found => found,
  )
  expect(keys).toEqual([key.publicKey.blob])
})

test('too much is no news, and news comes a few times only', async () => {
  const many = await Promise.all(Array.from({ length: 65 }, () => generate('ed25519')))
  let told = 0
  const port = await servers.ssh(
    context => context.accept(),
    client => {
      beneath(client)._protocol._handlers['GLOBAL_REQUEST'] = () => say(client, [FAILURE])
      tell(client, ...many.map(({ publicKey }) => publicKey.blob))
      tell(client, Buffer.alloc(20_000))
      for (let i = 0; i < 20; i++) tell(client, key.publicKey.blob)
    },
  )
  const onHostKeys: OnHostKeys = async (keys, proof) => {
    told++
    await proof(keys)
  }
  const connection = await connect(servers.to(port, { onHostKeys }))
  for (let i = 0; i < 3; i++) await connection.ping(5000)
  expect(told).toBe(2)
  await connection.close()
})

test('a server that never proves anything keeps nobody waiting once it is gone', async () => {
  let pending: Promise<void> | undefined
  const port = await servers.ssh(
    context => context.accept(),
    client => {
      beneath(client)._protocol._handlers['GLOBAL_REQUEST'] = () => client.end()
      tell(client, key.publicKey.blob)
    },
  )
  const onHostKeys: OnHostKeys = (keys, proof) => {
    pending = proof(keys)
    return pending
  }
  const connection = await connect(servers.to(port, { onHostKeys }))
  expect(await connection.closed).toMatchObject({ code: 'unreachable' })
  await expect(pending).rejects.toMatchObject({ code: 'unreachable' })
})
