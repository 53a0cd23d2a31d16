import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { generate, type PrivateKey, type Signer } from '@keytool/keygen'
import { connect } from '../src/connection/connect.js'
import { Servers, say } from './servers.js'

// Servers that answer to a key as nobody should.

const [EXT_INFO, PK_OK] = [7, 60]

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

/** The same key; counts what it signs. */
function counting(from: PrivateKey) {
  let count = 0
  const signer: Signer = {
    publicKey: from.publicKey,
    sign(data, options) {
      count++
      return from.sign(data, options)
    },
  }
  return { signer, count: () => count }
}

test.each([
  ['another key', async () => (await generate('ed25519')).publicKey.blob],
  ['no key', async () => Buffer.alloc(0)],
])('it takes %s: nothing is signed', async (_what, make) => {
  const other = await make()
  const port = await servers.ssh((context, client) => {
    if (context.method !== 'publickey') return context.reject(['publickey'])
    say(client, [PK_OK, 'ssh-ed25519', other.toString('latin1')])
  })
  const { signer, count } = counting(key)
  await expect(connect(servers.to(port, { signers: [signer] }))).rejects.toMatchObject({
    code: 'damaged',
    reason: 'it takes a key that was not offered',
  })
  expect(count()).toBe(0)
})

test('it takes RSA with SHA-1 only: such a key is not even offered, others are', async () => {
  const offered: string[] = []
  const port = await servers.ssh((context, client) => {
    if (context.method === 'publickey') {
      offered.push(context.key.algo)
      return context.accept()
    }
    say(client, [EXT_INFO, 1, 'server-sig-algs', 'ssh-rsa,ssh-ed25519'])
    context.reject(['publickey'])
  })
  const { signer, count } = counting(rsa)
  await expect(connect(servers.to(port, { signers: [signer] }))).rejects.toMatchObject({
    code: 'unsupported',
    message: 'the server takes RSA signatures with SHA-1 only',
  })
  expect([offered, count()]).toEqual([[], 0])
  await (await connect(servers.to(port, { signers: [signer, key] }))).close()
  expect(new Set(offered)).toEqual(new Set(['ssh-ed25519']))
})
