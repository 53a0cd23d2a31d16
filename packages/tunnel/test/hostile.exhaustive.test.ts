import { mkdtemp, rm } from 'node:fs/promises'
import { connect as connectSocket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type ssh2 from 'ssh2'
import { connect } from '../src/connection/connect.js'
import { beneath, Servers, say } from './servers.js'

// Servers that speak SSH well, and use it to do harm.

const GLOBAL_REQUEST = 80

let home: string
let servers: Servers

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'kt-'))
  servers = new Servers(home)
})

afterEach(() => servers.close())

afterAll(() => rm(home, { recursive: true }))

test('requests without end, from a server that reads no answers, end the connection', async () => {
  const request = [GLOBAL_REQUEST, 'keepalive@openssh.com', Buffer.of(1)]
  const many = Array.from({ length: 2000 }, () => request)
  const path = join(home, 'flood')
  const flood = (client: ssh2.Connection) => {
    const { _sock: socket } = beneath(client)
    socket.pause()
    let left = 300
    const more = () => {
      if (socket.destroyed || left-- === 0) return
      say(client, ...many)
      if (socket.writableLength < 1 << 22) setImmediate(more)
      else socket.once('drain', more)
    }
    more()
  }
  await servers.ssh(context => context.accept(), flood, { path })
  const dial = async () => connectSocket(path)
  const connection = await connect(servers.to(22, { dial }))
  expect(await connection.closed).toMatchObject({ code: 'damaged', reason: 'it asks and reads no answers' })
}, 240_000)
