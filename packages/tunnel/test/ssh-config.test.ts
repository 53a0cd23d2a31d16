// biome-ignore-all lint/suspicious/noTemplateCurlyInString: they are ssh's variables
import { chmod, chown, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { readSshConfig, type SshConfigOptions } from '../src/config/ssh-config/read.js'
import type { HostQuery, HostSettings } from '../src/config/ssh-config/settings.js'
import { parseForward } from '../src/forwards/spec.js'

// What `ssh -G` can't show: errors and their places, what is ignored, caps, whose files are believed. The rest is held
// against ssh itself in test/tunnel-config.test.ts.

let home: string
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'kt-'))
})
afterEach(() => rm(home, { recursive: true, force: true }))

async function put(name: string, text: string | Buffer, mode = 0o644): Promise<string> {
  const path = join(home, name)
  await mkdir(dirname(path), { recursive: true })
  await writeFile(path, text)
  await chmod(path, mode)
  return path
}

/** With `~/.ssh/config` and no system file, unless the options say otherwise. */
function read(query: Partial<HostQuery> = {}, options: SshConfigOptions = {}): Promise<HostSettings> {
  const systemFile = join(home, 'not-there')
  return readSshConfig({ host: 'web1', localUser: 'hana', home, ...query }, { systemFile, env: {}, ...options })
}

async function readText(text: string | Buffer, query: Partial<HostQuery> = {}, options: SshConfigOptions = {}) {
  await put('.ssh/config', text)
  return read(query, options)
}

test('without files there is the host', async () => {
  expect(await read()).toEqual({
    host: 'web1',
    localForwards: [],
    remoteForwards: [],
    dynamicForwards: [],
    sendEnv: [],
    setEnv: {},
    ignored: [],
    files: [],
  })
})

test('the user first, then the system; includes lie beside their file', async () => {
  await put('.ssh/config', 'Port 1\nInclude more\n')
  await put('.ssh/more', 'User a\n')
  const systemFile = await put('etc/ssh_config', 'Port 2\nUser b\nInclude more\n')
  await put('etc/more', 'HostName h\n')
  expect(await read({}, { systemFile })).toMatchObject({
    port: 1,
    user: 'a',
    host: 'h',
    files: ['~/.ssh/config', '~/.ssh/more', '~/etc/ssh_config', '~/etc/more'],
  })
  await put('etc/ssh_config', 'Include ~/x\n')
  await expect(read({}, { systemFile })).rejects.toMatchObject({
    code: 'damaged',
    message: expect.stringContaining('line 1'),
  })
})

describe('-F', () => {
  test('one file in place of both', async () => {
    await put('.ssh/config', 'Port 1\n')
    const systemFile = await put('etc/ssh_config', 'User b\n')
    expect(await read({}, { systemFile, file: await put('other', 'HostName h\n', 0o666) })).toMatchObject({
      host: 'h',
      files: ['~/other'],
    })
    const none = await read({}, { systemFile, file: 'none' })
    expect([none.port, none.user]).toEqual([undefined, undefined])
  })

  test('has to be there', async () => {
    await expect(read({}, { file: join(home, 'x') })).rejects.toMatchObject({ code: 'not-found' })
  })
})

describe('what is ignored is named', () => {
  test('by keyword and line, of blocks that match', async () => {
    const text = [
      'Host other',
      '  ControlMaster auto',
      'Host web1',
      '  ControlPath ~/c',
      '  CanonicalizeHostname yes',
      '  ProxyUseFdpass yes',
      '  IgnoreUnknown foo*',
      '  FooBar x',
      'CanonicalizeHostname no',
      'Match host other exec "touch x"',
      '  Port 1',
      'Match exec "touch x" host web1',
      '  Port 2',
      'Match !localnetwork 10.0.0.0/8',
      '  Port 3',
    ]
    const { ignored, port } = await readText(text.join('\n'))
    expect(port).toBeUndefined()
    expect(ignored.map(({ keyword, line }) => `${line} ${keyword}`)).toEqual([
      '4 controlpath',
      '5 canonicalizehostname',
      '6 proxyusefdpass',
      '8 foobar',
      '12 match exec',
      '14 match localnetwork',
    ])
    expect(ignored[0]).toEqual({ keyword: 'controlpath', file: '~/.ssh/config', line: 4 })
  })

  test('once, though there are two passes', async () => {
    const { ignored, port } = await readText('ControlMaster auto\nMatch final\n  Port 2\nMatch exec x\n')
    expect(port).toBe(2)
    expect(ignored.map(({ keyword }) => keyword)).toEqual(['controlmaster', 'match exec'])
  })

  test('apart from what can’t be left out without checking less: the first word on it counts', async () => {
    const text = [
      'Host other',
      '  KnownHostsCommand /x',
      'Host *',
      '  CheckHostIP no',
      '  KnownHostsCommand /bin/echo %h # all of it',
      '  VerifyHostKeyDNS yes',
      'CheckHostIP yes',
      'KnownHostsCommand none',
    ]
    const { needed, ignored, verifyHostKeyDns } = await readText(text.join('\n'))
    expect(needed).toEqual([{ keyword: 'knownhostscommand', file: '~/.ssh/config', line: 5 }])
    expect([verifyHostKeyDns, ignored]).toEqual([
      'yes',
      [{ keyword: 'verifyhostkeydns', file: '~/.ssh/config', line: 6 }],
    ])
    expect((await readText('CheckHostIP yes\nCheckHostIP no\nKnownHostsCommand NONE\n')).needed).toEqual([
      { keyword: 'checkhostip', file: '~/.ssh/config', line: 1 },
    ])
    expect(await readText('VerifyHostKeyDNS no\nKnownHostsCommand none\n')).not.toHaveProperty('needed')
    await expect(readText('KnownHostsCommand\n')).rejects.toMatchObject({ code: 'damaged' })
    await expect(readText('CheckHostIP maybe\n')).rejects.toMatchObject({ code: 'damaged' })
  })

  test('no program is started', async () => {
    const witness = join(home, 'witness')
    await readText(
      `Match exec "touch ${witness}"\nMatch !exec "touch ${witness}"\n  Port 2\nProxyCommand touch ${witness}\n`,
    )
    await expect(rm(witness)).rejects.toMatchObject({ code: 'ENOENT' })
  })
})

describe('what is wrong is shown with its place', () => {
  test.each([
    ['Prot 22', 'line 2: "prot" is no keyword'],
    ['Port\u001b[2J 22', 'line 2: "port\\u{1b}[2j" is no keyword'],
    ['Port 99999', 'line 2: port: "99999" is no port'],
    ['Port http', 'line 2: port: "http" is no port'],
    ['User "a', 'line 2: a quote is left open'],
    ['Port', 'line 2: there is nothing behind "port"'],
    ['User a b', 'line 2: user: "b" is one value too many'],
    ['StrictHostKeyChecking maybe', 'line 2: stricthostkeychecking: "maybe" is not one of'],
    ['LocalForward 80 a', 'line 2: localforward: '],
    ['HostName %x', 'line 2: %x means nothing here'],
    ['IdentityFile ~/%', 'line 2: % means nothing here'],
    ['IdentityFile ${NOT_THERE}', 'line 2: the variable NOT_THERE has no value'],
    ['IdentityFile ${NOT', 'line 2: ${NOT is no variable'],
    ['IdentityFile ~other/x', 'line 2: the home of another user'],
    ['UserKnownHostsFile a none', 'line 2: userknownhostsfile: none stands alone'],
    ['ProxyCommand nc %h %x', 'line 2: %x means nothing here'],
    ['RemoteForward 80 relative/sock', 'line 2: -R'],
    ['Match weather fine', 'line 2: match: "weather" is no criterion'],
    ['Include ""', 'line 2: include: a file is missing'],
    ['User a\0b', 'line 2: there is a zero byte in it'],
  ])('%j', async (line, message) => {
    await expect(readText(`# first\n${line}\nPort 22\n`)).rejects.toMatchObject({
      code: 'damaged',
      message: expect.stringContaining(`~/.ssh/config ${message}`),
    })
  })

  test('in an include', async () => {
    await put('.ssh/conf.d/a', '\n\nPrto 1\n')
    await expect(readText('Include conf.d/*\n')).rejects.toMatchObject({
      message: '~/.ssh/conf.d/a line 3: "prto" is no keyword of ssh\'s',
    })
  })

  test.each(['prot=1', 'Host=x', 'Match all', 'Include=x', 'Port', '', '# x', 'Port=1\nUser=x'])(
    '-o %j',
    async option => {
      await expect(read({}, { extra: [option] })).rejects.toMatchObject({
        code: 'usage',
        message: expect.stringMatching(/^-o /),
      })
    },
  )

  test('RefuseConnection refuses, in blocks that match', async () => {
    const text = 'Host other\n  RefuseConnection "not today"\n'
    expect(await readText(text)).toMatchObject({ ignored: [] })
    await expect(readText(text, { host: 'other' })).rejects.toMatchObject({
      code: 'refused',
      message: expect.stringContaining('not today'),
    })
  })

  test('text that is not UTF-8, but for comments', async () => {
    const latin1 = (text: string) => Buffer.from(text, 'latin1')
    expect(await readText(latin1('# gr\u00fc\u00dfe\nPort 2\n'))).toMatchObject({ port: 2 })
    await expect(readText(latin1('Port 2\nIdentityFile ~/gr\u00fc\u00df\n'))).rejects.toMatchObject({
      code: 'damaged',
      message: '~/.ssh/config line 2: it is not UTF-8',
    })
    expect(await readText('IdentityFile ~/gr\u00fc\u00df\ufffd\n')).toMatchObject({
      identityFiles: [join(home, 'gr\u00fc\u00df\ufffd')],
    })
  })
})

describe('who is believed', () => {
  const isRoot = process.getuid?.() === 0

  test.each([0o664, 0o646, 0o666])('not a file with mode %o', async mode => {
    await put('.ssh/config', 'Port 1\n', mode)
    await expect(read()).rejects.toMatchObject({ code: 'refused', hint: 'chmod go-w ~/.ssh/config' })
    await put('.ssh/config', 'Include more\n')
    await put('.ssh/more', 'Port 1\n', mode)
    await expect(read()).rejects.toMatchObject({ code: 'refused', message: expect.stringContaining('~/.ssh/more') })
  })

  test('not the file of another user', async () => {
    const path = await put('.ssh/config', 'Port 1\n')
    const uid = process.getuid?.() ?? 0
    if (isRoot) await chown(path, 12345, 12345)
    // Whoever runs this, the file is neither theirs nor root's.
    const options = isRoot ? {} : { uid: uid + 1 }
    await expect(read({}, options)).rejects.toMatchObject({ code: 'refused', reason: 'it belongs to another user' })
    if (isRoot) expect(await read({}, { uid: 12345 })).toMatchObject({ port: 1 })
  })

  test('a link counts as what it leads to', async () => {
    await mkdir(join(home, '.ssh'))
    await symlink(await put('real', 'Port 1\n', 0o666), join(home, '.ssh/config'))
    await expect(read()).rejects.toMatchObject({ code: 'refused' })
  })

  test.each(['a b', '$(x)', '-x', 'a;b', '', 'a\nb'])('not a host of %j', async host => {
    await expect(read({ host })).rejects.toMatchObject({ code: 'usage' })
  })

  test.each(['$(x', '-x', 'a;b', ''])('not a user of %j', async user => {
    await expect(read({ user })).rejects.toMatchObject({ code: 'usage' })
  })

  test('not a jump whose tokens bring in more than a name', async () => {
    expect(await readText('User a\nProxyJump %r@gw-%n:2222,[::1]\n')).toMatchObject({
      proxyJump: 'a@gw-web1:2222,[::1]',
    })
    await expect(readText('User a;b\nProxyJump %r@gw\n')).rejects.toMatchObject({ code: 'refused' })
  })
})

describe('caps', () => {
  test('a file has at most 1 MiB and 10,000 lines', async () => {
    expect(await readText(`${'\n'.repeat(9_999)}Port 1\n`)).toMatchObject({ port: 1 })
    await expect(readText('\n'.repeat(10_001))).rejects.toMatchObject({ code: 'damaged' })
    await expect(readText(`#${'x'.repeat(1 << 20)}\n`)).rejects.toMatchObject({ code: 'damaged' })
  })

  test('includes are at most 16 deep', async () => {
    for (let depth = 1; depth <= 17; depth++)
      await put(`.ssh/${depth}`, depth === 17 ? 'Port 1\n' : `Include ${depth + 1}\n`)
    expect(await readText('Include 2\n')).toMatchObject({ port: 1 })
    await expect(readText('Include 1\n')).rejects.toMatchObject({
      code: 'damaged',
      message: expect.stringContaining('16 deep'),
    })
  })

  test('a file that includes itself twice comes to an end', async () => {
    await put('.ssh/a', 'Include a a\n')
    await expect(readText('Include a\n')).rejects.toMatchObject({ code: 'damaged' })
    await put('.ssh/b', 'Include c c c c\n')
    await put('.ssh/c', 'Include d d d d d d d d\n')
    await put('.ssh/d', 'Include e e e e e e e e\n')
    await put('.ssh/e', '')
    await expect(readText('Include b b\n')).rejects.toMatchObject({ message: expect.stringContaining('more than 256') })
  })

  test('many files under one pattern are too many', async () => {
    for (let n = 0; n <= 257; n++) await put(`.ssh/d/${n}`, '')
    await expect(readText('Include d/*\n')).rejects.toMatchObject({ message: expect.stringContaining('more than 256') })
  })

  test('a pattern of stars takes no time', async () => {
    await put(`.ssh/${'a'.repeat(250)}`, '')
    expect(
      await readText(`Include ${'*a'.repeat(100)}b\nHost ${'*a'.repeat(300)}b\n`, { host: 'a'.repeat(255) }),
    ).toMatchObject({
      files: ['~/.ssh/config'],
    })
  })
})

describe('the values', () => {
  test('key files with tokens, none, and agents', async () => {
    const text = 'HostName Real\nPort 2\nUser a\nIdentityFile ~/%h-%n-%p-%r-%u-%L ${K}/x\n'
    await expect(readText(text)).rejects.toThrow()
    const fine = text.replace(' ${K}/x', '\nIdentityFile ${K}/x\nCertificateFile %d/c%%')
    const options = { env: { K: '/k', SSH_AUTH_SOCK: '/s' }, thisHost: 'me.example' }
    expect(await readText(fine, {}, options)).toMatchObject({
      identityFiles: [join(home, 'real-web1-2-a-hana-me'), '/k/x'],
      certificateFiles: [join(home, 'c%')],
    })
    expect(await readText('IdentityFile none\nIdentityAgent SSH_AUTH_SOCK\n', {}, options)).toMatchObject({
      identityFiles: [],
      identityAgent: { path: '/s' },
    })
    const agents = { $K: { path: '/k' }, $NOT_THERE: 'none', none: 'none', '~/%r': { path: join(home, 'hana') } }
    for (const [value, identityAgent] of Object.entries(agents)) {
      expect(await readText(`IdentityAgent ${value}\n`, {}, options)).toMatchObject({ identityAgent })
    }
  })

  test.each([
    ['ForwardAgent yes', true],
    ['ForwardAgent $K', { path: '/k' }],
    ['ForwardAgent $NOT_THERE', false],
    ['ForwardAgent no\nForwardAgent /x', false],
    ['ForwardAgent yes\nForwardAgent /x', { path: '/x' }],
  ])('%j', async (text, forwardAgent) => {
    expect(await readText(text, {}, { env: { K: '/k' } })).toMatchObject({ forwardAgent })
  })

  test('what narrows whom one talks to, and how', async () => {
    const text = 'RevokedHostKeys ~/r-%h ${K}/r\nRevokedHostKeys /x\nRequiredRSASize 3072\nBatchMode yes\n'
    expect(await readText(`${text}CASignatureAlgorithms -ssh-rsa\n`, {}, { env: { K: '/k' } })).toMatchObject({
      revokedHostKeysFiles: [join(home, 'r-web1'), '/k/r'],
      requiredRsaSize: 3072,
      batchMode: true,
      caSignatureAlgorithms: '-ssh-rsa',
      ignored: [],
    })
    expect(await readText('RevokedHostKeys none\n')).toMatchObject({ revokedHostKeysFiles: [] })
  })

  test('forwards can be read as -L, -R, -D are', async () => {
    const text =
      'LocalForward *:80 [::1]:81\nLocalForward /a\\:b /c\nRemoteForward 0 x:1\nRemoteForward 90\nDynamicForward 91\n'
    const { localForwards, remoteForwards, dynamicForwards } = await readText(text)
    expect([localForwards, remoteForwards, dynamicForwards]).toEqual([
      ['*:80:[::1]:81', '/a\\:b:/c'],
      ['0:x:1', '90'],
      ['91'],
    ])
    expect(localForwards.map(text => parseForward('local', text))).toEqual([
      { kind: 'local', listen: { bind: '*', port: 80 }, to: { host: '::1', port: 81 } },
      { kind: 'local', listen: { path: '/a:b' }, to: { path: '/c' } },
    ])
  })

  test('SetEnv with names that mean something to JavaScript', async () => {
    const { setEnv } = await readText('SetEnv __proto__=1 constructor=2\n')
    expect(Object.entries(setEnv)).toEqual([
      ['__proto__', '1'],
      ['constructor', '2'],
    ])
  })

  test.each(['constructor yes', '__proto__ x', 'toString 1'])('%j is no keyword', async text => {
    await expect(readText(`${text}\n`)).rejects.toMatchObject({ message: expect.stringContaining('is no keyword') })
  })

  test('Match command and tagged', async () => {
    const text = 'Tag blue\nMatch command "git-*" tagged bl?e\n  Port 1\nMatch command ""\n  Port 2\n'
    expect(await readText(text, { command: 'git-upload-pack x' })).toMatchObject({ port: 1, tag: 'blue' })
    expect(await readText(text)).toMatchObject({ port: 2 })
    expect((await readText(text, { command: 'ls' })).port).toBeUndefined()
  })
})
