import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { generate } from '@keytool/keygen'
import { connect } from '../src/connection/connect.js'
import { readAdmittingLine, readRefusals } from '../src/servers/remarks.js'
import { verifyKeyAlone } from '../src/servers/verify.js'
import { Servers, say } from './servers.js'

const DEBUG = 4

let home: string
let servers: Servers

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'kt-'))
  servers = new Servers(home)
})

afterEach(() => servers.close())

afterAll(() => rm(home, { recursive: true }))

/** A server that lets every key in and remarks this. */
async function remarking(remarks: readonly string[]): Promise<number> {
  return await servers.ssh(
    context => (context.method === 'publickey' ? context.accept() : context.reject(['publickey'])),
    client => say(client, ...remarks.map(text => [DEBUG, Buffer.of(1), text, ''])),
  )
}

describe('a server’s remarks', () => {
  test('are kept as they are', async () => {
    const port = await remarking(['/home/hana/.ssh/authorized_keys:3: key options: pty', 'and more'])
    const connection = await connect(servers.to(port, { signers: [await generate('ed25519')] }))
    await connection.ping(5000)
    expect(connection.remarks).toEqual(['/home/hana/.ssh/authorized_keys:3: key options: pty', 'and more'])
    await connection.close()
  })

  test('without end fill no memory, and are cut', async () => {
    const port = await remarking(Array.from({ length: 2000 }, () => 'x'.repeat(4000)))
    const connection = await connect(servers.to(port, { signers: [await generate('ed25519')] }))
    await connection.ping(5000)
    expect(connection.remarks.length).toBeLessThan(100)
    expect(Math.max(...connection.remarks.map(text => text.length))).toBeLessThan(2000)
    await connection.close()
  })

  test('name the line that let a key in, where there are any', async () => {
    const signer = await generate('ed25519')
    for (const [remarks, wanted] of [
      [['/a b/keys:7: key options: pty'], { admittedBy: { path: '/a b/keys', line: 7 } }],
      [[], {}],
    ] as const) {
      expect(await verifyKeyAlone(servers.to(await remarking(remarks)), signer)).toEqual(wanted)
    }
  })
})

describe('the line that let a key in', () => {
  test.each([
    [
      'the last of its kind',
      ['/a:1: key options: pty', '/a:2: Your host x', '/b:3: key options: pty'],
      { path: '/b', line: 3 },
    ],
    ['a path with a colon', ['/a:1:2: key options:'], { path: '/a:1', line: 2 }],
    ['other words', ['/a:1: cert: x', 'key options: pty', ':1: key options:'], undefined],
    ['a number beyond all lines', ['/a:99999999999: key options: pty'], undefined],
    ['nothing', [], undefined],
  ])('%s', (_what, remarks, wanted) => {
    expect(readAdmittingLine(remarks)).toEqual(wanted)
  })
})

describe('why a key was refused, in sshd’s words', () => {
  test.each([
    [
      'Ignored authorized keys: bad ownership or modes for directory /home/ha na',
      { kind: 'permissions', path: '/home/ha na' },
    ],
    ['Ignored authorized keys: /x: not a regular file', { kind: 'permissions' }],
    [
      `/home/hana/.ssh/authorized_keys:2: Your host 'h' is not permitted to use this key for login.`,
      { kind: 'line-options', line: 2 },
    ],
    ['/k:12: entry expired at 2020-01-01T00:00:00', { kind: 'line-options', line: 12 }],
    ['/k:1: bad key options: unknown key option', { kind: 'line-options', line: 1 }],
  ])('%s', (text, wanted) => {
    expect(readRefusals(['Refused by key options', text])).toEqual([expect.objectContaining({ text, ...wanted })])
  })
})
