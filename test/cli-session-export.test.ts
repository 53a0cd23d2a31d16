import { readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { jest } from '@jest/globals'
import { expectRefused, runIn, succeed } from './cli-fixture.js'
import { type Home, temporaryHome } from './world/home.js'
import { peerPath } from './world/peers.js'
import { runOrThrow } from './world/run.js'

// `session export`: the real ssh reads what is written for it, and what is written for PuTTY comes back here.

jest.setTimeout(90_000)

let home: Home
beforeEach(async () => {
  home = await temporaryHome()
})
afterEach(() => home.dispose())

const save = (...args: string[]) => runIn(home, ['session', 'save', ...args])
const show = async (name: string) => JSON.parse(await succeed(home, ['session', 'show', name, '--json']))
const facts = new Set(
  (
    'hostname port user identityfile identitiesonly proxyjump proxycommand forwardagent hostkeyalias ' +
    'localforward remoteforward dynamicforward'
  ).split(' '),
)

/** What ssh makes of a name in the file, without its own defaults. It shows a local forward from a path as a dynamic one, too. */
async function askSsh(file: string, name: string): Promise<string[]> {
  const { stdout } = await runOrThrow(peerPath('ssh'), ['-G', '-F', file, name], home)
  return stdout
    .split('\n')
    .filter(line => facts.has(line.split(' ')[0] ?? '') && !/~\/\.ssh\/id_|^dynamicforward \//.test(line))
}

test('ssh reads every field as it was meant', async () => {
  await save(
    ...['plain', 'hana@mail.example', '-p', '229', '-i', 'a b%c"#.ppk', '--charset', 'euc-jp'],
    ...['-L', '1110:localhost:110', '-L', '[::1]:1111:[2001:db8::1]:111', '-L', '/run/a b%.sock:/run/c'],
    ...['-R', '8080:localhost:80', '-R', '*:1081', '-A', '--host-key-alias', 'real.example'],
    ...['-J', 'gate@gate.example:2222,[::1]:23', '--weak', 'ssh-rsa'],
  )
  await save(
    'command',
    'x.example',
    '-l',
    'CORP\\hana b#',
    '--proxy-command',
    'nc -x a:1 "%h" %p # 100%%',
    '-D',
    '1080',
  )
  const file = join(home.path, 'config')
  const { status, stderr } = await runIn(home, ['session', 'export', '--all', '-o', file])
  expect([status, stderr]).toEqual([
    0,
    'plain: the charset euc-jp; the weak algorithms ssh-rsa: ssh has no word for that\n',
  ])
  expect((await stat(file)).mode & 0o777).toBe(0o600)

  expect((await askSsh(file, 'plain')).sort()).toEqual(
    [
      'hostname mail.example',
      'port 229',
      'user hana',
      // ssh shows it before it puts anything in for a percent sign.
      `identityfile ${home.path}/a b%%c"#.ppk`,
      'identitiesonly yes',
      'forwardagent yes',
      'hostkeyalias real.example',
      'proxyjump gate@gate.example:2222,[::1]:23',
      'localforward 1110 [localhost]:110',
      'localforward [::1]:1111 [2001:db8::1]:111',
      'localforward /run/a b%.sock /run/c',
      'remoteforward 8080 [localhost]:80',
      'remoteforward [*]:1081 [socks]:0',
    ].sort(),
  )
  expect((await askSsh(file, 'command')).sort()).toEqual(
    [
      'hostname x.example',
      'port 22',
      'user CORP\\hana b#',
      'identitiesonly no',
      'forwardagent no',
      'proxycommand nc -x a:1 "%h" %p # 100%%',
      'dynamicforward 1080',
    ].sort(),
  )
  expect(await readFile(file, 'utf8')).toMatch(/\n {2}# keytool: charset euc-jp\n/)

  // And back.
  const { charset: _, weak: __, ...plain } = await show('plain')
  const command = await show('command')
  for (const name of ['plain', 'command']) await succeed(home, ['session', 'remove', name])
  await succeed(home, ['session', 'import', file])
  expect(await show('plain')).toEqual(plain)
  expect(await show('command')).toEqual(command)
})

test('what ssh would read as something else is refused by name', async () => {
  await save('variable', 'a.example', '-i', '/k/\u0024{HOME}')
  await save('percent', 'a.example', '-l', 'a%b')
  for (const name of ['variable', 'percent']) {
    const refusal = { status: 6, code: 'unsupported', says: /can't stand in a file for ssh/ }
    await expectRefused(home, ['session', 'export', name], refusal)
  }
})

test('the registry export comes back as it was, and no file is replaced unasked', async () => {
  await save(
    'mail',
    'hana@mail.example',
    '--charset',
    'euc-jp',
    '-J',
    'a,b',
    '-L',
    '*:1110:localhost:110',
    '-D',
    '1080',
  )
  const saved = await show('mail')
  const file = join(home.path, 'sessions.reg')
  const { status, stderr } = await runIn(home, ['session', 'export', 'mail', '--format', 'reg', '-o', file])
  expect([status, stderr]).toEqual([0, 'mail: the way over a,b; -L *:1110:localhost:110: PuTTY has no word for that\n'])
  await succeed(home, ['session', 'remove', 'mail'])
  await succeed(home, ['session', 'import', file])
  expect(await show('mail')).toEqual(saved)
  await expectRefused(home, ['session', 'export', 'mail', '-o', file], { status: 4, code: 'exists' })
})

test('to standard output, byte for byte', async () => {
  await save('mail', 'mail.example')
  const text = await succeed(home, ['session', 'export', 'mail'])
  expect(text).toBe('Host mail\n  HostName mail.example\n  Port 22\n')
  await writeFile(join(home.path, 'config'), text)
  expect(await askSsh(join(home.path, 'config'), 'mail')).toContain('hostname mail.example')
})

test('--json: the text, or the file it was written to, and what was left out', async () => {
  await save('mail', 'mail.example', '--charset', 'euc-jp')
  const exportJson = async (...args: string[]) =>
    JSON.parse((await runIn(home, ['session', 'export', 'mail', '--json', ...args])).stdout)
  const leftOut = [{ name: 'mail', what: ['the charset euc-jp'] }]
  const text = 'Host mail\n  HostName mail.example\n  Port 22\n  # keytool: charset euc-jp\n'
  expect(await exportJson()).toEqual({ format: 'ssh_config', text, leftOut })
  const reg = await exportJson('--format', 'reg')
  expect(reg).toEqual({
    format: 'reg',
    text: expect.stringMatching(/^Windows Registry[^\0]*"HostName"="mail\.example"/),
    leftOut: [],
  })
  const path = join(home.path, 'config')
  expect(await exportJson('-o', 'config')).toEqual({ format: 'ssh_config', path, leftOut })
  expect(await readFile(path, 'utf8')).toBe(text)
})

test.each([
  [[], 2, 'usage'],
  [['mail', '--all'], 2, 'usage'],
  [['mail', '--format', 'xml'], 2, 'usage'],
  [['mail', 'web', '--format', 'putty'], 2, 'usage'],
  [['nothing'], 3, 'not-found'],
] as [string[], number, string][])('export %j: %i', async (args, status, code) => {
  for (const name of ['mail', 'web']) await save(name, 'mail.example')
  await expectRefused(home, ['session', 'export', ...args], { status, code })
})
