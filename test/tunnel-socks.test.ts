import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import { join, normalize } from 'node:path'
import { jest } from '@jest/globals'
import type { Connection, Forward } from '@keytool/tunnel'
import { Bench, makeKey } from './tunnel-forwards-fixture.js'
import { type Home, opensshOptions, temporaryHome } from './world/home.js'
import { peerPath } from './world/peers.js'
import { type RunResult, run, runOrThrow } from './world/run.js'
import { type Sshd, startSshd } from './world/sshd.js'
import { createUser, type SystemUser } from './world/system-user.js'

// The SOCKS proxy of -D, and of -R without a target, judged by the programs that use one.

jest.setTimeout(120_000)

const curl = '/usr/bin/curl'
const git = peerPath('git')

let home: Home
let user: SystemUser
let sshd: Sshd
let bench: Bench
let connection: Connection
let narrow: Connection
let proxy: Forward
let web: Server
let site: string
let idFile: string
let body: Buffer

beforeAll(async () => {
  home = await temporaryHome()
  user = await createUser()
  bench = await Bench.open()
  const mine = await makeKey()
  const restricted = await makeKey('restrict')
  idFile = join(home.ssh, 'id')
  await runOrThrow(peerPath('ssh-keygen'), ['-q', '-t', 'ed25519', '-N', '', '-f', idFile])
  const authorizedKeys = [mine.line, restricted.line, await readFile(`${idFile}.pub`, 'utf8')]
  sshd = await startSshd({ users: [user], authorizedKeys })
  await writeFile(join(home.ssh, 'known_hosts'), sshd.knownHosts)
  connection = await bench.connect({ port: sshd.port, user: user.name, key: mine.key })
  narrow = await bench.connect({ port: sshd.port, user: user.name, key: restricted.key })
  proxy = await bench.forward('dynamic', '0', connection)
  body = randomBytes(2 << 20)
  const root = join(bench.path, 'www')
  await mkdir(root)
  await writeFile(join(root, 'file'), body)
  web = createServer(async (request, response) => {
    const path = normalize(new URL(request.url ?? '/', 'http://host').pathname)
    const found = await readFile(join(root, path)).catch(() => undefined)
    response.writeHead(found ? 200 : 404).end(found)
  })
  web.listen(0, '127.0.0.1')
  await once(web, 'listening')
  site = `127.0.0.1:${(web.address() as { port: number }).port}`
})

afterAll(async () => {
  web.close()
  await bench.close()
  await sshd.stop()
  await user.dispose()
  await home.dispose()
})

const ways = ['--socks5-hostname', '--socks5', '--socks4', '--socks4a']

function fetchBy(way: string, url: string, { port }: Forward = proxy): Promise<RunResult> {
  // The server's resolver may wait for one that never answers.
  const patience = { timeoutMs: 60_000 }
  const how = ['-sS', '--max-time', '50', '-o', join(bench.path, 'got'), way, `127.0.0.1:${port}`]
  return run(curl, [...how, url], patience)
}

test.each(ways)('curl %s fetches 2 MiB unchanged', async way => {
  expect(await fetchBy(way, `http://${site}/file`)).toMatchObject({ status: 0, stderr: '' })
  expect((await readFile(join(bench.path, 'got'))).equals(body)).toBe(true)
})

test.each(['--socks5-hostname', '--socks4a'])('curl %s has the server look the name up', async way => {
  const port = site.split(':')[1]
  expect(await fetchBy(way, `http://localhost:${port}/file`)).toMatchObject({ status: 0 })
  const { status, stderr } = await fetchBy(way, 'http://no-such-name.invalid/')
  // 4: host unreachable; 91: rejected or failed.
  expect([status, stderr]).toEqual([97, expect.stringMatching(way === '--socks4a' ? /\(91\)|91, / : /\(4\)/)])
})

test.each([
  ['--socks5', /\(5\)/],
  ['--socks4', /91/],
] as const)('a target that refuses, by curl %s', async (way, told) => {
  const { status, stderr } = await fetchBy(way, 'http://127.0.0.1:1/')
  expect([status, stderr]).toEqual([97, expect.stringMatching(told)])
  expect(proxy.counters.lastError).toBe("the server can't reach 127.0.0.1:1")
})

test('a server that forwards nothing: not allowed', async () => {
  const refused = await bench.forward('dynamic', '0', narrow)
  const { status, stderr } = await fetchBy('--socks5', `http://${site}/file`, refused)
  expect([status, stderr]).toEqual([97, expect.stringMatching(/\(2\)/)])
})

test('a connection that is gone: no success is ever said', async () => {
  const gone = await bench.connect({ port: sshd.port, user: user.name, key: (await lent()).key })
  const forward = await bench.forward('dynamic', '0', gone)
  await gone.close()
  expect(await fetchBy('--socks5', `http://${site}/file`, forward)).toMatchObject({ status: 97 })
})

/** A key of its own for one more connection. */
async function lent() {
  const made = await makeKey()
  await user.authorize(made.line)
  return made
}

test('a web page can do nothing with it', async () => {
  const { status, stdout } = await run(curl, ['-sS', '--max-time', '25', `http://127.0.0.1:${proxy.port}/`])
  expect([status, stdout]).toEqual([expect.any(Number), ''])
  expect([52, 56]).toContain(status)
})

test.each([['5'], ['4']])('ssh through nc -X %s', async version => {
  const { stdout } = await runOrThrow(peerPath('ssh'), [
    ...sshOptions(version),
    `${user.name}@127.0.0.1`,
    'echo arrived',
  ])
  expect(stdout).toBe('arrived\n')
})

function sshOptions(version: string): string[] {
  const command = `/usr/bin/nc -X ${version} -x 127.0.0.1:${proxy.port} %h %p`
  return [...opensshOptions(home), '-i', idFile, '-p', String(sshd.port), '-o', `ProxyCommand=${command}`]
}

describe('git clone', () => {
  let bare: string

  beforeAll(async () => {
    const env = { ...home.env, GIT_CONFIG_GLOBAL: '/dev/null', GIT_CONFIG_NOSYSTEM: '1' }
    const as = (cwd: string, ...args: string[]) =>
      runOrThrow(git, ['-c', 'user.name=t', '-c', 'user.email=t@t.invalid', ...args], { cwd, env })
    const work = join(bench.path, 'work')
    bare = join(bench.path, 'www', 'it.git')
    await as(bench.path, 'init', '-q', work)
    await writeFile(join(work, 'big'), body)
    await as(work, 'add', 'big')
    await as(work, 'commit', '-q', '-m', 'one')
    await as(bench.path, 'clone', '-q', '--bare', work, bare)
    await as(bare, 'update-server-info')
  })

  test('over HTTP', async () => {
    const into = join(bench.path, 'by-http')
    const env = { ...home.env, ALL_PROXY: `socks5h://127.0.0.1:${proxy.port}`, GIT_TERMINAL_PROMPT: '0' }
    const before = proxy.counters.connections
    await runOrThrow(git, ['clone', '-q', `http://${site}/it.git`, into], { env })
    expect((await readFile(join(into, 'big'))).equals(body)).toBe(true)
    expect(proxy.counters.connections).toBeGreaterThan(before)
  })

  test('over ssh', async () => {
    const there = join(user.home, 'it.git')
    await runOrThrow('/bin/cp', ['-r', bare, there])
    await runOrThrow('/bin/chown', ['-R', String(user.uid), there])
    const into = join(bench.path, 'by-ssh')
    const words = [peerPath('ssh'), ...sshOptions('5')].map(word => `'${word}'`)
    const env = { ...home.env, GIT_SSH_COMMAND: words.join(' ') }
    await runOrThrow(git, ['clone', '-q', `ssh://${user.name}@127.0.0.1:${sshd.port}${there}`, into], { env })
    expect((await readFile(join(into, 'big'))).equals(body)).toBe(true)
  })
})

describe('-R without a target: the server’s side has the proxy', () => {
  test.each(ways)('curl %s', async way => {
    const forward = await bench.forward('remote', '0', connection)
    expect(await fetchBy(way, `http://${site}/file`, forward)).toMatchObject({ status: 0 })
    expect((await readFile(join(bench.path, 'got'))).equals(body)).toBe(true)
    expect((await fetchBy(way, 'http://127.0.0.1:1/', forward)).status).toBe(97)
    expect(forward.counters.lastError).toBe('127.0.0.1:1 refuses the connection')
    await forward.close()
  })
})
