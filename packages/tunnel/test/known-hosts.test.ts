import { appendFile, chmod, mkdir, mkdtemp, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fingerprint, generate, hideName, matchesPattern, nameOfHost, type PublicKey } from '@keytool/keygen'
import { type HostPolicy, rememberHost, type StrictHostKeyChecking, verifyHost } from '../src/connection/hostkeys.js'
import { appendToOwn } from '../src/known-hosts/append.js'
import { KnownHosts } from '../src/known-hosts/store.js'

// Made with: printf 'mail.example %s\n[mail.example]:2222 %s\n' "$KEY" "$KEY" >f; ssh-keygen -H -f f  (OpenSSH 9.2)
const HASHED = [
  '|1|slSBsCon1HayKtnSiiqOdv4K2iI=|zjpVwTRuxmfR9ioh0JYNhs/HfM0=',
  '|1|YATTodXzD678eNGa8bvxB2nLcXE=|+4IiXwBLh1m6K0+MYdgpO+TPfaE=',
]

let home: string
let file: string
let [key, other, rsa]: PublicKey[] = []

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'kt-'))
  file = join(home, 'known_hosts')
  const made = await Promise.all(['ed25519', 'ed25519', 'rsa'].map(type => generate(type)))
  ;[key, other, rsa] = made.map(({ publicKey }) => publicKey)
})

afterAll(() => rm(home, { recursive: true }))

function need<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('not made')
  return value
}

function line(hosts: string, publicKey: PublicKey | undefined, ...before: string[]): string {
  const { algorithm, blob } = need(publicKey)
  return [...before, hosts, algorithm.name, blob.toString('base64')].join(' ')
}

function open(): KnownHosts {
  return new KnownHosts({ home, files: [file], systemFiles: [] })
}

/** The state for `key` at mail.example, or at another host. */
async function stateOf(content: string | Buffer, host = 'mail.example', port = 22): Promise<string> {
  await writeFile(file, content)
  return (await open().lookup(host, port, need(key).blob)).state
}

describe('a line', () => {
  test.each([
    ['of the host', () => line('mail.example', key), 'known'],
    ['with a comment and CRLF', () => `${line('mail.example', key)} a b\r\n`, 'known'],
    ['behind a byte order mark', () => `\ufeff${line('mail.example', key)}\n`, 'known'],
    ['indented, with tabs', () => `  ${line('mail.example', key).replaceAll(' ', '\t')}`, 'known'],
    ['with capitals', () => line('MAIL.example', key), 'known'],
    ['in a list', () => line('a,mail.example,b', key), 'known'],
    ['of a pattern', () => line('m?il.*', key), 'known'],
    ['of a pattern with an exception', () => line('*.example,!mail.example', key), 'unknown'],
    ['of another port', () => line('[mail.example]:2222', key), 'unknown'],
    ['of another host', () => line('mail.example.org', key), 'unknown'],
    ['commented out', () => `# ${line('mail.example', key)}`, 'unknown'],
    ['of another key', () => line('mail.example', other), 'changed'],
    ['of a key of another type', () => line('mail.example', rsa), 'changed'],
    ['one of two', () => `${line('mail.example', other)}\n${line('mail.example', key)}\n`, 'known'],
    ['revoked', () => `${line('mail.example', key)}\n${line('*', key, '@revoked')}\n`, 'revoked'],
    ['another key revoked', () => `${line('mail.example', key)}\n${line('*', other, '@revoked')}\n`, 'known'],
    ['of an authority', () => line('*', key, '@cert-authority'), 'unknown'],
    ['with a marker nobody knows', () => line('*', key, '@maybe'), 'unknown'],
    ['whose key says another type', () => line('mail.example', key).replace('ssh-ed25519', 'ssh-rsa'), 'unknown'],
    ['cut short', () => line('mail.example', key).slice(0, 40), 'unknown'],
    [
      'whose key says a type nobody knows',
      () => 'mail.example ssh-new@example AAAAD3NzaC1uZXdAZXhhbXBsZQ==',
      'changed',
    ],
    [
      'whose key is damaged, but says its type',
      () => 'mail.example ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAAA==',
      'changed',
    ],
    ['whose base64 lacks its end', () => line('mail.example', rsa).replace(/=+$/, '').slice(0, -1), 'unknown'],
    ['hidden, with bits too many', () => line(need(HASHED[0]).replace(/M0=$/, 'M1='), other), 'unknown'],
    ['hidden, with more behind it', () => line(`${HASHED[0]}|`, other), 'unknown'],
    ['in a long list, revoked', () => line(`${'a,'.repeat(10_000)}mail.example`, key, '@revoked'), 'revoked'],
    ['with two markers', () => line('mail.example', key, '@revoked', '@revoked'), 'unknown'],
    ['without an end', () => `junk\n\n${line('mail.example', key)}`, 'known'],
  ])('%s', async (_what, content, state) => {
    expect(await stateOf(content())).toBe(state)
  })

  test('hidden by ssh-keygen, with and without a port', async () => {
    const content = HASHED.map(hosts => line(hosts, key)).join('\n')
    expect(await stateOf(content)).toBe('known')
    expect(await stateOf(content, 'MAIL.example', 2222)).toBe('known')
    const withPort = content.split('\n').at(1) ?? ''
    expect(await stateOf(withPort, 'mail.example', 2222)).toBe('known')
    expect(await stateOf(withPort, 'mail.example', 2223)).toBe('unknown')
    expect(await stateOf(withPort)).toBe('unknown')
    expect(await stateOf(content, 'mail2.example')).toBe('unknown')
  })

  test('a file in UTF-16 is not passed over: it might hold the answer', async () => {
    const content = Buffer.from(`\ufeff${line('mail.example', key)}\n`, 'utf16le')
    await expect(stateOf(content)).rejects.toMatchObject({ code: 'damaged' })
  })

  test('a folder in its place is not passed over', async () => {
    const hosts = new KnownHosts({ home, files: [home], systemFiles: [] })
    await expect(hosts.lookup('a', 22, need(key).blob)).rejects.toMatchObject({ code: 'damaged' })
  })
})

test('the key that has changed is told with its place and type', async () => {
  await writeFile(file, `# one\n${line('mail.example', rsa)}\n${line('mail.example', other)}\n`)
  const found = await open().lookup('mail.example', 22, need(key).blob)
  // Of two others the one of the same type: that is the one the user knows.
  expect(found).toMatchObject({ state: 'changed', place: { file: '~/known_hosts', line: 3 }, keyType: 'ssh-ed25519' })
  expect(await open().typesFor('mail.example', 22)).toEqual(['ssh-rsa', 'ssh-ed25519'])
})

test('a line without a port is good for every port that has none of its own, and nothing follows from it', async () => {
  const lookup = (port: number) => open().lookup('mail.example', port, need(key).blob)
  await writeFile(file, `${line('mail.example', key)}\n${line('[mail.example]:2222', other)}\n`)
  expect(await lookup(22)).toMatchObject({ state: 'known', mayRotate: true })
  expect(await lookup(2223)).toMatchObject({ state: 'known', mayRotate: false, place: { line: 1 } })
  expect(await lookup(2222)).toMatchObject({ state: 'changed', place: { line: 2 } })
  expect(await open().typesFor('mail.example', 2223)).toEqual(['ssh-ed25519'])
  // Stricter than ssh, which would ask.
  await writeFile(file, line('mail.example', key, '@revoked'))
  expect(await lookup(2223)).toMatchObject({ state: 'revoked' })
})

test('a key of a system file is known, and not the user’s to change', async () => {
  const system = join(home, 'system')
  await writeFile(file, '')
  await writeFile(system, `${line('mail.example', key)}\n`)
  const hosts = new KnownHosts({ home, files: [file], systemFiles: [system] })
  const lookup = (shown: PublicKey | undefined) => hosts.lookup('mail.example', 22, need(shown).blob)
  expect(await lookup(key)).toMatchObject({ state: 'known', mayRotate: false })
  expect(await lookup(other)).toMatchObject({ state: 'changed', isRemovable: false })
  const policy = { knownHosts: hosts }
  await expect(verifyHost(policy, 'mail.example', 22, need(other).blob)).rejects.toMatchObject({
    hint: 'if the server was rebuilt: correct line 1 of ~/system; if not, someone may be listening',
  })
})

test('an unknown host may be known by other names', async () => {
  await writeFile(file, `${line('a,b', key)}\n${line(need(HASHED[0]), key)}\n${line('c', other)}\n`)
  expect(await open().lookup('new', 22, need(key).blob)).toEqual({ state: 'unknown', otherNames: ['a', 'b'] })
})

describe('writing', () => {
  const remember = (host = 'New.Example', port = 2222) => open().remember(host, port, need(key).blob)

  test('keeps every byte, adds the missing newline, and writes a key once', async () => {
    const old = Buffer.concat([Buffer.from('# caf'), Buffer.of(0xe9), Buffer.from('\r\njunk | junk')])
    await writeFile(file, old)
    await chmod(file, 0o644)
    await remember()
    await remember()
    expect(await readFile(file)).toEqual(Buffer.concat([old, Buffer.from(`\n${line('[new.example]:2222', key)}\n`)]))
    expect((await stat(file)).mode & 0o777).toBe(0o644)
  })

  test('hides the name where others are hidden', async () => {
    await writeFile(file, `${line(need(HASHED[0]), other)}\n`)
    await remember()
    const text = await readFile(file, 'utf8')
    expect(text).not.toContain('new.example')
    expect((await open().lookup('new.example', 2222, need(key).blob)).state).toBe('known')
  })

  test.each([true, false])('hides it, or not, where that is asked for: %s', async hash => {
    await writeFile(file, hash ? '' : `${line(need(HASHED[0]), other)}\n`)
    const hosts = new KnownHosts({ home, files: [file], systemFiles: [], hash })
    await hosts.remember('new.example', 22, need(key).blob)
    expect((await readFile(file, 'utf8')).includes('new.example')).toBe(!hash)
    expect((await hosts.lookup('new.example', 22, need(key).blob)).state).toBe('known')
  })

  test('several files: all are read, the first is written; read only, none', async () => {
    const second = join(home, 'second')
    await writeFile(file, '')
    await writeFile(second, `${line('second.example', key)}\n`)
    const settings = { home, files: [file, second], systemFiles: [] }
    const hosts = new KnownHosts(settings)
    expect((await hosts.lookup('second.example', 22, need(key).blob)).state).toBe('known')
    await new KnownHosts({ ...settings, readOnly: true }).remember('new.example', 22, need(key).blob)
    expect(await readFile(file, 'utf8')).toBe('')
    await hosts.remember('new.example', 22, need(key).blob)
    expect(await readFile(file, 'utf8')).toBe(`${line('new.example', key)}\n`)
    expect(await readFile(second, 'utf8')).toBe(`${line('second.example', key)}\n`)
  })

  test('a name in any letters is written in UTF-8, as ssh compares it', async () => {
    // Cut to bytes, these letters would be a newline and a space.
    const name = 'münchen\u0a0a\u0a20.example'
    await writeFile(file, '')
    await remember(name)
    expect(await readFile(file, 'utf8')).toBe(`${line(`[${name}]:2222`, key)}\n`)
    expect((await open().lookup(name, 2222, need(key).blob)).state).toBe('known')
  })

  test('a new file is the user’s own, and a link stays a link', async () => {
    await rm(file)
    const real = join(home, 'real')
    await writeFile(real, '', { mode: 0o600 })
    await symlink(real, file)
    await remember()
    expect(await readFile(real, 'utf8')).toBe(`${line('[new.example]:2222', key)}\n`)
    await rm(file)
    await remember()
    expect((await stat(file)).mode & 0o777).toBe(0o600)
  })

  test('many at once, also by another program: every line stays', async () => {
    await rm(file, { force: true })
    const names = Array.from({ length: 10 }, (_, index) => `host${index}`)
    const others = names.map(name => `${name}.other`)
    await Promise.all([
      ...names.map(name => remember(name)),
      ...others.map(name => appendFile(file, `${line(name, other)}\n`)),
    ])
    const lines = (await readFile(file, 'utf8')).trimEnd().split('\n')
    expect(lines.sort()).toEqual(
      [...names.map(name => line(`[${name}]:2222`, key)), ...others.map(name => line(name, other))].sort(),
    )
  })

  test('the same one at once is written once', async () => {
    await writeFile(file, '')
    await Promise.all([remember(), remember(), remember()])
    expect(await readFile(file, 'utf8')).toBe(`${line('[new.example]:2222', key)}\n`)
  })

  test('another user’s file and a device are left alone', async () => {
    const foreign = join(home, 'foreign')
    await writeFile(foreign, '# theirs\n')
    const mine = process.geteuid
    process.geteuid = () => 1 + (process.getuid?.() ?? 0)
    try {
      await expect(appendToOwn(foreign, Buffer.from('x\n'))).rejects.toMatchObject({ code: 'refused' })
    } finally {
      Object.assign(process, { geteuid: mine })
    }
    expect(await readFile(foreign, 'utf8')).toBe('# theirs\n')
    await expect(appendToOwn('/dev/null', Buffer.from('x\n'))).rejects.toMatchObject({
      code: 'refused',
      message: '/dev/null is no plain file',
    })
    await expect(appendToOwn(home, Buffer.from('x\n'))).rejects.toMatchObject({
      code: 'failed',
      message: `${home} can't be written: it is a folder`,
    })
  })

  test.each(['a b', 'a\nb', 'a,b', '*', '!a', '@revoked', '|1|x', '#a'])('%j is no host', async host => {
    await writeFile(file, '')
    await expect(remember(host)).rejects.toMatchObject({ code: 'usage' })
    expect(await readFile(file, 'utf8')).toBe('')
  })
})

test('a host key of a type that is not known here is refused, not confirmed', async () => {
  await writeFile(file, '')
  const blob = Buffer.from('0000000b7373682d66757475726501', 'hex')
  const confirmHost = async () => true
  const policy = { knownHosts: open(), confirmHost }
  await expect(verifyHost(policy, 'a', 22, blob)).rejects.toMatchObject({ code: 'unsupported' })
})

describe('the policy', () => {
  const verify = (more: Partial<HostPolicy>, shown = key) =>
    verifyHost({ knownHosts: open(), ...more }, 'mail.example', 2222, need(shown).blob)
  const never = async () => {
    throw new Error('nobody is to be asked')
  }

  test.each<[StrictHostKeyChecking, string]>([
    ['yes', 'refused'],
    ['accept-new', 'noted'],
    ['no', 'noted'],
  ])('%s: an unknown host is %s, and a changed key always refused', async (strict, what) => {
    await writeFile(file, '')
    const found = verify({ strict, confirmHost: never })
    if (what === 'noted') expect(await found).toEqual({ remember: true, mayRotate: false })
    else await expect(found).rejects.toMatchObject({ code: 'host-key-unknown' })
    await writeFile(file, `${line('[mail.example]:2222', other)}\n`)
    await expect(verify({ strict, confirmHost: never })).rejects.toMatchObject({ code: 'host-key-changed' })
    await writeFile(file, `${line('[mail.example]:2222', key)}\n`)
    expect(await verify({ strict, confirmHost: never })).toEqual({ remember: false, mayRotate: true })
  })

  test('a host that was looked at may change its keys from then on', async () => {
    await writeFile(file, '')
    expect(await verify({ confirmHost: async () => true })).toEqual({ remember: true, mayRotate: true })
  })

  test('an alias is looked up and noted in place of name and port', async () => {
    await writeFile(file, `${line('[mail.example]:2222', other)}\n`)
    const policy = { knownHosts: open(), alias: 'Cluster' }
    await expect(verify({ alias: 'Cluster' })).rejects.toMatchObject({
      code: 'host-key-unknown',
      message: 'the host key of [mail.example]:2222 is not known',
    })
    await rememberHost(policy, 'mail.example', 2222, need(key).blob)
    expect(await readFile(file, 'utf8')).toContain(`\n${line('cluster', key)}\n`)
    expect(await verify({ alias: 'Cluster' })).toEqual({ remember: false, mayRotate: true })
    // The hint names what stands in the file.
    await expect(verify({ alias: 'Cluster' }, rsa)).rejects.toMatchObject({
      hint: expect.stringContaining('keytool known-hosts remove cluster -f ~/known_hosts;'),
    })
  })

  test('a changed key: both fingerprints, the place, and what takes the old one away', async () => {
    const ssh = join(home, '.ssh')
    await mkdir(ssh, { recursive: true })
    await writeFile(join(ssh, 'known_hosts'), '')
    await writeFile(join(ssh, 'known_hosts2'), `# two\n${line(hideName('[mail.example]:2222'), other)}\n`)
    const policy = { knownHosts: new KnownHosts({ home, systemFiles: [] }) }
    await expect(verifyHost(policy, 'mail.example', 2222, need(key).blob)).rejects.toMatchObject({
      message: 'the host key of [mail.example]:2222 has changed',
      reason: `known ${fingerprint(need(other))}  (~/.ssh/known_hosts2 line 2)  now ${fingerprint(need(key))}`,
      hint: "if the server was rebuilt: keytool known-hosts remove '[mail.example]:2222'; if not, someone may be listening",
    })
  })
})

test.each([
  ['*', '', true],
  ['*', 'abc', true],
  ['a*c', 'abbc', true],
  ['a*c', 'abcd', false],
  ['a**c', 'ac', true],
  ['?', '', false],
  ['a?c', 'abc', true],
  ['', '', true],
  ['', 'a', false],
  ['?', 'é', false],
  ['??', 'é', true],
  ['*.example', 'mail.example', true],
  ['192.0.2.*', '192.0.2.17', true],
])('the pattern %s against %s', (pattern, text, fits) => {
  expect(matchesPattern(pattern, text)).toBe(fits)
})

test('a pattern full of stars takes no time', () => {
  expect(matchesPattern(`${'*a'.repeat(500)}b`, 'a'.repeat(2000))).toBe(false)
})

test('names', () => {
  expect(nameOfHost('Mail.Example', 22)).toBe('mail.example')
  expect(nameOfHost('::1', 2222)).toBe('[::1]:2222')
})
