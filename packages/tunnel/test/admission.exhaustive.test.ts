import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { generate, KeytoolError, type PrivateKey, type Signer } from '@keytool/keygen'
import type ssh2 from 'ssh2'
import { findAdmission } from '../src/servers/admission.js'
import { Servers, say } from './servers.js'

// Whether a server still takes a key, by servers that say it in their own way, or lie.

let home: string
let servers: Servers
let key: PrivateKey

beforeAll(async () => {
  key = await generate('ed25519')
})

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'kt-'))
  servers = new Servers(home)
})
afterEach(async () => {
  servers.close()
  await rm(home, { recursive: true })
})

type Judge = (context: ssh2.AuthContext, client: ssh2.Connection) => void

async function ask(judge: Judge, signer: Signer | undefined = key) {
  return await findAdmission(servers.to(await servers.ssh(judge)), key.publicKey, signer)
}

/** Answers `none` with the methods it takes, and everything else as it is told. */
const byKey =
  (judge: (context: ssh2.PublicKeyAuthContext, client: ssh2.Connection) => void): Judge =>
  (context, client) =>
    context.method === 'publickey' ? judge(context, client) : context.reject(['publickey'])

test('one that refuses the key: it is not let in', async () => {
  expect(await ask(byKey(context => context.reject(['publickey'])))).toBeUndefined()
})

test('one that lets the key in', async () => {
  expect(await ask(byKey(context => context.accept()))).toEqual({})
})

test('one that takes the key and wants a password besides: the key is not refused', async () => {
  const judge = byKey(context => (context.signature ? context.reject(['password'], true) : context.accept()))
  expect(await ask(judge)).toEqual({})
})

test('one that takes every key and then no signature: the key is refused', async () => {
  const judge = byKey(context => (context.signature ? context.reject(['publickey']) : context.accept()))
  expect(await ask(judge)).toBeUndefined()
})

describe('a server that asks for a signature takes the key, also where the private half', () => {
  const takes = byKey(context => context.accept())

  test('is not here', async () => {
    expect(await findAdmission(servers.to(await servers.ssh(takes)), key.publicKey, undefined)).toEqual({})
  })

  test('can’t be opened: a wrong passphrase is no refused key', async () => {
    const sign = async () => {
      throw new KeytoolError('secret-wrong', 'the passphrase is wrong')
    }
    expect(await ask(takes, { publicKey: key.publicKey, sign })).toEqual({})
  })
})

test.each<[string, Judge]>([
  ['hangs up without a word before the key was named', (_context, client) => void client.end()],
  // SSH_MSG_DISCONNECT, as sshd says it: RFC 4253 section 11.1
  ['takes its leave before the key was named', (_context, client) => say(client, [1, 2, 'not now', ''])],
  ['lets everybody in', context => context.accept()],
  ['takes no keys at all', context => context.reject(['password'])],
])('one that %s: nothing is known of the key', async (_name, judge) => {
  await expect(ask(judge)).rejects.toMatchObject({ code: expect.not.stringMatching(/^secret-wrong$/) })
})
