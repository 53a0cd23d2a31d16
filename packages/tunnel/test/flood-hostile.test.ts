import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate, setTimeout as sleep } from 'node:timers/promises'
import { connect } from '../src/connection/connect.js'
import { beneath, onChannel, Servers, say } from './servers.js'

// Servers that would have us keep more than we may: what they send, and what they keep us from sending.

const [CHANNEL_OPEN_CONFIRMATION, EXTENDED_DATA, STDERR] = [91, 95, 1]

let home: string
let servers: Servers

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'kt-'))
  servers = new Servers(home)
})

afterEach(() => servers.close())

afterAll(() => rm(home, { recursive: true }))

test('an exchange of keys that stands still holds writers back', async () => {
  const port = await servers.ssh(
    context => context.accept(),
    client => {
      onChannel(client, sender => {
        say(client, [CHANNEL_OPEN_CONFIRMATION, sender, 0, 0x7fff_ffff, 32_768])
        client.rekey()
        // From now on it hears nothing.
        Object.assign(beneath(client)._protocol, { parse: () => undefined })
      })
    },
  )
  const connection = await connect(servers.to(port, { signers: [] }))
  const stream = await connection.openDirect('a', 1, { host: '127.0.0.1', port: 1 })
  stream.on('error', () => {})
  // The server's wish for new keys is on its way.
  await sleep(100)
  for (let turn = 0; turn < 20; turn++) await setImmediate()
  let taken = 0
  const piece = Buffer.alloc(64 * 1024)
  for (let i = 0; i < 400; i++) stream.write(piece, error => (error ? undefined : taken++))
  await sleep(300)
  expect(taken).toBeLessThan(8)
  await connection.close()
})

test('a flood of error output that nobody reads ends the session, not the process', async () => {
  const port = await servers.ssh(
    context => context.accept(),
    client => {
      client.on('session', accept => {
        accept().on('exec', take => {
          const { id } = (take() as unknown as { outgoing: { id: number } }).outgoing
          const flood = [EXTENDED_DATA, id, STDERR, 'x'.repeat(32_000)] as const
          for (let i = 0; i < 400; i++) say(client, flood)
        })
      })
    },
  )
  const connection = await connect(servers.to(port, { signers: [] }))
  const session = await connection.openSession({ command: 'x' })
  const [error] = await once(session.stdout.resume(), 'error')
  expect(error).toMatchObject({ code: 'damaged', message: 'the server sends more than it may' })
  await connection.close()
})
