import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type ssh2 from 'ssh2'
import { connect } from '../src/connection/connect.js'
import { beneath, Servers, say } from './servers.js'

// Servers that go on before it is their turn: the user let in before the host is known, channels before the login.

const [SERVICE_ACCEPT, USERAUTH_SUCCESS, GLOBAL_REQUEST, CHANNEL_OPEN] = [6, 52, 80, 90] as const

let home: string
let servers: Servers

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'kt-'))
  servers = new Servers(home)
})

afterEach(() => servers.close())

afterAll(() => rm(home, { recursive: true }))

/** Has the server let the user in together with its half of the key exchange, before it has seen the user's. */
function letInAtOnce(client: ssh2.Connection): void {
  const protocol = beneath(client)._protocol as unknown as { _kex: Exchange | undefined }
  let exchange: Exchange | undefined
  Object.defineProperty(protocol, '_kex', {
    get: () => exchange,
    set: (next: Exchange) => {
      exchange = next
      const finish = next.finish.bind(next)
      next.finish = (...args) => {
        const { _sock: socket } = beneath(client)
        socket.cork()
        finish(...args)
        // It now is what completes the exchange once the user's new keys have come.
        next.finish()
        say(client, [USERAUTH_SUCCESS])
        socket.uncork()
      }
    },
  })
}

interface Exchange {
  finish(...args: unknown[]): void
}

test.each([
  ['known', async () => true],
  ['still asked about', () => new Promise<boolean>(() => {})],
])('a user let in before the host is proved: the host is %s', async (_name, confirmHost) => {
  const port = await servers.ssh(
    context => context.accept(),
    () => {},
    {},
    letInAtOnce,
  )
  let bound = 0
  const options = servers.to(port)
  const hosts = { ...options.hosts, confirmHost }
  const onBinding = async () => {
    bound++
  }
  await expect(connect({ ...options, hosts, onBinding, signers: [] })).rejects.toMatchObject({
    code: 'damaged',
    reason: 'it goes on before its turn',
  })
  expect(bound).toBe(0)
})

test.each([
  ['a login that nobody asked for', [USERAUTH_SUCCESS]],
  ['a request before the login', [GLOBAL_REQUEST, 'x@example', Buffer.of(1)]],
  ['a channel before the login', [CHANNEL_OPEN, 'session', 0, 1000, 1000]],
])('%s', async (_name, message) => {
  const port = await servers.ssh(
    () => {},
    () => {},
    {},
    client => client.on('handshake', () => say(client, message, [SERVICE_ACCEPT, 'ssh-userauth'])),
  )
  await expect(connect(servers.to(port, { signers: [], stepTime: 3000 }))).rejects.toMatchObject({
    code: 'damaged',
    reason: 'it goes on before its turn',
  })
})

test('an honest server is let through, its own news right behind the login', async () => {
  const port = await servers.ssh(
    context => context.accept(),
    client => say(client, [GLOBAL_REQUEST, 'news@example', Buffer.of(0)]),
  )
  const connection = await connect(servers.to(port, { signers: [] }))
  expect(connection.admission.method).toBe('none')
  await connection.close()
})
