import { once } from 'node:events'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Duplex } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { jest } from '@jest/globals'
import { generate, type PrivateKey } from '@keytool/keygen'
import { type Connection, connect, KnownHosts } from '@keytool/tunnel'
import { openssh } from '../packages/keygen/src/formats/openssh.js'
import { readSshConfig } from '../packages/tunnel/src/config/ssh-config/read.js'
import { type CommandDialOptions, dialByCommand } from '../packages/tunnel/src/connection/proxy-command.js'
import { type Home, opensshOptions, temporaryHome } from './world/home.js'
import { peerPath } from './world/peers.js'
import { run } from './world/run.js'
import { type Sshd, startSshd } from './world/sshd.js'
import { createUser, type SystemUser } from './world/system-user.js'

// ProxyCommand: a command of the user's as the way to the server, beside ssh itself and to a real sshd.

jest.setTimeout(90_000)

const target = { host: 'real.example', port: 2201, user: 'deploy', typedHost: 'web1', hostKeyAlias: 'alias' }

async function readAll(stream: Duplex): Promise<string> {
  let text = ''
  for await (const chunk of stream) text += chunk
  return text
}

/** Its error, once it is closed. */
async function troubleOf(stream: Duplex): Promise<unknown> {
  stream.resume()
  if (!stream.closed) await new Promise(resolve => stream.once('close', resolve))
  return stream.errored
}

const isThere = (pid: number) =>
  readFile(`/proc/${pid}/stat`, 'utf8').then(
    stat => !/\) Z /.test(stat),
    () => false,
  )

/** What was killed is there for a moment longer. */
async function untilGone(pid: number): Promise<void> {
  for (let tries = 0; tries < 400 && (await isThere(pid)); tries++) await sleep(50)
  expect(await isThere(pid)).toBe(false)
}

describe('running a command', () => {
  const env = { PATH: '/usr/bin:/bin' }
  const dial = (command: string, more: Partial<CommandDialOptions> = {}) =>
    dialByCommand(command, { ...target, env, ...more })

  test('bytes go both ways, and an end is an end', async () => {
    const stream = await dial('cat')
    const bytes = Buffer.alloc(3 << 20, 'keytool ')
    stream.end(bytes)
    expect((await readAll(stream)) === bytes.toString()).toBe(true)
  })

  test('its answer still comes after our end', async () => {
    const stream = await dial('sh -c "wc -c; echo done"')
    stream.end('12345')
    expect(await readAll(stream)).toMatch(/^ *5\ndone\n$/)
  })

  test('tokens, shell and environment', async () => {
    const stream = await dial('sh -c \'echo "%h $1 $KT $0"\' zero %p', { env: { ...env, KT: 'x' } })
    stream.end()
    expect(await readAll(stream)).toBe('real.example 2201 x zero\n')
  })

  test('the shell of the user', async () => {
    const stream = await dial('echo x', { env: { ...env, SHELL: '/bin/echo' } })
    stream.end()
    expect(await readAll(stream)).toBe('-c exec echo x\n')
    await expect(dial('x', { env: { ...env, SHELL: '/nonexistent/sh' } })).rejects.toMatchObject({
      code: 'failed',
      message: expect.stringContaining('/nonexistent/sh'),
    })
  })

  test('nothing is read ahead of whoever reads, nothing is taken ahead of the command', async () => {
    const stream = await dial('cat /dev/zero')
    await once(stream, 'readable')
    await sleep(200)
    expect(stream.readableLength).toBeLessThan(1 << 20)
    stream.destroy()
    const deaf = await dial('sleep 60')
    let taken = 0
    for (; taken < 1 << 24; taken += 1 << 16) {
      if (deaf.write(Buffer.alloc(1 << 16))) continue
      const drained = await Promise.race([once(deaf, 'drain').then(() => true), sleep(200, false)])
      if (!drained) break
    }
    expect(taken).toBeLessThan(1 << 22)
    expect(deaf.writableNeedDrain).toBe(true)
    deaf.destroy()
    await once(deaf, 'close')
  })

  test.each([
    ['one that fails', 'sh -c "echo nobody is there >&2; exit 3"', 'failed (status 3)', 'nobody is there'],
    ['one that is not there', '/nonexistent/nc %h', 'failed (status 127)', expect.stringMatching(/nonexistent/)],
    ['one that says nothing', 'true', 'ended without a word', undefined],
    ['one that dies', 'sh -c "echo SSH-2.0-x; kill -9 $$"', 'failed (SIGKILL)', undefined],
    ['one that dies later', 'sh -c "echo SSH; sleep 0.1; exit 1"', 'failed (status 1)', undefined],
    ['last words that hurt', 'sh -c "printf \'a\\033[2Jb\' >&2; exit 1"', 'failed (status 1)', 'a\\u{1b}[2Jb'],
  ])('%s', async (_name, command, how, words) => {
    expect(await troubleOf(await dial(command))).toMatchObject({
      code: 'unreachable',
      message: `the ProxyCommand ${how}`,
      reason: words,
    })
  })

  test('what it said before it failed is read first', async () => {
    const stream = await dial('sh -c "echo words; exit 1"')
    await sleep(300)
    const first = once(stream, 'data')
    const trouble = troubleOf(stream)
    expect(String((await first)[0])).toBe('words\n')
    expect(await trouble).toMatchObject({ message: 'the ProxyCommand failed (status 1)' })
  })

  test('a write to one that has ended is no crash', async () => {
    const stream = await dial('sh -c "exit 5"')
    await sleep(100)
    stream.write('x')
    stream.write('y')
    expect(await troubleOf(stream)).toMatchObject({ message: 'the ProxyCommand failed (status 5)' })
  })

  test('its standard error comes line by line, escaped and cut', async () => {
    const lines: string[] = []
    const long = 'y'.repeat(5000)
    const stream = await dial(`sh -c "printf 'one\\n\\n  t\\033wo\\n${long}\\n' >&2; echo x"`, {
      onStderr: line => lines.push(line),
    })
    stream.end()
    await readAll(stream)
    expect(lines).toEqual(['one', 't\\u{1b}wo', `${'y'.repeat(200)}…`])
  })

  test.each([
    ['one that hangs', 'sleep 60'],
    ['one that will not go', `sh -c 'trap "" HUP TERM; echo $$; while :; do sleep 1; done'`],
    ['what it has started', `sh -c 'sleep 61 & echo $!; cat'`],
  ])('%s is ended with the stream', async (_name, command) => {
    const stream = await dial(command)
    const pid = command.includes('echo') ? Number(String((await once(stream, 'data'))[0])) : undefined
    if (pid !== undefined) expect(await isThere(pid)).toBe(true)
    stream.destroy()
    await once(stream, 'close')
    if (pid !== undefined) await untilGone(pid)
  })

  test('the signal ends it before it has spoken, and not after', async () => {
    const early = new AbortController()
    const hanging = await dial('sleep 60', { signal: early.signal })
    early.abort()
    expect(await troubleOf(hanging)).toMatchObject({ code: 'cancelled' })
    await expect(dial('cat', { signal: early.signal })).rejects.toMatchObject({ code: 'cancelled' })
    const late = new AbortController()
    const stream = await dial('cat', { signal: late.signal })
    stream.write('x')
    await once(stream, 'data')
    late.abort()
    stream.end('y')
    expect(await readAll(stream)).toBe('y')
  })

  test.each([
    ['', 'usage'],
    ['none', 'usage'],
    ['a\0b', 'usage'],
    ['-', 'unsupported'],
  ])('a command of %j is none', async (command, code) => {
    await expect(dial(command)).rejects.toMatchObject({ code })
  })
})

describe('to a real server', () => {
  let home: Home
  let user: SystemUser
  let sshd: Sshd
  let key: PrivateKey
  let keyFile: string

  beforeAll(async () => {
    home = await temporaryHome()
    user = await createUser()
    key = await generate('ed25519', { comment: 'test' })
    keyFile = join(home.ssh, 'id_ed25519')
    await writeFile(keyFile, await openssh.write(key), { mode: 0o600 })
    sshd = await startSshd({ users: [user], authorizedKeys: [lineOf(key)] })
    await writeFile(join(home.ssh, 'known_hosts'), sshd.knownHosts)
    await writeFile(join(home.path, 'carry.cjs'), carry)
  }, 90_000)
  afterAll(async () => {
    await sshd.stop()
    await user.dispose()
    await home.dispose()
  })

  function through(command: string, more: { stepTime?: number } = {}): Promise<Connection> {
    const { host, port } = sshd
    const knownHosts = new KnownHosts({ home: home.path, files: [join(home.ssh, 'known_hosts')], systemFiles: [] })
    const options = { host, port, user: user.name, env: home.env }
    return connect({
      ...options,
      signers: [key],
      hosts: { knownHosts },
      ...more,
      dial: () => dialByCommand(command, options),
    })
  }

  const hop = () =>
    [
      peerPath('ssh'),
      ...opensshOptions(home),
      '-i',
      keyFile,
      '-p',
      sshd.port,
      '-W',
      '%h:%p',
      `${user.name}@${sshd.host}`,
    ].join(' ')
  /** What netcat does; there are several of that name. */
  const carrier = () => `${process.execPath} ${join(home.path, 'carry.cjs')} %h %p`
  const carry = `const socket = require('node:net').connect({ host: process.argv[2], port: process.argv[3], allowHalfOpen: true })
require('node:fs').writeFileSync(__dirname + '/pid', String(process.pid))
process.stdin.pipe(socket).pipe(process.stdout)`
  const readPid = async () => Number(await readFile(join(home.path, 'pid'), 'utf8'))

  test.each([
    ['a carrier of bytes', carrier],
    ['ssh -W', hop],
  ])('through %s', async (_name, command) => {
    const connection = await through(command())
    const { stdout } = await connection.exec('echo $((6*7)); head -c 3000000 /dev/zero | wc -c')
    expect(String(stdout)).toBe('42\n3000000\n')
    await connection.close()
    expect(await connection.closed).toBeUndefined()
  })

  test('one that dies midway breaks the connection', async () => {
    const connection = await through(carrier())
    process.kill(await readPid(), 'SIGKILL')
    expect(await connection.closed).toMatchObject({ code: 'unreachable' })
  })

  test('nothing is left behind when the connection is closed', async () => {
    const connection = await through(carrier())
    const pid = await readPid()
    expect(await isThere(pid)).toBe(true)
    await connection.close()
    await untilGone(pid)
  })

  test.each([
    ['says something else', 'sh -c "echo hello; cat >/dev/null"', 'damaged', 3000],
    ['writes garbage', 'head -c 100000 /dev/urandom', 'damaged', 20_000],
    ['hangs', 'sleep 60', 'unreachable', 1000],
  ])('one that %s', async (_name, command, code, stepTime) => {
    await expect(through(command, { stepTime })).rejects.toMatchObject({ code })
  })

  test.each([
    ['is not there', '/nonexistent/carrier %h', 'failed (status 127)'],
    ['fails', 'sh -c "echo no way >&2; exit 1"', 'failed (status 1)'],
    ['says nothing', 'true', 'ended without a word'],
  ])('one that %s says so', async (_name, command, how) => {
    const error = await through(command).catch(error => error)
    expect(error).toMatchObject({ code: 'unreachable' })
    expect(`${error.message}\n${error.reason}`).toContain(`the ProxyCommand ${how}`)
  })

  test('tokens are what ssh makes of them', async () => {
    // A script of its own: ssh ends its command once that lets go of the output.
    const script = join(home.path, 'say.sh')
    await writeFile(script, `file=$1\nshift\nprintf '%s|' "$@" >"$file"\nexit 1\n`)
    const say = (file: string) => `/bin/sh ${script} ${join(home.path, file)} "%h" %n %p %r %k 100%%`
    const config = (file: string) =>
      `Host web1\n  HostName Real.example\n  HostKeyAlias AL\n  Port 2201\n  User deploy\nHost web*\n  ProxyCommand ${say(file)}\n`
    await writeFile(join(home.path, 'config'), config('theirs'))
    await writeFile(join(home.path, 'config.ours'), config('ours'))
    await run(peerPath('ssh'), ['-F', join(home.path, 'config'), '-o', 'BatchMode=yes', 'web1'])
    const query = { host: 'web1', localUser: 'root', home: home.path }
    const { host, port, user, hostKeyAlias, proxyCommand } = await readSshConfig(query, {
      file: join(home.path, 'config.ours'),
    })
    const options = { host, port: port ?? 22, user: user ?? '', typedHost: 'web1', hostKeyAlias, env: home.env }
    const stream = await dialByCommand(proxyCommand ?? '', options)
    expect(await troubleOf(stream)).toMatchObject({ code: 'unreachable' })
    const [theirs, ours] = await Promise.all(['theirs', 'ours'].map(name => readFile(join(home.path, name), 'utf8')))
    expect(ours).toBe(theirs)
    expect(ours).toBe('real.example|web1|2201|deploy|al|100%|')
  })
})

function lineOf({ publicKey }: PrivateKey): string {
  return `${publicKey.algorithm.name} ${publicKey.blob.toString('base64')} ${publicKey.comment}`
}
