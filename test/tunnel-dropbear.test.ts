import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { connect as connectSocket, type Socket } from 'node:net'
import { join } from 'node:path'
import { jest } from '@jest/globals'
import type { Connection, Forward } from '@keytool/tunnel'
import { Bench, exchange, makeKey, turnRound, until } from './tunnel-forwards-fixture.js'
import { type Dropbear, startDropbear } from './world/dropbear.js'
import { run } from './world/run.js'
import { createUser, type SystemUser } from './world/system-user.js'

// The other SSH server that many small machines run.

jest.setTimeout(90_000)

let user: SystemUser
let dropbear: Dropbear
let bench: Bench
let connection: Connection
let key: Awaited<ReturnType<typeof makeKey>>
const sent = randomBytes(4 << 20)

beforeAll(async () => {
  user = await createUser()
  bench = await Bench.open()
  key = await makeKey()
  await user.authorize(key.line)
  dropbear = await startDropbear()
  connection = await bench.connect({ port: dropbear.port, user: user.name, key: key.key })
})

afterAll(async () => {
  await bench.close()
  await dropbear.stop()
  await user.dispose()
})

function visit({ port }: Forward): Socket {
  return connectSocket({ port: port ?? 0, host: '127.0.0.1', allowHalfOpen: true })
}

test.each(['local', 'remote'] as const)('a %s forward carries 4 MiB each way, unchanged', async kind => {
  const forward = await bench.forward(kind, `0:127.0.0.1:${await bench.serve(turnRound)}`, connection)
  const got = await exchange(visit(forward), sent)
  expect(got.reverse().equals(sent)).toBe(true)
  await until(() => forward.counters.open === 0)
})

test('a local forward to a Unix socket: 2022.83 opens none, which is a reset, and said', async () => {
  const path = join(user.home, 'target')
  await bench.serve(turnRound, path)
  const forward = await bench.forward('local', `0:${path}`, connection)
  await expect(exchange(visit(forward), Buffer.from('abc'))).rejects.toMatchObject({ code: 'ECONNRESET' })
  expect(forward.counters.lastError).toBe(`the server does not open ${path}`)
})

test('a remote forward at a Unix socket: it has none, and says so', async () => {
  await expect(bench.forward('remote', `${join(user.home, 'x')}:a:1`, connection)).rejects.toMatchObject({
    code: 'refused',
  })
})

test('twenty at once', async () => {
  const forward = await bench.forward('local', `0:127.0.0.1:${await bench.serve(turnRound)}`, connection)
  const texts = Array.from({ length: 20 }, (_, index) => `connection ${index}`)
  const answers = await Promise.all(texts.map(text => exchange(visit(forward), Buffer.from(text))))
  expect(answers.map(answer => String(answer.reverse()))).toEqual(texts)
})

test('a target that refuses, by SOCKS', async () => {
  const proxy = await bench.forward('dynamic', '0', connection)
  const { status, stderr } = await run('/usr/bin/curl', [
    '-sS',
    '--socks5',
    `127.0.0.1:${proxy.port}`,
    'http://127.0.0.1:1/',
  ])
  expect([status, stderr]).toEqual([97, expect.stringMatching(/\([45]\)/)])
})

test('a server that allows no forwards', async () => {
  const strict = await startDropbear(['-j', '-k'])
  const narrow = await bench.connect({ port: strict.port, user: user.name, key: key.key })
  const local = await bench.forward('local', '0:127.0.0.1:1', narrow)
  const [error] = await once(visit(local), 'error')
  expect(error).toMatchObject({ code: 'ECONNRESET' })
  expect(local.counters.lastError).toMatch(/^the server (does not allow|does not open) 127\.0\.0\.1:1$/)
  await expect(bench.forward('remote', '0:127.0.0.1:1', narrow)).rejects.toMatchObject({ code: 'refused' })
  await narrow.close()
  await strict.stop()
})
