import { chmod, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { jest } from '@jest/globals'
import { expectRefused, runIn, succeed } from './cli-fixture.js'
import { type Home, temporaryHome } from './world/home.js'
import { keytoolPath } from './world/run.js'
import { openTerminal, type Terminal } from './world/terminal.js'

// `session edit`: by options, and in an editor, where a broken text never takes the place of the good one.

jest.setTimeout(120_000)

let home: Home
let folder: string

beforeEach(async () => {
  home = await temporaryHome()
  folder = join(home.path, '.config/keytool/sessions')
  await runIn(home, [
    ...['session', 'save', 'mail', 'hana@mail.example', '-p', '229', '--charset', 'euc-jp', '-i', 'id'],
    ...['-L', '1110:localhost:110', '-D', '1080', '-J', 'gate', '--weak', 'ssh-rsa', '-A'],
  ])
})
afterEach(() => home.dispose())

const file = () => join(folder, 'mail.json')
const read = async () => JSON.parse(await readFile(file(), 'utf8'))
const edit = (...args: string[]) => runIn(home, ['session', 'edit', 'mail', ...args])

describe('by options', () => {
  test.each([
    ['a port', ['-p', '2222'], { port: 2222 }],
    ['a host', ['--host', 'other.example'], { host: 'other.example', user: 'hana', port: 229 }],
    ['a whole place', ['--host', 'ssh://b@c:1'], { host: 'c', user: 'b', port: 1 }],
    [
      'a forward more',
      ['-L', '1:a:1'],
      { forwards: { local: ['1110:localhost:110', '1:a:1'], remote: [], dynamic: ['1080'] } },
    ],
    [
      'the same again',
      ['-L', '1110:localhost:110'],
      { forwards: { local: ['1110:localhost:110'], remote: [], dynamic: ['1080'] } },
    ],
    ['a forward less', ['--drop', '1080'], { forwards: { local: ['1110:localhost:110'], remote: [], dynamic: [] } }],
    ['other forwards', ['--no-forwards', '-R', '1:a:1'], { forwards: { local: [], remote: ['1:a:1'], dynamic: [] } }],
    ['another way', ['--proxy-command', 'nc %h %p'], { proxyCommand: 'nc %h %p' }],
    ['weak ones', ['--no-weak-algorithms', '--weak', 'hmac-sha1'], { weak: ['hmac-sha1'] }],
  ])('%s', async (_, args, fields) => {
    const before = await read()
    expect(await edit(...args)).toMatchObject({ status: 0, stdout: expect.stringMatching(/^ok session mail /) })
    const { jump, ...others } = before
    expect(await read()).toEqual({ ...others, ...('proxyCommand' in fields ? {} : { jump }), ...fields })
  })

  test('the charset none is none', async () => {
    await edit('--charset', 'none')
    expect(await read()).not.toHaveProperty('charset')
  })

  test('each thing can be taken out', async () => {
    const without = ['user', 'charset', 'key', 'jump', 'forward-agent', 'weak-algorithms', 'forwards', 'proxy-command']
    await edit(...without.map(name => `--no-${name}`))
    const forwards = { local: [], remote: [], dynamic: [] }
    expect(await read()).toEqual({ version: 1, name: 'mail', host: 'mail.example', port: 229, forwards })
  })

  test.each([
    [['mail', '-p', '0'], 2, 'usage', /1 to 65535/],
    [['mail', '--charset', 'klingon'], 2, 'usage', /klingon/],
    [['mail', '--drop', '9:a:9'], 3, 'not-found', /no forward "9:a:9"[\s\S]*1110:localhost:110/],
    [['mail', '-L', '1080:a:1'], 2, 'usage', /two forwards/],
    [['mail', '-J', 'a', '--proxy-command', 'b'], 2, 'usage', /two ways/],
    [['mial', '-p', '1'], 3, 'not-found', /mail/],
    [['mail'], 2, 'usage', /no terminal/],
    [['mial'], 3, 'not-found', /did you mean mail/],
    [['mail', '--weak', 'foo'], 2, 'usage', /foo is no algorithm/],
  ] as [string[], number, string, RegExp][])(
    'edit %j is refused, nothing is written',
    async (args, status, code, says) => {
      await expectRefused(home, ['session', 'edit', ...args], { status, code, says })
    },
  )
})

describe('in an editor', () => {
  let terminal: Terminal | undefined
  afterEach(() => terminal?.close())

  /** An editor that does one thing to the file each time it is opened, and counts how often that was. */
  async function open(...steps: string[]): Promise<Terminal> {
    const editor = join(home.path, 'my editor')
    const cases = steps.map((step, i) => `${i + 1}) ${step};;`).join('\n')
    await writeFile(editor, `#!/bin/sh\necho x >>"$HOME/opened"\ncase $(wc -l <"$HOME/opened") in\n${cases}\nesac\n`)
    await chmod(editor, 0o755)
    const env = { ...home.env, VISUAL: `'${editor}'`, TERM: 'xterm' }
    terminal = await openTerminal([process.execPath, keytoolPath, 'session', 'edit', 'mail'], { env, cwd: home.path })
    return terminal
  }

  test('what is a session still is kept', async () => {
    const shown = await open(`sed -i 's/229/2222/' "$1"`)
    await shown.waitFor(/session mail changed/)
    expect(await shown.exitStatus()).toBe(0)
    expect((await read()).port).toBe(2222)
    expect(await readdir(folder)).toEqual(['mail.json'])
  })

  test('a broken text never replaces the good one; it is opened again, or kept for another time', async () => {
    const before = await readFile(file(), 'utf8')
    const shown = await open(`echo '{' >"$1"`, `echo '{"version": 1}' >"$1"`, `sed -i 's/1/2/' "$1"`)
    await shown.waitFor(/no JSON[\s\S]*Open it again\?/)
    expect(await readFile(file(), 'utf8')).toBe(before)
    await shown.type('\r')
    await shown.waitFor(/name is missing[\s\S]*Open it again\?/)
    await shown.type('n\r')
    await shown.waitFor(/your text is kept/)
    expect(await shown.exitStatus()).toBe(130)
    expect(await readFile(file(), 'utf8')).toBe(before)
    expect(await readFile(join(folder, '.mail.draft'), 'utf8')).toBe('{"version": 1}\n')
    expect(await succeed(home, ['session', 'list'])).toMatch(/^mail /)
  })

  test('the text that was kept is opened the next time; a name is not changed here', async () => {
    const renamed = (await readFile(file(), 'utf8')).replace('"mail"', '"web"')
    await writeFile(join(folder, '.mail.draft'), renamed)
    const shown = await open('true', `sed -i 's/"web"/"mail"/; s/229/2222/' "$1"`)
    await shown.waitFor(/left over the last time[\s\S]*name can't be changed[\s\S]*Open it again\?/)
    await shown.type('y\r')
    await shown.waitFor(/session mail changed/)
    // The draft goes after that was said.
    expect(await shown.exitStatus()).toBe(0)
    expect((await read()).port).toBe(2222)
    expect(await readdir(folder)).toEqual(['mail.json'])
  })

  test('an editor that fails changes nothing and leaves nothing', async () => {
    const before = await readFile(file(), 'utf8')
    const shown = await open('exit 3')
    await shown.waitFor(/ended with 3/)
    expect(await shown.exitStatus()).toBe(1)
    expect(await readFile(file(), 'utf8')).toBe(before)
    expect(await readdir(folder)).toEqual(['mail.json'])
  })

  test('a damaged file can be mended', async () => {
    const whole = await readFile(file(), 'utf8')
    await writeFile(join(home.path, 'whole'), whole)
    await writeFile(file(), '{')
    const shown = await open('cat "$HOME/whole" >"$1"')
    await shown.waitFor(/session mail changed/)
    expect(await shown.exitStatus()).toBe(0)
    expect(await readFile(file(), 'utf8')).toBe(whole)
  })
})
