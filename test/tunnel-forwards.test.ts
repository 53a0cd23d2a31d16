import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { access, chmod, lstat } from 'node:fs/promises'
import { connect as connectSocket, type Socket } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { jest } from '@jest/globals'
import type { Connection, Forward } from '@keytool/tunnel'
import { eventually } from './tunnel-cli-fixture.js'
import { Bench, exchange, makeKey, turnRound, until } from './tunnel-forwards-fixture.js'
import { type Home, opensshOptions, temporaryHome } from './world/home.js'
import { peerPath } from './world/peers.js'
import { runOrThrow } from './world/run.js'
import { type Sshd, startSshd } from './world/sshd.js'
import { start } from './world/start.js'
import { createUser, type SystemUser } from './world/system-user.js'

// Forwards of every kind, judged by OpenSSH's server, and beside OpenSSH's client where both do the same.

jest.setTimeout(120_000)

const MiB = 1024 * 1024

let home: Home
let user: SystemUser
let sshd: Sshd
let bench: Bench
let mine: Awaited<ReturnType<typeof makeKey>>
let restricted: Awaited<ReturnType<typeof makeKey>>
let connection: Connection

beforeAll(async () => {
  home = await temporaryHome()
  user = await createUser()
  bench = await Bench.open()
  await chmod(bench.path, 0o711)
  mine = await makeKey()
  restricted = await makeKey('restrict')
  const idFile = join(home.ssh, 'id')
  await runOrThrow(peerPath('ssh-keygen'), ['-q', '-t', 'ed25519', '-N', '', '-f', idFile])
  sshd = await startSshd({ users: [user], authorizedKeys: [mine.line, restricted.line] })
  connection = await bench.connect(login())
})

afterAll(async () => {
  await bench.close()
  await sshd.stop()
  await user.dispose()
  await home.dispose()
})

const login = () => ({ port: sshd.port, user: user.name, key: mine.key })

/** Connects to where a forward listens, here or on the server: both are this machine. */
function visit({ spec, port }: Forward): Socket {
  const { listen } = spec
  const place = 'path' in listen ? { path: listen.path } : { host: '127.0.0.1', port: port ?? 0 }
  return connectSocket({ ...place, allowHalfOpen: true })
}

/** `end` for a FIN, else the error's code. */
function endOf(socket: Socket): Promise<string> {
  return new Promise(resolve => {
    socket.on('end', () => resolve('end')).on('error', error => resolve(String((error as NodeJS.ErrnoException).code)))
    socket.resume()
  })
}

describe('8 MiB each way, unchanged', () => {
  const sent = randomBytes(8 * MiB)
  let count = 0
  /** Every place but those on a port. */
  const here = () => join(bench.path, `here${++count}`)
  const there = () => join(user.home, `there${++count}`)

  test.each([
    ['-L port:port', 'local', async () => `0:127.0.0.1:${await bench.serve(turnRound)}`],
    ['-L port:socket', 'local', async () => `0:${await socketTarget()}`],
    ['-L socket:port', 'local', async () => `${here()}:127.0.0.1:${await bench.serve(turnRound)}`],
    ['-L socket:socket', 'local', async () => `${here()}:${await socketTarget()}`],
    ['-R port:port', 'remote', async () => `0:127.0.0.1:${await bench.serve(turnRound)}`],
    ['-R port:socket', 'remote', async () => `0:${await socketTarget()}`],
    ['-R socket:port', 'remote', async () => `${there()}:127.0.0.1:${await bench.serve(turnRound)}`],
    ['-R socket:socket', 'remote', async () => `${there()}:${await socketTarget()}`],
  ] as const)('%s', async (_what, kind, spec) => {
    const forward = await bench.forward(kind, await spec(), connection)
    const got = await exchange(visit(forward), sent)
    expect(got.reverse().equals(sent)).toBe(true)
    await until(() => forward.counters.open === 0)
    expect(forward.counters).toEqual({ connections: 1, open: 0, bytesIn: sent.length, bytesOut: sent.length })
    await forward.close()
  })

  async function socketTarget(): Promise<string> {
    const path = join(bench.path, `target${++count}`)
    await bench.serve(turnRound, path)
    return path
  }
})

test('the far end says no more, and reads slowly: all that is sent to it arrives', async () => {
  const sent = randomBytes(4 * MiB)
  let received: (bytes: Buffer) => void = () => {}
  const arrived = new Promise<Buffer>(resolve => {
    received = resolve
  })
  const port = await bench.serve(socket => {
    const parts: Buffer[] = []
    socket.end().on('data', part => {
      parts.push(part)
      socket.pause()
      setTimeout(() => socket.resume(), 2)
    })
    socket.on('end', () => received(Buffer.concat(parts)))
  })
  const forward = await bench.forward('local', `0:127.0.0.1:${port}`, connection)
  const socket = visit(forward)
  await once(socket.resume(), 'end')
  socket.end(sent)
  expect((await arrived).equals(sent)).toBe(true)
})

test('many at once through one forward of each kind', async () => {
  const port = await bench.serve(turnRound)
  for (const kind of ['local', 'remote'] as const) {
    const forward = await bench.forward(kind, `0:127.0.0.1:${port}`, connection)
    const texts = Array.from({ length: 60 }, (_, index) => `connection ${index}`)
    const answers = await Promise.all(texts.map(text => exchange(visit(forward), Buffer.from(text))))
    expect(answers.map(answer => String(answer.reverse()))).toEqual(texts)
  }
})

describe('a remote forward', () => {
  test('is refused where the server says no, and that is said', async () => {
    const narrow = await bench.connect({ ...login(), key: restricted.key })
    await expect(bench.forward('remote', '0:127.0.0.1:1', narrow)).rejects.toMatchObject({
      code: 'refused',
      message: 'the server does not listen on localhost:0',
    })
    // A port that is kept for root.
    await expect(bench.forward('remote', '99:127.0.0.1:1', connection)).rejects.toMatchObject({ code: 'refused' })
  })

  test('listens on loopback, and is gone when it is closed', async () => {
    const port = await bench.serve(turnRound)
    const forward = await bench.forward('remote', `0:127.0.0.1:${port}`, connection)
    expect(forward.place).toBe(`localhost:${forward.port}`)
    const hex = (forward.port ?? 0).toString(16).toUpperCase().padStart(4, '0')
    // While others come and go, a row may be passed over.
    const table = async () => (await runOrThrow('/bin/cat', ['/proc/net/tcp'])).stdout
    await eventually(table, text => text.includes(` 0100007F:${hex} 00000000:0000 0A `))
    await forward.close()
    expect(await endOf(visit(forward))).toBe('ECONNREFUSED')
  })

  test('has the port that the server chose again on the next connection', async () => {
    const port = await bench.serve(turnRound)
    const first = await bench.connect(login())
    const forward = await bench.forward('remote', `0:127.0.0.1:${port}`, first)
    const chosen = forward.port
    await first.close()
    // The server takes a moment to let go of it.
    for (let tries = 0; tries < 2000 && (await endOf(visit(forward))) !== 'ECONNREFUSED'; tries++) await sleep(10)
    await forward.attach(await bench.connect(login()))
    expect(forward.port).toBe(chosen)
    expect(String(await exchange(visit(forward), Buffer.from('abc')))).toBe('cba')
  })

  test('whose target refuses is closed to whoever came, and goes on', async () => {
    const troubles: unknown[] = []
    const forward = await bench.forward('remote', '0:127.0.0.1:1', connection, {
      onTrouble: error => troubles.push(error),
    })
    // OpenSSH accepts before it asks: a close is all it can say.
    expect(await endOf(visit(forward))).toMatch(/^(end|ECONNRESET)$/)
    await until(() => troubles.length === 1)
    expect(troubles).toMatchObject([{ code: 'unreachable', message: '127.0.0.1:1 refuses the connection' }])
  })

  test('whose target breaks: what it had said arrives', async () => {
    const sent = randomBytes(300_000)
    const port = await bench.serve(socket =>
      socket.once('data', () => socket.write(sent, () => socket.resetAndDestroy())),
    )
    const forward = await bench.forward('remote', `0:127.0.0.1:${port}`, connection)
    const socket = visit(forward).on('error', () => {})
    const parts: Buffer[] = []
    socket.on('data', part => parts.push(part)).write('go')
    await new Promise(resolve => socket.on('end', resolve).on('close', resolve))
    const got = Buffer.concat(parts)
    // A RST may overtake bytes on the way; none is ever made up.
    expect(got.equals(sent.subarray(0, got.length))).toBe(true)
    await until(() => forward.counters.open === 0)
    expect(forward.counters.lastError).toMatch(/^(ECONNRESET|EPIPE)$/)
  })
})

test('when the server goes, all that was carried is reset here, whichever side listened', async () => {
  const ends: Promise<string>[] = []
  const port = await bench.serve(socket => {
    ends.push(endOf(socket))
    socket.write('welcome')
  })
  const own = await bench.connect(login())
  const local = await bench.forward('local', `0:127.0.0.1:${port}`, own)
  const remote = await bench.forward('remote', `0:127.0.0.1:${port}`, own)
  const client = visit(local)
  await once(client, 'data')
  const far = visit(remote)
  await once(far, 'data')
  const clientEnd = endOf(client)
  endOf(far)
  await sshd.dropConnections()
  await own.closed
  expect(await clientEnd).toBe('ECONNRESET')
  // The second is the target of the remote forward, which is here. The first one's end is the server's own doing.
  expect(await ends[1]).toBe('ECONNRESET')
  connection = await bench.connect(login())
})

test('a Unix socket as ssh makes it: the same owner, mode and answer', async () => {
  const target = join(bench.path, 'compared')
  await bench.serve(turnRound, target)
  const [ours, theirs] = [join(bench.path, 'ours'), join(bench.path, 'theirs')]
  const forward = await bench.forward('local', `${ours}:${target}`, connection)
  const idFile = join(home.ssh, 'id')
  await user.authorize((await runOrThrow('/bin/cat', [`${idFile}.pub`])).stdout)
  const options = [...opensshOptions(home), '-o', 'StrictHostKeyChecking=no', '-i', idFile, '-p', String(sshd.port)]
  const ssh = await start(peerPath('ssh'), [
    ...options,
    '-N',
    '-v',
    '-L',
    `${theirs}:${target}`,
    `${user.name}@127.0.0.1`,
  ])
  try {
    await ssh.waitFor(/Entering interactive session/)
    const [a, b] = [await lstat(ours), await lstat(theirs)]
    expect([a.mode, a.uid]).toEqual([b.mode, b.uid])
    for (const path of [ours, theirs]) {
      const answer = await exchange(connectSocket({ path, allowHalfOpen: true }), Buffer.from('abc'))
      expect(String(answer)).toBe('cba')
    }
  } finally {
    await ssh.stop()
    await forward.close()
  }
  // Ours is gone; ssh, ended by a signal, leaves its own behind.
  await expect(access(ours)).rejects.toMatchObject({ code: 'ENOENT' })
})
