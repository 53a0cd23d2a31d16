import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { checkSession, type Session } from '../src/sessions/schema.js'
import { SessionStore } from '../src/sessions/store.js'
import { parseTarget } from '../src/sessions/target.js'

const mail: Session = {
  version: 1,
  name: 'mail',
  host: 'mail.example',
  port: 229,
  user: 'hana',
  charset: 'euc-jp',
  key: '~/.ssh/id_ed25519',
  forwards: { local: ['1110:mail.example:110', '1025:mail.example:25'], remote: [], dynamic: [] },
}

let config: string
let store: SessionStore

beforeEach(async () => {
  config = await mkdtemp(join(tmpdir(), 'kt-'))
  store = new SessionStore(config)
})

afterEach(() => rm(config, { recursive: true }))

describe('a saved session', () => {
  test('is a file people can read, the user’s own, and comes back as it was', async () => {
    const path = await store.save(mail)
    expect(path).toBe(join(config, 'sessions', 'mail.json'))
    expect(await readFile(path, 'utf8')).toMatch(/^\{\n {2}"version": 1,\n {2}"name": "mail",\n.*\}\n$/s)
    expect((await stat(path)).mode & 0o777).toBe(0o600)
    expect((await stat(join(config, 'sessions'))).mode & 0o777).toBe(0o700)
    expect(await store.load('mail')).toEqual(mail)
  })

  test('is replaced only when that is asked for', async () => {
    await store.save(mail)
    await expect(store.save({ ...mail, port: 22 })).rejects.toMatchObject({ code: 'exists' })
    expect((await store.load('mail')).port).toBe(229)
    await store.save({ ...mail, port: 22 }, { replace: true })
    expect((await store.load('mail')).port).toBe(22)
    expect(await readdir(join(config, 'sessions'))).toEqual(['mail.json'])
  })

  test('of a newer program is neither read nor replaced', async () => {
    const path = await store.save(mail)
    const newer = JSON.stringify({ ...mail, version: 2, colour: 'blue' })
    await writeFile(path, newer)
    await expect(store.load('mail')).rejects.toMatchObject({ code: 'unsupported' })
    await expect(store.save(mail, { replace: true })).rejects.toMatchObject({ code: 'unsupported' })
    expect(await readFile(path, 'utf8')).toBe(newer)
  })

  test('that is missing names those that may have been meant', async () => {
    await expect(store.load('mail')).rejects.toMatchObject({ code: 'not-found', hint: expect.stringContaining('save') })
    for (const name of ['mail', 'mails2', 'web1']) await store.save({ ...mail, name })
    await expect(store.load('mial')).rejects.toMatchObject({ code: 'not-found', hint: 'did you mean mail?' })
    await expect(store.load('Web')).rejects.toMatchObject({ hint: 'did you mean web1?' })
    await expect(store.remove('nothing')).rejects.toMatchObject({ code: 'not-found' })
  })

  test('that is as large as can be is read again; a larger one is not written', async () => {
    const list = (length: number) => Array.from({ length }, (_, i) => `${10_000 + i}:${'h'.repeat(250)}:110`)
    const large = { ...mail, forwards: { local: list(1024), remote: list(1024), dynamic: [] } }
    await store.save(large)
    expect(await store.load(mail.name)).toEqual(large)
    const jump = Array.from({ length: 5000 }, () => 'j'.repeat(250)).join(',')
    await expect(store.save({ ...mail, name: 'huge', jump })).rejects.toMatchObject({ code: 'usage' })
    expect((await store.list()).sessions).toHaveLength(1)
  })

  test('that is damaged does not hide the others, and can be removed', async () => {
    await store.save(mail)
    const folder = join(config, 'sessions')
    await writeFile(join(folder, 'broken.json'), '{"version": 1,')
    await writeFile(join(folder, 'empty.json'), '')
    await writeFile(join(folder, 'moved.json'), JSON.stringify(mail))
    await writeFile(join(folder, '.mail.json.0a1b.tmp'), 'x')
    await mkdir(join(folder, 'folder.json'))
    const { sessions, broken } = await store.list()
    expect(sessions).toEqual([mail])
    expect(broken.map(({ name, error }) => [name, error.code])).toEqual([
      ['broken', 'damaged'],
      ['empty', 'damaged'],
      ['folder', 'damaged'],
      ['moved', 'damaged'],
    ])
    await store.remove('broken')
    expect((await store.list()).broken).toHaveLength(3)
  })

  test.each(['', '.', '..', '.a', '-a', 'a/b', 'a b', 'ä', 'a\n', 'a'.repeat(65)])('%j is no name', async name => {
    await expect(store.load(name)).rejects.toMatchObject({ code: 'usage' })
    await expect(store.save({ ...mail, name })).rejects.toMatchObject({ code: 'usage' })
  })
})

test.each([
  ['host', '-oProxyCommand=x'],
  ['host', 'a\nb'],
  ['host', ''],
  ['host', 42],
  ['port', 0],
  ['port', 65536],
  ['port', '22'],
  ['port', 1.5],
  ['user', '-l'],
  ['user', 'a\u0007'],
  ['charset', 'klingon'],
  ['charset', null],
  ['key', ''],
  ['key', 'a\u0000b'],
  ['forwards', { local: ['80:-x:1'], remote: [], dynamic: [] }],
  ['forwards', { local: '80:a:1', remote: [], dynamic: [] }],
  ['forwards', { local: [], remote: [] }],
  ['forwards', { local: [], remote: [], dynamic: [], other: [] }],
  ['jump', 'a,-b'],
  ['jump', 'a:99999'],
  ['proxyCommand', 'a\nb'],
  ['proxyCommand', 'none'],
  ['proxyCommand', ' a'],
  ['proxyCommand', 'a'.repeat(4097)],
  ['forwardAgent', 'yes'],
  ['hostKeyAlias', '-x'],
  ['hostKeyAlias', 'a,b'],
  ['weak', 'ssh-rsa'],
  ['weak', ['a b']],
  ['weak', Array.from({ length: 65 }, () => 'a')],
  ['colour', 'blue'],
  ['__proto__', {}],
])('%s: %j is no part of a session, and the field is named', (field, value) => {
  const given = JSON.parse(JSON.stringify(mail).replace('{', `{${JSON.stringify(field)}:${JSON.stringify(value)},`))
  if (field in mail) given[field] = value
  const told = { code: 'damaged', reason: expect.stringContaining(field) }
  expect(() => checkSession(given)).toThrow(expect.objectContaining(told))
})

test.each([undefined, null, [], 'x', 1, {}, { ...mail, version: '1' }, { ...mail, version: 0 }])(
  '%j is no session',
  value => {
    expect(() => checkSession(value)).toThrow(expect.objectContaining({ code: 'damaged' }))
  },
)

const full: Session = {
  ...mail,
  forwards: { local: ['/run/a:/run/b'], remote: ['1081'], dynamic: ['1080'] },
  proxyCommand: 'nc %h %p',
  forwardAgent: true,
  hostKeyAlias: 'real.example',
  weak: ['ssh-rsa', 'hmac-sha1'],
}

test('every field is one, and stands in the published schema', async () => {
  expect(checkSession(full)).toEqual(full)
  const schema = JSON.parse(await readFile(new URL('../schema/session.json', import.meta.url), 'utf8'))
  expect(Object.keys(schema.properties).sort()).toEqual([...Object.keys(full), 'jump'].sort())
})

test('it holds 1,024 forwards of a kind, and says so where there are more', async () => {
  const local = Array.from({ length: 1024 }, (_, i) => `${10_000 + i}:localhost:110`)
  const holding = (list: readonly string[]): Session => ({
    ...mail,
    forwards: { local: list, remote: [], dynamic: [] },
  })
  expect(checkSession(holding(local))).toEqual(holding(local))
  const reason = expect.stringMatching(/1025 local ones, and 1024 of a kind/)
  expect(() => checkSession(holding([...local, '1:a:1']))).toThrow(expect.objectContaining({ reason }))
  const schema = JSON.parse(await readFile(new URL('../schema/session.json', import.meta.url), 'utf8'))
  expect(schema.$defs.forwards.maxItems).toBe(1024)
})

test('a session has one way to its server', () => {
  const reason = expect.stringContaining('two ways')
  expect(() => checkSession({ ...full, jump: 'gate' })).toThrow(expect.objectContaining({ code: 'damaged', reason }))
})

test('a jump over several hosts is one', () => {
  expect(checkSession({ ...mail, jump: 'a,hana@b:22,[::1]:2222' })).toMatchObject({ host: 'mail.example' })
})

describe('a destination', () => {
  test.each([
    ['mail.example', { host: 'mail.example' }],
    ['hana@mail.example', { user: 'hana', host: 'mail.example' }],
    ['hana@corp@mail.example', { user: 'hana@corp', host: 'mail.example' }],
    ['CORP\\hana@Mail.Example', { user: 'CORP\\hana', host: 'Mail.Example' }],
    ['::1', { host: '::1' }],
    ['hana@[2001:db8::1]', { user: 'hana', host: '2001:db8::1' }],
    ['ssh://mail.example', { host: 'mail.example' }],
    ['ssh://hana@mail.example:229/', { user: 'hana', host: 'mail.example', port: 229 }],
    ['ssh://a%40b@[::1]:2222', { user: 'a@b', host: '::1', port: 2222 }],
  ])('%s', (text, target) => {
    expect(parseTarget(text)).toEqual(target)
  })

  test.each([
    '',
    '@host',
    'user@',
    '-oProxyCommand=x',
    'user@-x',
    '-l@host',
    'mail.example:229',
    'ssh://mail.example:0',
    'ssh://mail.example:99999',
    'ssh://a%zz@b',
    'a b',
    'a\nb',
    'a;b',
    '$(x)',
    '`x`@a',
    'a/b',
    '[a]',
    '[::1]:22',
    'a\u202eb',
    `${'a'.repeat(256)}`,
  ])('%j is none', text => {
    expect(() => parseTarget(text)).toThrow(expect.objectContaining({ code: 'usage' }))
  })
})
