import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { open, readFile, writeFile } from 'node:fs/promises'
import { type AddressInfo, createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { jest } from '@jest/globals'
import { type Environment, type Home, opensshOptions, temporaryHome } from './world/home.js'
import { peerPath } from './world/peers.js'
import { residentKeytool } from './world/resident.js'
import { keytool, keytoolPath, type RunOptions, type RunResult, run } from './world/run.js'
import { startSshAgent } from './world/ssh-agent.js'
import { type Sshd, startSshd } from './world/sshd.js'
import { startKeytool } from './world/start.js'
import { createUser, type SystemUser } from './world/system-user.js'

// `keytool connect` with a command, against OpenSSH's server, beside OpenSSH's client.

jest.setTimeout(120_000)

const MiB = 1024 * 1024

let home: Home
let user: SystemUser
let sshd: Sshd
let env: Environment

beforeAll(async () => {
  home = await temporaryHome()
  env = home.env
  user = await createUser()
  await keytool(['gen', '-t', 'ed25519', '--no-passphrase'], { env })
  sshd = await startSshd({
    users: [user],
    authorizedKeys: [await readFile(join(home.ssh, 'id_ed25519.pub'), 'utf8')],
    config: ['AcceptEnv LANG LC_*'],
  })
  await writeFile(join(home.ssh, 'known_hosts'), sshd.knownHosts)
})

afterAll(async () => {
  await sshd.stop()
  await user.dispose()
  await home.dispose()
})

/** Does it for each of them, three at a time: most of it is waiting. */
async function inTurn<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = []
  const waiting = [...items.entries()]
  const take = async () => {
    for (let next = waiting.shift(); next; next = waiting.shift()) results[next[0]] = await work(next[1])
  }
  await Promise.all([take(), take(), take()])
  return results
}

/** What a command there leaves in a file when it ends, which may be later than it ends here. Empty when it never does. */
async function readOnceWritten(file: string): Promise<string> {
  for (let tries = 0; tries < 400; tries++) {
    const text = await readFile(file, 'utf8').catch(() => '')
    if (text !== '') return text
    await sleep(50)
  }
  return ''
}

const there = () => ['-p', String(sshd.port), `${user.name}@127.0.0.1`]

const ours = (words: readonly string[], options: RunOptions = {}) =>
  keytool(['connect', ...there(), ...words], { env, ...options })

function theirs(words: readonly string[], options: RunOptions = {}) {
  const key = ['-o', 'IdentitiesOnly=yes', '-o', 'SendEnv=LANG LC_*', '-i', join(home.ssh, 'id_ed25519')]
  return run(peerPath('ssh'), [...opensshOptions(home), ...key, ...there(), ...words], { env, ...options })
}

describe('as ssh does it', () => {
  const rows: readonly (readonly [words: string[], input?: string])[] = [
    [['true']],
    [['exit 3']],
    [['exit 255']],
    [['kill -TERM $$']],
    [['kill -KILL $$']],
    [['echo out; echo err >&2; exit 4']],
    [['echo', 'a', 'b   c', '$HOME', '-p', '--json']],
    [['-T', 'echo', '-n', 'x']],
    [['--', 'echo', 'x']],
    [['no-such-command']],
    [['printf "no newline"; printf "nor here" >&2']],
    [['exec 1>&-; echo late >&2']],
    [['cat; echo end'], 'typed'],
    [['head -c 2'], 'more than that'],
    [['cat; exit 9'], ''],
    [['sleep 0.2 & exit 3']],
    [['env | grep LANG']],
    [['-T'], 'echo shell; exit 7\n'],
    [['-T', ''], 'echo shell; exit 7\n'],
    [['-tt', 'stty -echo; test -t 0 && test -t 1 && echo terminal $TERM; exit 5']],
  ]
  let results: (readonly [RunResult, RunResult])[]

  beforeAll(async () => {
    results = await inTurn(rows, ([words, input = '']) => {
      const options = { input, env: { ...env, TERM: 'vt220' } }
      return Promise.all([theirs(words, options), ours(words, options)])
    })
  })

  test.each(rows.map(([words], i) => [words.join(' '), i] as const))('%s', (_words, i) => {
    // Both say that a terminal's connection was closed, each in its own words.
    const [ssh, keytool] = (results[i] ?? []).map(({ stderr, ...rest }) => ({
      ...rest,
      stderr: stderr.replace(/^connection to \S+ closed\.?\r?\n/im, ''),
    }))
    expect(keytool).toEqual(ssh)
  })
})

test('bytes pass as they are, both ways', async () => {
  const bytes = randomBytes(10 * MiB)
  const child = spawn(process.execPath, [keytoolPath, 'connect', ...there(), 'cat'], { env })
  const parts: Buffer[] = []
  child.stdout.on('data', part => parts.push(part))
  child.stdin.end(bytes)
  const [status] = await once(child, 'close')
  expect(status).toBe(0)
  expect(Buffer.concat(parts).equals(bytes)).toBe(true)
})

describe('a side that is slow', () => {
  /** The most memory a process has had so far, in MiB. */
  async function peakOf(pid: number | undefined): Promise<number> {
    const kib = /VmHWM:\s+(\d+)/.exec(await readFile(`/proc/${pid}/status`, 'utf8'))?.[1]
    return Number(kib) / 1024
  }

  test('here: 100 MB wait there', async () => {
    const child = spawn(process.execPath, [keytoolPath, 'connect', ...there(), 'head -c 100000000 /dev/zero'], { env })
    await once(child.stdout, 'readable')
    await sleep(1000)
    expect(await peakOf(child.pid)).toBeLessThan(160)
    let size = 0
    child.stdout.on('data', part => {
      size += part.length
    })
    expect(await once(child, 'close')).toEqual([0, null])
    expect(size).toBe(100_000_000)
  })

  test('there: 100 MB wait here', async () => {
    const child = spawn(process.execPath, [keytoolPath, 'connect', ...there(), 'sleep 1; wc -c'], { env })
    const block = Buffer.alloc(1_000_000)
    let count = ''
    child.stdout.on('data', part => {
      count += part
    })
    for (let i = 0; i < 100; i++) if (!child.stdin.write(block)) await once(child.stdin, 'drain')
    expect(await peakOf(child.pid)).toBeLessThan(160)
    child.stdin.end()
    expect(await once(child, 'close')).toEqual([0, null])
    expect(count).toBe('100000000\n')
  })

  test('gone: it ends quietly, and so does the command', async () => {
    const pipe = '"$0" "$1" connect -p "$2" "$3" \'yes; echo $? > status\' | head -c 5000000 | wc -c'
    const [, port = '', target = ''] = there()
    const result = await run('/bin/sh', ['-c', pipe, process.execPath, keytoolPath, port, target], { env })
    expect(result).toMatchObject({ status: 0, stdout: '5000000\n', stderr: '' })
    const status = join(user.home, 'status')
    expect(await readOnceWritten(status)).toMatch(/^[1-9]\d*\n$/)
  })

  test('full: 1, and it is said', async () => {
    const full = await open('/dev/full', 'w')
    const child = spawn(process.execPath, [keytoolPath, 'connect', ...there(), 'echo x; sleep 30'], {
      env,
      stdio: ['ignore', full.fd, 'pipe'],
    })
    let said = ''
    child.stderr?.on('data', part => {
      said += part
    })
    expect(await once(child, 'close')).toEqual([1, null])
    expect(said).toBe("keytool: the output can't be written: ENOSPC\n")
    await full.close()
  })
})

describe('how it ends otherwise', () => {
  test('the connection is lost: 7, after what had come', async () => {
    const running = await startKeytool(['connect', ...there(), 'echo up; sleep 30'], { env })
    await running.waitFor(/up/)
    await sshd.dropConnections()
    expect(await running.exit).toEqual({ status: 7, signal: null })
    expect(running.stdout.text).toBe('up\n')
    expect(running.stderr.text).toMatch(/^keytool: .*127\.0\.0\.1:\d+/)
    expect(running.stderr.lines.length).toBeLessThanOrEqual(3)
  })

  test.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
    ['SIGHUP', 129],
  ] as const)('%s: %i, and the command there gets it, too', async (signal, status) => {
    const file = join(user.home, signal)
    const trap = `exec 2>&-; trap 'echo caught > ${file}; exit' ${signal.slice(3)}; echo up; while :; do sleep 0.05; done`
    const running = await startKeytool(['connect', ...there(), trap], { env })
    await running.waitFor(/up/)
    expect(await running.stop(signal)).toEqual({ status, signal: null })
    expect(await readOnceWritten(file)).toBe('caught\n')
    expect(running.stderr.text).toBe('')
  })

  test('the command gets a signal also when its input has ended before', async () => {
    const trap = `trap 'echo caught > caught; exit' INT; cat; echo up; while :; do sleep 0.05; done`
    const running = await startKeytool(['connect', ...there(), trap], { env })
    running.endInput()
    await running.waitFor(/up/)
    await running.stop('SIGINT')
    expect(await readOnceWritten(join(user.home, 'caught'))).toBe('caught\n')
  })
})

test('ConnectTimeout is for the handshake, too, as with ssh', async () => {
  const silent = createServer(socket => void socket.on('error', () => {}).resume()).listen(0, '127.0.0.1')
  await once(silent, 'listening')
  const { port } = silent.address() as AddressInfo
  const line = ['connect', '-o', 'ConnectTimeout=1', '-p', String(port), 'x@127.0.0.1', 'true']
  const { status, stderr } = await residentKeytool(line, { env })
  expect({ status, stderr }).toEqual({
    status: 7,
    stderr: `keytool: 127.0.0.1:${port} does not answer\n  waited 1 s for its greeting\n`,
  })
  silent.close()
})

describe('what the server says to whoever logs in', () => {
  test('is shown, and with -q or LogLevel=ERROR it is not, as with ssh', async () => {
    const banner = join(home.path, 'banner')
    await writeFile(banner, 'Authorized \u001b[7musers only.\n\n')
    const { hostKeyFiles } = sshd
    const greeting = await startSshd({ users: [user], config: [`Banner ${banner}`], hostKeyFiles })
    try {
      const to = ['-o', `HostKeyAlias=[127.0.0.1]:${sshd.port}`, '-p', String(greeting.port), `${user.name}@127.0.0.1`]
      const { status, stdout, stderr } = await residentKeytool(['connect', ...to, 'echo in'], { env })
      expect({ status, stdout }).toEqual({ status: 0, stdout: 'in\n' })
      expect(stderr).toBe(`${user.name}@127.0.0.1:${greeting.port} says:\n  | Authorized \\u{1b}[7musers only.\n`)
      // No shell has looked at the key's path.
      for (const quiet of [['-q'], ['-o', 'LogLevel=ERROR', '-i', '~/.ssh/id_ed25519']]) {
        expect(await residentKeytool(['connect', ...quiet, ...to, 'echo in'], { env })).toMatchObject({
          stdout: 'in\n',
          stderr: '',
        })
      }
    } finally {
      await greeting.stop()
    }
  })
})

describe('what is refused before anything is dialled: 2', () => {
  const rows: readonly (readonly [args: string[], says: RegExp])[] = [
    [['--charset', 'euc-pj', 'x@nowhere.invalid'], /"euc-pj" is no charset known here\n.*euc-jp/],
    [['--charset', 'utf-16', 'x@nowhere.invalid'], /"utf-16" is no charset/],
    [['-e', 'ab', 'x@nowhere.invalid'], /-e takes/],
    [['-p', '70000', 'x@nowhere.invalid'], /-p takes/],
    [['--', '-oProxyCommand=x'], /-oProxyCommand/],
    [[], /destination/],
  ]

  test('by its line', async () => {
    const results = await inTurn(rows, ([args]) => keytool(['connect', ...args], { env }))
    for (const [i, [args, says]] of rows.entries()) {
      const expected = { status: 2, stdout: '', stderr: expect.stringMatching(says) }
      expect({ args, ...results[i] }).toMatchObject({ args, ...expected })
    }
  })

  test('a host that is not there: 7; one that is not known: 8', async () => {
    expect(await keytool(['connect', 'x@nowhere.invalid', 'true'], { env })).toMatchObject({ status: 7, stdout: '' })
    const other = await temporaryHome()
    const result = await keytool(['connect', ...there(), 'true'], { env: other.env })
    expect(result).toMatchObject({ status: 8, stdout: '', stderr: expect.stringContaining(sshd.fingerprints.ed25519) })
    await other.dispose()
  })
})

describe('the charset', () => {
  test('both ways, from and to pipes: UTF-8 here', async () => {
    const command = [
      '--charset',
      'euc-jp',
      "od -An -tx1; printf '\\306\\374\\313\\334\\270\\354\\n'; printf '\\244\\242' >&2",
    ]
    expect(await ours(command, { input: 'あ漢😀' })).toEqual({
      status: 0,
      signal: null,
      stdout: ' a4 a2 b4 c1 3f\n日本語\n',
      stderr: 'euc-jp lacks some of what you typed: a ? stands for it\nあ',
    })
  })

  test('that of a saved session; none hands the bytes on', async () => {
    await keytool(['session', 'save', 'old', `${user.name}@127.0.0.1`, '-p', String(sshd.port), '--charset', 'sjis'], {
      env,
    })
    const command = "printf '\\225\\134'"
    expect(await keytool(['connect', 'old', command], { env })).toMatchObject({ status: 0, stdout: '表' })
    const plain = await keytool(['connect', 'old', '--charset', 'none', command], { env })
    expect(plain.stdout).toBe('\ufffd\\')
  })

  test('a far side with another charset is not told our locale', async () => {
    const result = await ours(['--charset', 'euc-jp', 'env | grep -c LANG'])
    expect(result).toMatchObject({ status: 1, stdout: '0\n' })
  })
})

test('-A: the agent here answers there, and without it none does', async () => {
  const agent = await startSshAgent(home)
  const inAgent = { env: { ...env, SSH_AUTH_SOCK: agent.socket } }
  await run(peerPath('ssh-add'), ['-q', join(home.ssh, 'id_ed25519')], inAgent)
  const key = (await readFile(join(home.ssh, 'id_ed25519.pub'), 'utf8')).split(' ')[1]
  const [forwarded, not] = await Promise.all([ours(['-A', 'ssh-add -L'], inAgent), ours(['ssh-add -L'], inAgent)])
  expect(forwarded).toMatchObject({ status: 0, stdout: expect.stringContaining(String(key)) })
  expect(not).toMatchObject({ status: 2, stdout: '' })
  await agent.stop()
})
