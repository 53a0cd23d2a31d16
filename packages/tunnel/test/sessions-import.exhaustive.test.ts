import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { KeytoolError } from '@keytool/keygen'
import type { SavedHostKey } from '../src/config/putty/settings.js'
import { KnownHosts } from '../src/known-hosts/store.js'
import { sessionsFromSshConfig } from '../src/sessions/from-ssh-config.js'
import { type ImportCandidate, importSessions } from '../src/sessions/import.js'
import { importHostKeys } from '../src/sessions/import-host-keys.js'
import { makeSessionName } from '../src/sessions/names.js'
import type { Session } from '../src/sessions/schema.js'
import { listSshHosts } from '../src/sessions/ssh-hosts.js'
import { SessionStore } from '../src/sessions/store.js'

let home: string
let store: SessionStore

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'kt-'))
  store = new SessionStore(home)
})
afterEach(() => rm(home, { recursive: true }))

const session = (name: string, host = 'mail.example'): Session => ({
  version: 1,
  name,
  host,
  port: 22,
  forwards: { local: [], remote: [], dynamic: [] },
})
const candidate = (from: string, host?: string): ImportCandidate => ({
  from,
  found: { session: session(makeSessionName(from, host ?? 'x'), host), leftOut: [], looks: 0, lookAt: [] },
})
const states = (results: Awaited<ReturnType<typeof importSessions>>) => results.map(({ name, state }) => [name, state])

test.each([
  ['mail', 'mail'],
  ['Mail (old)', 'Mail-old'],
  ['Büro: Ärger', 'Buro-Arger'],
  ['--x', 'x'],
  ['..', 'mail.example'],
  ['日本', 'mail.example'],
  ['a\u001b[31m', 'a-31m'],
  ['../../etc/passwd', 'etc-passwd'],
  ['x'.repeat(100), 'x'.repeat(64)],
  ['', 'mail.example'],
  ['日本語サーバ2', 'mail.example'],
  ['web サーバ', 'web'],
  ['サーバ web', 'web'],
  ['サーバー web', 'mail.example'],
  ['Ｗｅｂ２', 'Web2'],
])('the name %j becomes %j', (text, name) => {
  expect(makeSessionName(text, 'mail.example')).toBe(name)
})

describe('an import', () => {
  test('numbers names that come to be one, the same way in any order, and changes nothing the second time', async () => {
    const all = ['a b', 'a-b', 'A B', 'a?b', 'c'].map((name, i) => candidate(name, `host${i}`))
    const first = await importSessions(all, store)
    const expected = [
      ['A-B', 'new'],
      ['a-b-2', 'new'],
      ['a-b-3', 'new'],
      ['a-b-4', 'new'],
      ['c', 'new'],
    ]
    expect(states(first)).toEqual(expected)
    const files = await readdir(join(home, 'sessions'))
    const again = await importSessions([...all].reverse(), store)
    expect(states(again)).toEqual(expected.map(([name]) => [name, 'same']))
    expect(await readdir(join(home, 'sessions'))).toEqual(files)
  })

  test('keeps a session of the same name and other content, unless told otherwise', async () => {
    await store.save(session('mail', 'old.example'))
    expect(await importSessions([candidate('mail')], store)).toMatchObject([
      { name: 'mail', state: 'kept', reason: 'there is another one of this name' },
    ])
    expect((await store.load('mail')).host).toBe('old.example')
    expect(states(await importSessions([candidate('mail')], store, { replace: true }))).toEqual([['mail', 'replaced']])
    expect((await store.load('mail')).host).toBe('mail.example')
  })

  test('takes the same session in another spelling for the same', async () => {
    const old = { ...session('mail', 'Mail.Example'), charset: 'EUC-JP', jump: 'a:22' }
    await store.save(old)
    const found = { session: { ...session('mail'), charset: 'euc-jp', jump: 'a' }, leftOut: [], looks: 0, lookAt: [] }
    expect(states(await importSessions([{ from: 'mail', found }], store))).toEqual([['mail', 'same']])
  })

  test('refuses one for itself, and passes over what is none', async () => {
    const refused = new KeytoolError('usage', 'a host does not begin with -')
    const results = await importSessions(
      [
        { from: 'a\u001b[31m', found: refused },
        { from: 'b', found: { passedOver: 'it names no host' } },
        candidate('c'),
      ],
      store,
    )
    expect(results).toMatchObject([
      { from: 'a\\u{1b}[31m', state: 'refused', reason: 'a host does not begin with -' },
      { from: 'b', state: 'passed', reason: 'it names no host' },
      { from: 'c', name: 'c', state: 'new' },
    ])
    expect(await readdir(join(home, 'sessions'))).toEqual(['c.json'])
  })

  test('a dry run writes nothing', async () => {
    expect(states(await importSessions([candidate('mail')], store, { dryRun: true }))).toEqual([['mail', 'new']])
    expect(await readdir(home)).toEqual([])
  })

  test('a file that is damaged, or of a newer program, is kept', async () => {
    await mkdir(join(home, 'sessions'))
    await writeFile(join(home, 'sessions/mail.json'), '{')
    await writeFile(join(home, 'sessions/web.json'), JSON.stringify({ ...session('web'), version: 2 }))
    const both = [candidate('mail'), candidate('web')]
    expect(states(await importSessions(both, store))).toEqual([
      ['mail', 'kept'],
      ['web', 'kept'],
    ])
    expect(states(await importSessions(both, store, { replace: true }))).toEqual([
      ['mail', 'replaced'],
      ['web', 'kept'],
    ])
  })

  test('thousands of names that come to be one take no detour', async () => {
    const many = Array.from({ length: 5000 }, (_, i) => candidate(`日${String.fromCodePoint(0x4e00 + i)}`, 'x'))
    const results = await importSessions(many, store, { dryRun: true })
    expect(new Set(results.map(({ name }) => name)).size).toBe(5000)
  })
})

describe('host keys', () => {
  // The base point of Ed25519 and its opposite; RSA's smallest that is a key here.
  const X = 15112221349535400772501151409588531511454012693041857206046113283949847762202n
  const Y = 46316835694926478169428394003475163141307993866256225615783033603165251855960n
  const P = 2n ** 255n - 19n
  const key = (name: string, x = X): SavedHostKey => ({ name, value: `0x${x.toString(16)},0x${Y.toString(16)}` })
  const ED25519 = `AAAAC3NzaC1lZDI1NTE5AAAAIFhmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZm`
  const rsa = (name: string): SavedHostKey => ({ name, value: `0x10001,0x${'c'.repeat(255)}d` })

  let knownHosts: KnownHosts
  let file: string
  beforeEach(() => {
    knownHosts = new KnownHosts({ home, systemFiles: [] })
    file = join(home, '.ssh/known_hosts')
  })
  const read = () => readFile(file, 'utf8').catch(() => '')
  const run = async (...saved: SavedHostKey[]) =>
    (await importHostKeys(saved, knownHosts)).map(({ host, state }) => [host, state])

  test('are added once, in one file of 0600, with all kinds of a host', async () => {
    const saved = [key('ssh-ed25519@22:Mail.Example'), rsa('rsa2@22:mail.example'), key('ssh-ed25519@2222:::1')]
    const expected = [
      ['mail.example', 'new'],
      ['mail.example', 'new'],
      ['[::1]:2222', 'new'],
    ]
    expect(await run(...saved)).toEqual(expected)
    expect((await stat(file)).mode & 0o777).toBe(0o600)
    const text = await read()
    expect(text.split('\n')).toEqual([
      `mail.example ssh-ed25519 ${ED25519}`,
      expect.stringMatching(/^mail\.example ssh-rsa AAAA/),
      `[::1]:2222 ssh-ed25519 ${ED25519}`,
      '',
    ])
    expect(await run(...saved)).toEqual(expected.map(([host]) => [host, 'known']))
    expect(await read()).toBe(text)
  })

  test('that contradict are told with both places, and nothing is written', async () => {
    await mkdir(join(home, '.ssh'))
    await writeFile(file, `mail.example ssh-ed25519 ${ED25519}\n`)
    const [found] = await importHostKeys([key('ssh-ed25519@22:mail.example', P - X)], knownHosts)
    expect(found).toMatchObject({
      state: 'differs',
      fingerprint: expect.stringMatching(/^SHA256:/),
      reason: expect.stringMatching(/^~\/\.ssh\/known_hosts line 1 says SHA256:/),
    })
    expect(await run(rsa('rsa2@22:mail.example'))).toEqual([['mail.example', 'passed']])
    expect(await read()).toBe(`mail.example ssh-ed25519 ${ED25519}\n`)
  })

  test('that contradict each other: the first', async () => {
    const two = [key('ssh-ed25519@22:a'), key('ssh-ed25519@22:a', P - X)]
    expect(await run(...two)).toEqual([
      ['a', 'new'],
      ['a', 'differs'],
    ])
    expect(await read()).toBe(`a ssh-ed25519 ${ED25519}\n`)
  })

  test('that are revoked stay so', async () => {
    await mkdir(join(home, '.ssh'))
    await writeFile(file, `@revoked * ssh-ed25519 ${ED25519}\n`)
    expect(await run(key('ssh-ed25519@22:a'))).toEqual([['a', 'differs']])
  })

  test('are hidden where others are', async () => {
    await mkdir(join(home, '.ssh'))
    await writeFile(file, `|1|F1E1KeoE/eEWhi10WpGv4OdiO6Y=|3988QV0VE8wmZL7suNrYQLITLCg= ssh-ed25519 ${ED25519}`)
    expect(await run(key('ssh-ed25519@22:a'))).toEqual([['a', 'new']])
    expect(await read()).toMatch(/Zm\n\|1\|[^ ]+ ssh-ed25519 AAAA.*\n$/)
    expect(await run(key('ssh-ed25519@22:a'))).toEqual([['a', 'known']])
  })

  test('hostile ones are refused, the others taken', async () => {
    const bad = { name: 'ssh-ed25519@22:a\u001b[31m', value: '0x1,0x2' }
    expect(await run(bad, key('ssh-ed25519@22:a'), { name: 'rsa@22:old', value: '0x1,0x2' })).toEqual([
      ['ssh-ed25519@22:a\\u{1b}[31m', 'refused'],
      ['rsa@22:old', 'passed'],
      ['a', 'new'],
    ])
  })
})

describe('from ssh_config', () => {
  const config = async (text: string) => {
    await mkdir(join(home, '.ssh'), { recursive: true })
    await writeFile(join(home, '.ssh/config'), text, { mode: 0o600 })
    const { hosts, notRead } = await sessionsFromSshConfig({ home, localUser: 'me' })
    expect(notRead).toEqual([])
    return hosts
  }

  test('hosts that are written out, each as ssh would reach it', async () => {
    await mkdir(join(home, '.ssh/d'), { recursive: true })
    await writeFile(join(home, '.ssh/d/work'), 'Host inner\n  HostName 10.0.0.1\n', { mode: 0o600 })
    const found = await config(
      [
        'Include d/*',
        'Host mail web-*.example !not',
        '  HostName mail.example',
        '  Port 229',
        '  User hana',
        '  IdentityFile ~/.ssh/mail',
        '  LocalForward 1110 localhost:110',
        '  RemoteForward 8080 localhost:80',
        '  DynamicForward 1080',
        '  ProxyJump gate.example:2222',
        '  ForwardAgent yes',
        '  Compression yes',
        'Host by-command',
        '  ProxyCommand nc %n %p %%',
        '  HostName x.example',
        '  HostKeyAlias another',
      ].join('\n'),
    )
    expect(found.map(({ from }) => from)).toEqual(['inner', 'mail', 'by-command'])
    expect(found[1]?.found).toEqual({
      session: {
        version: 1,
        name: 'mail',
        host: 'mail.example',
        port: 229,
        user: 'hana',
        key: join(home, '.ssh/mail'),
        forwards: { local: ['1110:localhost:110'], remote: ['8080:localhost:80'], dynamic: ['1080'] },
        jump: 'gate.example:2222',
        forwardAgent: true,
      },
      leftOut: ['Compression'],
      looks: 0,
      lookAt: ['the agent is forwarded: the server may use it'],
    })
    expect(found[2]?.found).toMatchObject({
      session: { proxyCommand: 'nc by-command %p %%', hostKeyAlias: 'another' },
      lookAt: [
        'a command is run to reach the host: nc by-command %p %%',
        'its host key is looked up as that of another',
      ],
    })
  })

  test('what names no host is told of, each once', async () => {
    await mkdir(join(home, '.ssh'))
    const text = [
      'Host * ** !a.example',
      'Host a *.wild web-?',
      'Host *.wild b\u001b*',
      'Match all',
      'Match final all',
      'Match host *.x user "the user"',
      'Match host *.x user "the user"',
    ].join('\n')
    await writeFile(join(home, '.ssh/config'), text, { mode: 0o600 })
    const { hosts, patterns, matches } = await sessionsFromSshConfig({ home, localUser: 'me' })
    expect(hosts.map(({ from }) => from)).toEqual(['a'])
    expect(patterns).toEqual(['*.wild', 'web-?', 'b\\u{1b}*'])
    expect(matches).toEqual(['host *.x user the user'])
  })

  test('a host that can not be one is refused for itself', async () => {
    const found = await config('Host good\nHost a;b\n  HostName x\nHost bad\n  HostName a.example\n  User "-l"\n')
    expect(found.map(({ from, found }) => [from, found instanceof KeytoolError])).toEqual([
      ['good', false],
      ['a;b', true],
      ['bad', true],
    ])
  })

  /** A file that includes another, of 9,000 lines, so many times. */
  const include = async (times: number, text: string) => {
    await mkdir(join(home, '.ssh'), { recursive: true })
    await writeFile(join(home, '.ssh/long'), '\n'.repeat(9000), { mode: 0o600 })
    await writeFile(join(home, '.ssh/config'), `Include ${'long '.repeat(times)}\n${text}`, { mode: 0o600 })
  }

  test('too much to read for even one', async () => {
    await include(112, 'Host a\n')
    const found = sessionsFromSshConfig({ home, localUser: 'me' })
    await expect(found).rejects.toMatchObject({ code: 'damaged', message: expect.stringMatching(/1000000 lines$/) })
  })

  test('too much to read for each host: as many as one budget allows, and the others by name', async () => {
    const names = Array.from({ length: 40 }, (_, i) => `h${i}`)
    await include(11, `Host ${names.join(' ')}\n`)
    const { hosts, notRead } = await sessionsFromSshConfig({ home, localUser: 'me' })
    expect(hosts.map(({ from }) => from)).toEqual(names.slice(0, 10))
    expect(notRead).toEqual(names.slice(10))
  })

  test('a long line counts as many', async () => {
    await mkdir(join(home, '.ssh'))
    const long = `Host ${Array.from({ length: 100_000 }, () => '*x').join(' ')}\n`
    await writeFile(join(home, '.ssh/config'), `${long.repeat(3)}Host a b\n`, { mode: 0o600 })
    const found = await listSshHosts(join(home, '.ssh/config'), { home, isNamed: false })
    expect(found).toEqual({ names: ['a', 'b'], lines: expect.any(Number), patterns: ['*x'], matches: [] })
    expect(found.lines).toBeGreaterThan(11_000)
  })

  test.each([
    ['too many names', `Host ${Array.from({ length: 2001 }, (_, i) => `h${i}`).join(' ')}\n`, 'damaged'],
    ['a file that includes itself', 'Include config\nHost a\n', 'damaged'],
    ['a quote left open', 'Host "a\n', 'damaged'],
  ])('%s: %s', async (_, text, code) => {
    await expect(config(text)).rejects.toMatchObject({ code })
  })

  test('one that others can write, and none', async () => {
    await expect(sessionsFromSshConfig({ home, localUser: 'me' })).rejects.toMatchObject({ code: 'not-found' })
    await mkdir(join(home, '.ssh'))
    await writeFile(join(home, '.ssh/config'), 'Host a\n')
    const { chmod } = await import('node:fs/promises')
    await chmod(join(home, '.ssh/config'), 0o666)
    await expect(sessionsFromSshConfig({ home, localUser: 'me' })).rejects.toMatchObject({ code: 'refused' })
  })
})
