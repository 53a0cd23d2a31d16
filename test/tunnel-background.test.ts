import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdir, readdir, readFile, rename, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { jest } from '@jest/globals'
import { findProcesses, waitForEnd } from './agent-fixture.js'
import { makeKey } from './agent-hosts.js'
import { eventually, greetingAt, openTunnelWorld, portIn, type TunnelWorld } from './tunnel-cli-fixture.js'
import { temporaryHome } from './world/home.js'
import { findFreePort } from './world/port.js'
import { residentKeytool } from './world/resident.js'
import { keytoolPath, run, runOrThrow } from './world/run.js'
import { openTerminal } from './world/terminal.js'

// `keytool tunnel --background`, `status` and `stop`, against OpenSSH's server.

jest.setTimeout(120_000)

let world: TunnelWorld
let target: number
/** A folder that holds nothing but a tunnel's place and its log, for each test that breaks something there. */
const logs = () => join(world.home.path, '.local/state/keytool/tunnels')
const places = () => join(world.home.runtime, 'keytool/tunnels')

beforeAll(async () => {
  world = await openTunnelWorld()
  target = await world.serve(socket => socket.end('hello\n'))
  await makeKey(join(world.home.path, 'other'))
})

afterEach(() => world.clear())

afterAll(() => world?.dispose())

/** Who has said why it does not run may take a moment to be gone. */
const nothingRuns = () => eventually(world.processes, left => left.length === 0)

const forward = () => ['-L', `0:127.0.0.1:${target}`]
const start = (...more: string[]) => world.tunnel(['--background', ...forward(), ...more, ...world.there])

describe('--background', () => {
  test('returns once it carries, says where, and lets go of the pipes; status and stop find it', async () => {
    const script = 'out=$("$@"); echo "$out"; "$@" | cat'
    const line = [process.execPath, keytoolPath, 'tunnel', '--background', ...forward(), ...world.there]
    // `run` ends only when nobody holds its pipes any more.
    const { status, stdout, stderr } = await run('/bin/sh', ['-c', script, 'sh', ...line], { env: world.env })
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
    const name = `${world.user.name}@127.0.0.1:${world.sshd.port}`
    const [, pid] =
      /^in the background \(pid (\d+)\); log: ~\/\.local\/state\/keytool\/tunnels\/\S+\.log$/m.exec(stdout) ?? []
    expect(stdout.split('\n').slice(0, 2)).toEqual([
      expect.stringMatching(new RegExp(`^127\\.0\\.0\\.1:\\d+ -> 127\\.0\\.0\\.1:${target}$`)),
      'protected as far as 127.0.0.1; what lies behind it is not',
    ])
    expect(stdout).toContain(`tunnel ${name}: already running (pid ${pid})\n`)
    expect(await greetingAt(portIn(stdout))).toBe('hello\n')

    const [facts, ...others] = await eventually(
      world.status,
      ([first]) => first?.forwards[0]?.['state'] === 'up' && first.forwards[0]['open'] === 0,
    )
    expect(others).toEqual([])
    expect(facts).toEqual({
      name,
      state: 'up',
      pid: Number(pid),
      since: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
      until: null,
      reconnects: 0,
      lastError: null,
      forwards: [
        {
          kind: 'local',
          listen: `127.0.0.1:${portIn(stdout)}`,
          to: `127.0.0.1:${target}`,
          state: 'up',
          connections: 1,
          open: 0,
          bytesIn: 6,
          bytesOut: 0,
          lastError: null,
        },
      ],
    })
    const text = (await world.ours('tunnel', 'status')).stdout
    expect(text).toMatch(new RegExp(`^${name.replaceAll('.', '\\.')} +up 00:00:\\d\\d +reconnects 0 +pid ${pid}\n`))
    expect(text).toMatch(/\n {2}127\.0\.0\.1:\d+ -> 127\.0\.0\.1:\d+ +alive +0 conns, 1 so far +6 B in +0 B out\n$/)
    expect((await world.ours()).stdout).toContain(`tunnels   ${name} (up)\n`)

    const place = join(places(), (await readdir(places()))[0] ?? '')
    expect((await stat(place)).mode & 0o777).toBe(0o600)
    expect((await stat(places())).mode & 0o777).toBe(0o700)
    // Another tunnel to this place has a log of its own.
    const own = (await readdir(logs())).filter(file => /^.+-[0-9a-f]{6}\.log$/.test(file))
    expect(own[0]).toMatch(new RegExp(`^${name.replace(':', '_').replaceAll('.', '\\.')}-`))
    const log = await readFile(join(logs(), own[0] ?? ''), 'utf8')
    expect(log).toMatch(/ {2}connecting\n.* {2}up\n/)

    expect(await world.ours('tunnel', 'stop', name)).toMatchObject({ status: 0, stdout: `ok tunnel ${name} stopped\n` })
    await waitForEnd(Number(pid))
    expect(await readdir(places())).toEqual([])
    expect(await world.status()).toEqual([])
    expect(await world.ours('tunnel', 'status')).toMatchObject({ status: 0, stdout: '', stderr: 'no tunnel runs\n' })
  })

  test('--json has one value, --quiet none', async () => {
    const facts = JSON.parse((await start('--json')).stdout)
    expect(facts).toMatchObject({
      name: `${world.user.name}@127.0.0.1:${world.sshd.port}`,
      pid: expect.any(Number),
      state: 'up',
      forwards: [{ kind: 'local', to: `127.0.0.1:${target}` }],
      log: expect.stringMatching(/\.log$/),
    })
    expect(JSON.parse((await start('--json')).stdout)).toMatchObject({ state: 'already running', pid: facts.pid })
    await world.ours('tunnel', 'stop', '--all')
    expect(await start('--quiet')).toMatchObject({ status: 0, stdout: '', stderr: '' })
    expect(JSON.parse((await world.ours('tunnel', 'stop', '--all', '--json')).stdout)).toEqual({
      stopped: [facts.name],
    })
  })

  test.each<[string, number, RegExp, () => Promise<string[]> | string[]]>([
    [
      'a port in use',
      1,
      /in use\n.*\(pid \d+\)\n.*a free port: -L \d+:/,
      () => ['-L', `${target}:a:1`, ...world.there],
    ],
    ['a forward that can’t be read', 2, /./, () => ['-L', 'x', ...world.there]],
    ['a closed port', 7, /./, async () => ['-L', '0:a:1', '-p', String(await findFreePort()), 'x@127.0.0.1']],
    ['another host key', 8, /host key/, () => ['-o', 'HostKeyAlias=other', '-L', '0:a:1', ...world.there]],
    ['a key that is refused', 5, /refuses/, () => ['-L', '0:a:1', '-i', 'other', ...world.there]],
    ['a remote port the server refuses', 4, /./, () => ['-R', '1:a:1', ...world.there]],
  ])('%s: %d as in the foreground, in the same words, and nothing is left', async (_what, status, says, line) => {
    const args = await line()
    const [plain, background] = [await world.tunnel(args), await world.tunnel(['--background', ...args])]
    expect(background).toMatchObject({ status, stdout: '', stderr: expect.stringMatching(says) })
    const blank = (text: string) => text.replace(/-L \d+:/g, '-L N:')
    expect(blank(background.stderr)).toBe(blank(plain.stderr))
    await nothingRuns()
    expect(await world.status()).toEqual([])
    expect(await readdir(places()).catch(() => [])).toEqual([])
  })

  test('an error in JSON is one value', async () => {
    const port = String(await findFreePort())
    const { status, stdout, stderr } = await world.tunnel([
      '--background',
      '--json',
      '-L',
      '0:a:1',
      '-p',
      port,
      'x@127.0.0.1',
    ])
    expect({ status, stdout }).toEqual({ status: 7, stdout: '' })
    expect(JSON.parse(stderr)).toMatchObject({ error: { code: 'unreachable' } })
  })

  test('three times at the same instant, one of them in the foreground: one runs, all are content', async () => {
    const held = await world.hold([...forward(), ...world.there])
    const [one, two] = await Promise.all([start(), start()])
    await held.waitFor(/protected as far as|already running/)
    const texts = [one.stdout, two.stdout, held.stdout.text]
    expect(texts.filter(text => text.includes('already running'))).toHaveLength(2)
    expect([one.status, two.status]).toEqual([0, 0])
    expect(await world.status()).toHaveLength(1)
    expect(await held.stop()).toEqual({ status: 0, signal: null })
  })

  test('a session: by its name, even once it was removed', async () => {
    await world.ours('session', 'save', 'mail', ...world.there, ...forward())
    expect(await world.tunnel(['--background', 'mail'])).toMatchObject({ status: 0, stderr: '' })
    // A session is one tunnel: what is said besides is named, not opened.
    expect(await world.ours('tunnel', 'mail', ...forward(), '-L', '0:127.0.0.1:1')).toMatchObject({
      status: 0,
      stdout: expect.stringContaining('already running'),
      stderr:
        'not among its forwards: 0 -> 127.0.0.1:1\n' +
        'to start it with all of them, end it first: keytool tunnel stop mail\n',
    })
    expect(await world.tunnel(['mail'])).toMatchObject({
      status: 0,
      stdout: expect.stringContaining('tunnel mail: already'),
    })
    expect((await world.status())[0]).toMatchObject({ name: 'mail', state: 'up' })
    await world.ours('session', 'remove', 'mail')
    expect((await world.status())[0]).toMatchObject({ name: 'mail', state: 'up' })
    expect(await world.ours('tunnel', 'stop', 'mail')).toMatchObject({ status: 0 })
  })

  test('the password in standard input gets there', async () => {
    const nobody = join(world.home.path, 'nobody')
    const args = ['--background', '--password-file', '-', '-o', 'PubkeyAuthentication=no', ...forward(), ...world.there]
    expect(await world.tunnel(args, { input: `${world.user.password}\n` })).toMatchObject({ status: 0, stderr: '' })
    expect(await stat(nobody).catch(() => undefined)).toBeUndefined()
  })
})

describe('stop', () => {
  test.each([
    ['a name that nobody has: 3', ['nobody'], 3],
    ['no name: 2', [], 2],
    ['a name and --all: 2', ['a', '--all'], 2],
  ])('%s', async (_what, args, status) => {
    expect(await world.ours('tunnel', 'stop', ...args)).toMatchObject({ status, stdout: '' })
  })

  test('--all of none: 0, and says so', async () => {
    expect(await world.ours('tunnel', 'stop', '--all')).toMatchObject({ status: 0, stderr: 'no tunnel runs\n' })
  })
})

test('one that was killed is not shown, and leaves nothing in the way', async () => {
  await start()
  const [facts] = await world.status()
  process.kill(facts?.pid ?? 0, 'SIGKILL')
  await waitForEnd(facts?.pid ?? 0)
  expect(await readdir(places())).toHaveLength(1)
  expect(await world.status()).toEqual([])
  expect(await start()).toMatchObject({ status: 0, stderr: '' })
})

test('one that stopped by itself says why, until it is started again or stopped', async () => {
  const end = async () => {
    expect(await start()).toMatchObject({ status: 0 })
    await rename(world.user.authorizedKeysFile, `${world.user.authorizedKeysFile}.away`)
    await world.sshd.dropConnections()
    await nothingRuns()
    await rename(`${world.user.authorizedKeysFile}.away`, world.user.authorizedKeysFile)
    return world.status()
  }
  const [facts, ...others] = await end()
  expect(others).toEqual([])
  expect(facts).toMatchObject({
    state: 'stopped',
    pid: null,
    lastError: expect.stringContaining('refuses the key'),
    forwards: [{ open: 0 }],
  })
  const text = (await world.ours('tunnel', 'status')).stdout
  expect(text).toMatch(/ stopped 00:00:\d\d .*[\s\S]*refuses the key/)
  expect(text).not.toContain('pid')
  expect((await world.ours()).stdout).toContain('(stopped)')
  // Started again, it is forgotten.
  expect(await start()).toMatchObject({ status: 0 })
  expect((await world.status()).map(({ state }) => state)).toEqual(['up'])
  await world.ours('tunnel', 'stop', '--all')
  expect(await world.status()).toEqual([])
  // Stopped, it is, too.
  const name = (await end())[0]?.name ?? ''
  expect((await world.ours('tunnel', 'stop', name)).stdout).toBe(`ok tunnel ${name} had stopped already\n`)
  expect(await world.status()).toEqual([])
})

describe('what others put in the way', () => {
  afterEach(() => rm(places(), { recursive: true, force: true }))

  test.each<[string, () => Promise<unknown>]>([
    ['a folder that others may enter', () => mkdir(places(), { recursive: true }).then(() => chmod(places(), 0o755))],
    ['a link', () => rm(places(), { recursive: true, force: true }).then(() => symlink('/tmp', places()))],
    ['a file', () => rm(places(), { recursive: true, force: true }).then(() => writeFile(places(), ''))],
  ])('%s in the place of our folder: 4 in the background; in the foreground it is said', async (_what, put) => {
    await put()
    const refused = await start()
    expect(refused).toMatchObject({ status: 4, stdout: '' })
    expect(refused.stderr).toContain('run/keytool/tunnels')
    await nothingRuns()
    const held = await world.hold([...forward(), ...world.there])
    await held.waitFor(/protected as far as/)
    await held.stderr.waitFor(/tunnel status will not see this one/)
    expect(await held.stop()).toEqual({ status: 0, signal: null })
    expect(await world.status()).toEqual([])
  })

  test('a link in the place of its socket: 4, left as it is, not shown', async () => {
    await start()
    const [name = ''] = await readdir(places())
    await world.ours('tunnel', 'stop', '--all')
    await symlink('/nonexistent', join(places(), name))
    expect(await world.status()).toEqual([])
    expect(await start()).toMatchObject({ status: 4, stdout: '' })
    expect(await readdir(places())).toEqual([name])
  })
})

describe('the log', () => {
  const log = (path: string) => start('--log', path)

  test('a pipe that nobody reads is refused: 4, and nothing runs', async () => {
    const path = join(world.home.path, 'log')
    await runOrThrow('mkfifo', [path])
    expect(await log(path)).toMatchObject({ status: 4, stdout: '' })
    await nothingRuns()
  })

  test('a disk that fills up is no reason to let go', async () => {
    const disk = join(world.home.path, 'disk')
    await mkdir(disk)
    await runOrThrow('mount', ['-t', 'tmpfs', '-o', 'size=8k,mode=700', 'tmpfs', disk])
    try {
      await writeFile(join(disk, 'log'), '')
      await writeFile(join(disk, 'rest'), Buffer.alloc(4096))
      expect(await log(join(disk, 'log'))).toMatchObject({ status: 0 })
      await writeFile(join(disk, 'more'), Buffer.alloc(4096)).catch(() => undefined)
      await world.sshd.dropConnections()
      await eventually(world.status, ([first]) => first?.reconnects === 1 && first.state === 'up')
      await world.clear()
    } finally {
      await runOrThrow('umount', ['-l', disk])
    }
  })

  test('a file that is moved away is begun anew', async () => {
    const path = join(world.home.path, 'own.log')
    await log(path)
    expect((await stat(path)).mode & 0o777).toBe(0o600)
    await rename(path, `${path}.1`)
    await world.sshd.dropConnections()
    const text = await eventually(
      () => readFile(path, 'utf8').catch(() => ''),
      read => /lost: .*; next try (at once|in [\d.]+ s)\n.* connecting\n.* up\n/.test(read),
    )
    for (const line of text.trim().split('\n')) expect(line).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z {2}\S/)
  })
})

test('whoever starts it may be killed: what was up goes on', async () => {
  const args = [keytoolPath, 'tunnel', '--background', ...forward(), ...world.there]
  const child = spawn(process.execPath, args, { env: world.env, detached: true, stdio: ['ignore', 'pipe', 'ignore'] })
  await once(child.stdout, 'data')
  child.kill('SIGKILL')
  expect((await eventually(world.status, ([first]) => first?.state === 'up'))[0]).toMatchObject({ reconnects: 0 })
})

describe('asked on the terminal of whoever starts it', () => {
  const fresh = async (knownHosts: string) => {
    const home = await temporaryHome()
    await writeFile(join(home.ssh, 'known_hosts'), knownHosts)
    const open = (...more: string[]) =>
      openTerminal([process.execPath, keytoolPath, 'tunnel', '--background', ...forward(), ...more, ...world.there], {
        env: home.env,
        cols: 120,
      })
    const stop = () => residentKeytool(['tunnel', 'stop', '--all'], { env: home.env })
    return { home, open, stop, left: () => findProcesses(home) }
  }

  test('host key and password: then it is in the background, and the terminal is free', async () => {
    const { home, open, stop, left } = await fresh('')
    const terminal = await open()
    await terminal.waitFor(/yes\/no\/\[fingerprint\]/)
    await terminal.type('yes\r')
    await terminal.waitFor(/password for/)
    await terminal.type('wrong\r')
    await terminal.waitFor(/that was refused; 2 tries left/)
    await terminal.type(`${world.user.password}\r`)
    expect(await terminal.exitStatus()).toBe(0)
    const screen = await terminal.screen()
    expect(screen).toContain(world.sshd.fingerprints.ed25519)
    expect(screen).toMatch(
      /\n127\.0\.0\.1:\d+ -> 127\.0\.0\.1:\d+\nprotected as far as .*\nin the background \(pid \d+\)/,
    )
    expect(await terminal.transcript()).not.toContain(world.user.password)
    await terminal.close()
    // The terminal is gone, and it is not.
    const [running] = await eventually(left, all => all.length === 1)
    for (const place of ['cmdline', 'environ']) {
      expect(await readFile(`/proc/${running?.pid}/${place}`, 'utf8')).not.toContain(world.user.password)
    }
    await stop()
    await eventually(left, all => all.length === 0)
    await home.dispose()
  })

  test.each([
    ['the host key', '', /yes\/no/],
    ['the password', 'known', /password for/],
  ])('Ctrl-C at %s: 130, and nothing is left', async (_what, known, question) => {
    const { home, open, left } = await fresh(known && world.sshd.knownHosts)
    const terminal = await open()
    await terminal.waitFor(question)
    await terminal.type('\x03')
    expect(await terminal.exitStatus()).toBe(130)
    await terminal.close()
    await eventually(left, all => all.length === 0)
    await home.dispose()
  })

  test('a server that loses its patience: 7, and the question is gone', async () => {
    const { home, open, left } = await fresh(world.sshd.knownHosts)
    for (const more of [[], ['--wait']]) {
      const terminal = await open(...more)
      await terminal.waitFor(/password for/)
      await world.sshd.dropConnections()
      if (more.length === 0)
        expect([await terminal.exitStatus(), await terminal.screen()]).toEqual([
          7,
          expect.stringContaining('closed the connection'),
        ])
      else {
        await terminal.waitFor(/password for[\s\S]*password for/)
        await terminal.type('\x03')
        expect(await terminal.exitStatus()).toBe(130)
      }
      await terminal.close()
    }
    await eventually(left, all => all.length === 0)
    await home.dispose()
  })
})
