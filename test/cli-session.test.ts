import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { jest } from '@jest/globals'
import { expectRefused, type Refusal, runIn, succeed } from './cli-fixture.js'
import { type Home, temporaryHome } from './world/home.js'

// `session save`, `list`, `show`, `remove`; `edit`, `import`, `export` have files of their own. What a session is good for,
// the tunnel's tests show.

jest.setTimeout(120_000)

let home: Home
let folder: string

beforeEach(async () => {
  home = await temporaryHome()
  folder = join(home.path, '.config/keytool/sessions')
  await writeFile(join(home.path, 'id'), '')
})
afterEach(() => home.dispose())

const fileOf = (name: string) => join(folder, `${name}.json`)
const read = async (name: string) => JSON.parse(await readFile(fileOf(name), 'utf8'))
const save = (...args: string[]) => succeed(home, ['session', 'save', ...args])

const full = {
  version: 1,
  name: 'mail',
  host: 'mail.example',
  port: 229,
  user: 'hana',
  charset: 'euc-jp',
  forwards: { local: ['1110:localhost:110', '1025:localhost:25'], remote: [], dynamic: [] },
}
const forwards = ['-L', '1110:localhost:110', '-L', '1025:localhost:25']

describe('save', () => {
  test.each([
    ['as cli.md spells it', ['--host', 'mail.example', '--port', '229', '--user', 'hana', '--key', 'id']],
    ['as ssh spells it', ['hana@mail.example', '-p', '229', '-i', 'id']],
    ['with -l', ['mail.example', '-p', '229', '-l', 'hana', '-i', 'id']],
    ['as an address', ['ssh://hana@mail.example:229', '-i', 'id']],
    ['a key in the home folder, in quotes', ['hana@mail.example', '-p', '229', '-i', '~/id']],
  ])('%s: the same file', async (_, args) => {
    const text = await save('mail', ...args, '--charset', 'euc-jp', ...forwards)
    expect(await read('mail')).toEqual({ ...full, key: join(home.path, 'id') })
    expect(text).toMatch(/^ok session mail {2}~\/\.config\/keytool\/sessions\/mail\.json\n/)
    expect(text).toMatch(/\nNext: keytool tunnel mail\n$/)
    expect(await readdir(folder)).toEqual(['mail.json'])
  })

  test('a file that people can read: lines, indented', async () => {
    await save('mail', 'hana@mail.example')
    expect(await readFile(fileOf('mail'), 'utf8')).toMatch(
      /^\{\n {2}"version": 1,\n {2}"name": "mail",\n[\s\S]*\n\}\n$/,
    )
  })

  test('hundreds of forwards', async () => {
    const many = Array.from({ length: 300 }, (_, i) => `${20_000 + i}:localhost:110`)
    await save('many', 'mail.example', ...many.flatMap(text => ['-L', text]))
    expect((await read('many')).forwards.local).toEqual(many)
  })

  test('without a charset, by its name', async () => {
    await save('mail', 'mail.example', '--charset', 'none')
    expect(await read('mail')).not.toHaveProperty('charset')
  })

  test('--json gives the session', async () => {
    const args = ['mail', 'hana@mail.example', '-p', '229', '--charset', 'euc-jp', ...forwards, '--json']
    expect(JSON.parse(await save(...args))).toEqual(full)
  })

  test('the port is 22 and the user nobody in particular, unless said', async () => {
    await save('bare', 'mail.example')
    expect(await read('bare')).toMatchObject({ host: 'mail.example', port: 22 })
    expect(await read('bare')).not.toHaveProperty('user')
  })

  test.each([
    ['IPv6', '::1', '::1'],
    ['IPv6 in brackets', 'hana@[2001:db8::1]', '2001:db8::1'],
    ['an address', '127.0.0.1', '127.0.0.1'],
    ['a name with a dash and digits', 'web-1.example', 'web-1.example'],
  ])('%s', async (_, given, host) => {
    await save('server', given)
    expect(await read('server')).toMatchObject({ host })
  })

  test('a session folder of XDG_CONFIG_HOME', async () => {
    const env = { ...home.env, XDG_CONFIG_HOME: join(home.path, 'settings') }
    await succeed(home, ['session', 'save', 'mail', 'mail.example'], { env })
    expect(await readdir(join(home.path, 'settings/keytool/sessions'))).toEqual(['mail.json'])
    await expect(readdir(folder)).rejects.toMatchObject({ code: 'ENOENT' })
  })

  test('--force replaces the whole session', async () => {
    await save('mail', 'hana@mail.example', '--charset', 'euc-jp', ...forwards)
    await save('mail', 'other.example', '--force')
    expect(await read('mail')).toEqual({
      version: 1,
      name: 'mail',
      host: 'other.example',
      port: 22,
      forwards: { local: [], remote: [], dynamic: [] },
    })
    expect(await readdir(folder)).toEqual(['mail.json'])
  })

  test('--force replaces a damaged file, too', async () => {
    await mkdir(folder, { recursive: true })
    await writeFile(fileOf('mail'), '{')
    await save('mail', 'mail.example', '--force')
    expect(await read('mail')).toMatchObject({ host: 'mail.example' })
  })
})

describe('refused, and nothing is written', () => {
  const usage = { status: 2, code: 'usage' }
  test.each([
    [['mail', '--host', '-oProxyCommand=touch x'], /-/],
    [['mail', '--host=-oProxyCommand=x'], /does not begin with -|host/],
    [['mail', 'hana@-oProxyCommand=x'], /does not begin with -/],
    [['mail', 'a\u001b[31mb'], /destination|host/],
    [['mail', 'a\nHost b'], /destination|host/],
    [['mail', 'a b'], /destination|host/],
    [['mail', '$(touch x)'], /destination|host/],
    [['mail', 'a\u202eb'], /destination|host/],
    [['mail', ''], /destination|host/],
    [['mail', 'hana@'], /host is missing/],
    [['mail', '@mail.example'], /user is missing/],
    [['mail', 'mail.example', '-l', '-x'], /user/],
    [['mail', 'mail.example', '-l', 'a\nb'], /user/],
    [['mail', 'mail.example', '-p', '0'], /1 to 65535/],
    [['mail', 'mail.example', '-p', '65536'], /1 to 65535/],
    [['mail', 'mail.example', '-p', '22x'], /"22x"/],
    [['mail', 'mail.example', '-p', ''], /1 to 65535/],
    [['mail', 'mail.example:22'], /no destination/],
    [['mail', 'mail.example', '-L', '1110'], /-L 1110/],
    [['mail', 'mail.example', '-L', '1110:localhost'], /bind/],
    [['mail', 'mail.example', '-L', '1110:localhost:0'], /port/],
    [['mail', 'mail.example', '-L', '65536:localhost:110'], /port/],
    [['mail', 'mail.example', '-L', '1110:-x:110'], /host/],
    [['mail', 'mail.example', '-L', '[::1:1110:localhost:110'], /bracket/],
    [['mail', 'mail.example', '-L', '1110:a\u001bb:110'], /host/],
    [['mail', 'mail.example', '-L', '1110:localhost:110', '-L', 'bad'], /-L bad/],
    [['mail', 'mail.example', '--charset', 'klingon'], /"klingon"[\s\S]*charset/],
    [['mail', 'mail.example', '--charset', ''], /charset/],
    [['mail', 'mail.example', '--charset', 'utf-8\n'], /charset/],
    [['mail', 'mail.example', '-i', ''], /key/],
    [['mail', 'mail.example', '-i', 'a\nb'], /key/],
    [['mail', 'mail.example', '-J', '-x'], /jump|host/],
    [['mail', 'mail.example', '-R', '1110:localhost'], /-R 1110/],
    [['mail', 'mail.example', '-D', 'x'], /-D x/],
    [['mail', 'mail.example', '-D', '1080', '-L', '1080:a:1'], /two forwards/],
    [['mail', 'mail.example', '--proxy-command', 'a\nb'], /proxyCommand/],
    [['mail', 'mail.example', '--proxy-command', 'none'], /proxyCommand/],
    [['mail', 'mail.example', '--proxy-command', 'a', '-J', 'b'], /two ways/],
    [['mail', 'mail.example', '--host-key-alias', '-x'], /hostKeyAlias/],
    [['mail', 'mail.example', '--weak', 'a b'], /let in/],
    [['mail', 'mail.example', '--weak', 'ssh-rsa', '--weak', 'foo'], /foo is no algorithm[\s\S]*ssh-rsa/],
    [['../mail', 'mail.example'], /name/],
    [['.mail', 'mail.example'], /name/],
    [['', 'mail.example'], /name/],
    [['a b', 'mail.example'], /name/],
    [['a\u001b[31m', 'mail.example'], /name/],
    [['é', 'mail.example'], /name/],
    [['x'.repeat(65), 'mail.example'], /name/],
    [['--', '-x', 'mail.example'], /name/],
    [[], /name/],
    [['mail'], /host/],
    [['mail', 'one.example', '--host', 'two.example'], /host once/],
    [['mail', 'one.example', 'two.example'], /more words/],
    [['mail', 'one.example', '--password', 'x'], /--password/],
  ] as [string[], RegExp][])('save %j', (args, says) =>
    expectRefused(home, ['session', 'save', ...args], { ...usage, says }),
  )

  test('a name in use', async () => {
    await save('mail', 'hana@mail.example')
    const refusal = { status: 4, code: 'exists', says: /session mail already[\s\S]*nothing was written[\s\S]*--force/ }
    await expectRefused(home, ['session', 'save', 'mail', 'other.example'], refusal)
  })

  test('a newer file is not replaced, not even with --force', async () => {
    await mkdir(folder, { recursive: true })
    await writeFile(fileOf('mail'), JSON.stringify({ ...full, version: 2, extra: true }))
    const refusal = { status: 6, code: 'unsupported', says: /version 2/ }
    await expectRefused(home, ['session', 'save', 'mail', 'mail.example', '--force'], refusal)
    await expectRefused(home, ['session', 'show', 'mail'], refusal)
  })
})

describe('list and show', () => {
  beforeEach(async () => {
    await save('mail', 'hana@mail.example', '-p', '229', '--charset', 'euc-jp', ...forwards)
    await save('db-1', '::1')
  })

  test('list: a line each, in the order of the names', async () => {
    const text = await succeed(home, ['session', 'list'])
    expect(text).toMatch(/^db-1 +::1 .*22\nmail +hana@mail\.example .*229 .*1110.*localhost:110.*1025.*localhost:25\n$/)
  })

  test('list --json', async () => {
    const list = JSON.parse(await succeed(home, ['session', 'list', '--json']))
    expect(list).toEqual([await read('db-1'), full])
  })

  test('show', async () => {
    const text = await succeed(home, ['session', 'show', 'mail'])
    for (const fact of ['hana@mail.example', '229', 'euc-jp', '1110', 'localhost:110', '1025', 'localhost:25']) {
      expect(text).toContain(fact)
    }
    expect(JSON.parse(await succeed(home, ['session', 'show', 'mail', '--json']))).toEqual(full)
  })

  test('without any session: an empty list, exit 0', async () => {
    for (const name of ['mail', 'db-1']) await succeed(home, ['session', 'remove', name])
    const { status, stdout } = await runIn(home, ['session', 'list'])
    expect({ status, stdout }).toEqual({ status: 0, stdout: '' })
    expect(JSON.parse((await runIn(home, ['session', 'list', '--json'])).stdout)).toEqual([])
  })

  test('a forward bound to an address is shown with it', async () => {
    await save('open', 'mail.example', '-L', '0.0.0.0:1110:localhost:110')
    expect(await succeed(home, ['session', 'show', 'open'])).toContain('0.0.0.0:1110')
  })

  test('what comes from the server, and SOCKS, is listed, too', async () => {
    await save('all', 'all.example', '-L', '/run/a:/run/b', '-R', '8080:localhost:80', '-R', '1081', '-D', '1080')
    const forwards = [
      '/run/a -> /run/b',
      'server 8080 -> localhost:80 here',
      'server 1081 -> SOCKS here',
      '1080 -> SOCKS',
    ]
    for (const command of [['list'], ['show', 'all']]) {
      const text = await succeed(home, ['session', ...command])
      for (const forward of forwards) expect(text).toContain(forward)
    }
  })

  test('all other fields are shown', async () => {
    await save('far', 'f.example', '--proxy-command', 'nc %h %p', '-A', '--host-key-alias', 'real', '--weak', 'ssh-rsa')
    expect(await succeed(home, ['session', 'show', 'far'])).toBe(`server       f.example port 22
by command   nc %h %p
agent        forwarded: the server may use it
host key of  real
lets in      ssh-rsa
`)
  })

  test('a jump host is shown', async () => {
    await save('far', 'mail.example', '-J', 'hana@gate.example:2222')
    expect(await succeed(home, ['session', 'show', 'far'])).toContain('hana@gate.example:2222')
  })

  test('files that are no sessions are passed over', async () => {
    await writeFile(join(folder, 'notes.txt'), 'notes')
    await writeFile(join(folder, '.mail.json.abc.tmp'), '{')
    await mkdir(join(folder, 'old'))
    expect(JSON.parse(await succeed(home, ['session', 'list', '--json']))).toHaveLength(2)
  })
})

describe('remove', () => {
  test('removes the one, and says what stays', async () => {
    await save('mail', 'mail.example')
    await save('web', 'web.example')
    expect(await succeed(home, ['session', 'remove', 'mail'])).toMatch(/^ok session mail removed/)
    expect(await readdir(folder)).toEqual(['web.json'])
    expect(JSON.parse(await succeed(home, ['session', 'remove', 'web', '--json']))).toEqual({ removed: 'web' })
    expect(await readdir(folder)).toEqual([])
  })

  test('removes a damaged one', async () => {
    await mkdir(folder, { recursive: true })
    await writeFile(fileOf('mail'), '{')
    await succeed(home, ['session', 'remove', 'mail'])
    expect(await readdir(folder)).toEqual([])
  })
})

describe.each(['show', 'remove'])('%s', command => {
  test('one that is not there: 3, with the names that may have been meant', async () => {
    for (const name of ['mail', 'mail-old', 'web']) await save(name, 'mail.example')
    const refusal = { status: 3, code: 'not-found' }
    await expectRefused(home, ['session', command, 'mial'], { ...refusal, says: /no session mial[\s\S]*\bmail\b/ })
    await expectRefused(home, ['session', command, 'MAIL'], { ...refusal, says: /\bmail\b/ })
    await expectRefused(home, ['session', command, 'entirely-other'], { ...refusal, says: /no session entirely-other/ })
  })

  test.each(['', '../mail', '.', 'a\u001b[31m'])('a name that can not be, %j: 2', name =>
    expectRefused(home, ['session', command, name], { status: 2, code: 'usage', says: /name/ }),
  )

  test('no name: 2', () =>
    expectRefused(home, ['session', command], { status: 2, code: 'usage', says: /missing.*name/ }))
})

test('list --json: what is broken is one JSON value, the good ones are shown', async () => {
  await save('web', 'web.example')
  for (let i = 0; i < 12; i++) await writeFile(fileOf(`bad${i}`), '{')
  const { status, stdout, stderr } = await runIn(home, ['session', 'list', '--json'])
  expect([status, JSON.parse(stdout)]).toEqual([6, [await read('web')]])
  expect(JSON.parse(stderr)).toEqual({
    error: {
      code: 'damaged',
      message: "12 sessions can't be read",
      reason: expect.stringMatching(/bad0\.json is no JSON; .*bad10\.json.*; and 2 more$/),
    },
  })
})

describe('a file that is not as it should be', () => {
  const damaged = { status: 6, code: 'damaged' }
  const bad: readonly (readonly [what: string, content: string, refusal: Refusal])[] = [
    ['no JSON', '{ "version": 1,', { ...damaged, says: /mail\.json/ }],
    ['empty', '', { ...damaged, says: /mail\.json/ }],
    ['a list', '[]', { ...damaged, says: /mail\.json/ }],
    ['null', 'null', { ...damaged, says: /mail\.json/ }],
    ['UTF-16', '\ufeff\u0000{\u0000}', { ...damaged, says: /mail\.json/ }],
    ['no version', JSON.stringify({ ...full, version: undefined }), { ...damaged, says: /version/ }],
    ['version 0', JSON.stringify({ ...full, version: 0 }), { ...damaged, says: /version/ }],
    ['version "1"', JSON.stringify({ ...full, version: '1' }), { ...damaged, says: /version/ }],
    ['a newer version', JSON.stringify({ ...full, version: 2 }), { status: 6, code: 'unsupported', says: /version 2/ }],
    ['a field that is none', JSON.stringify({ ...full, command: 'touch x' }), { ...damaged, says: /command/ }],
    ['a command over lines', JSON.stringify({ ...full, proxyCommand: 'a\nb' }), { ...damaged, says: /proxyCommand/ }],
    ['two ways', JSON.stringify({ ...full, proxyCommand: 'a', jump: 'b' }), { ...damaged, says: /two ways/ }],
    ['a hostile host', JSON.stringify({ ...full, host: '-oProxyCommand=x' }), { ...damaged, says: /host/ }],
    ['a host in colour', JSON.stringify({ ...full, host: 'a\u001b[31m' }), { ...damaged, says: /host/ }],
    ['a port of text', JSON.stringify({ ...full, port: '22' }), { ...damaged, says: /port/ }],
    ['a bad forward', JSON.stringify({ ...full, forwards: { ...full.forwards, local: ['x'] } }), damaged],
    ['another name', JSON.stringify({ ...full, name: 'other' }), { ...damaged, says: /other/ }],
    ['too large', ' '.repeat(300_000), damaged],
  ]
  test.each(bad)('%s', async (_, content, refusal) => {
    await save('web', 'web.example')
    await writeFile(fileOf('mail'), content)
    await expectRefused(home, ['session', 'show', 'mail'], refusal)
    // The list still shows the good ones, and says which is bad.
    const list = await runIn(home, ['session', 'list'])
    expect(list).toMatchObject({ status: 6, stdout: expect.stringMatching(/^web +web\.example/) })
    expect(list.stderr).toContain('mail')
    expect(list.stderr).not.toMatch(/\n\s+at /)
    expect(list.stderr).not.toContain('\u001b')
    expect(JSON.parse((await runIn(home, ['session', 'list', '--json'])).stdout)).toMatchObject([{ name: 'web' }])
    expect(await readFile(fileOf('mail'), 'utf8')).toBe(content)
  })
})
