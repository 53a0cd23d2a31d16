import { appendFile, chmod, mkdtemp, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { generate, matchesPattern, nameOfHost, type PublicKey } from '@keytool/keygen'
import { verifyHost } from '../src/connection/hostkeys.js'
import { appendLineToOwn } from '../src/known-hosts/append.js'
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
    expect(await stateOf(content, 'mail.example', 2223)).toBe('unknown')
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
      await expect(appendLineToOwn(foreign, 'x')).rejects.toMatchObject({ code: 'refused' })
    } finally {
      Object.assign(process, { geteuid: mine })
    }
    expect(await readFile(foreign, 'utf8')).toBe('# theirs\n')
    await expect(appendLineToOwn('/dev/null', 'x')).rejects.toMatchObject({
      code: 'refused',
      message: '/dev/null is no plain file',
    })
    await expect(appendLineToOwn(home, 'x')).rejects.toMatchObject({
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
