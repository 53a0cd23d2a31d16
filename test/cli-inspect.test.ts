import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { jest } from '@jest/globals'
import { runIn, succeed } from './cli-fixture.js'
import { type Home, temporaryHome } from './world/home.js'
import { peerPath } from './world/peers.js'
import { keytoolPath, runOrThrow } from './world/run.js'

// `inspect`, `fingerprint`, `public`: what a file shows without its passphrase.

jest.setTimeout(120_000)

let home: Home
const at = (name: string) => join(home.path, name)

const sshKeygen = (...args: string[]) => runOrThrow(peerPath('ssh-keygen'), args, { env: home.env, cwd: home.path })
const make = (name: string, ...more: string[]) =>
  sshKeygen('-q', '-t', 'ed25519', '-a', '1', '-C', 'a comment', '-f', name, ...more)

beforeEach(async () => {
  home = await temporaryHome()
})
afterEach(() => home.dispose())

/** What ssh-keygen says of it, as `inspect` names it. */
async function fingerprintOf(name: string): Promise<{ sha256: string; md5: string }> {
  const of = async (hash: string) => (await sshKeygen('-l', '-E', hash, '-f', name)).stdout.split(' ')[1] ?? ''
  return { sha256: await of('sha256'), md5: await of('md5') }
}

const inspect = async (...args: string[]) =>
  JSON.parse(await succeed(home, ['inspect', ...args, '--json'], { timeoutMs: 90_000 }))

describe('inspect --json: an array, each key with these facts and no others', () => {
  test('an open OpenSSH key and its public half', async () => {
    await make('key', '-N', '')
    const fingerprint = await fingerprintOf('key')
    const shared = {
      format: 'openssh',
      type: 'ssh-ed25519',
      bits: 256,
      comment: 'a comment',
      encrypted: false,
      fingerprint,
    }
    expect(await inspect('key', 'key.pub')).toEqual([
      { path: 'key', kind: 'private', ...shared },
      { path: 'key.pub', kind: 'public', ...shared },
    ])
  })

  test('an encrypted OpenSSH key, its comment from the .pub beside it', async () => {
    await make('key', '-N', 'secret', '-Z', 'aes192-ctr', '-a', '3')
    const wanted = {
      path: at('key'),
      kind: 'private',
      format: 'openssh',
      type: 'ssh-ed25519',
      bits: 256,
      comment: 'a comment',
      encrypted: true,
      cipher: 'aes192-ctr',
      kdf: { name: 'bcrypt', rounds: 3, strength: 'weak' },
      fingerprint: await fingerprintOf('key'),
    }
    expect(await inspect(at('key'))).toEqual([wanted])
  })

  test.each([
    ['ecdsa', '521', 'ecdsa-sha2-nistp521'],
    ['rsa', '2048', 'ssh-rsa'],
  ])('an encrypted PPK of type %s %s', async (type, bits, name) => {
    await writeFile(at('secret'), 'secret')
    const costs = ['--memory', '16', '--passes', '2', '--parallel', '2', '--argon2', 'i']
    await succeed(home, ['gen', '-t', type, '-b', bits, '--no-passphrase', '-f', 'key', '-C', 'a comment'])
    const sealing = ['--new-passphrase-file', 'secret', ...costs]
    await succeed(home, ['convert', 'key', '--to', 'ppk', '-o', 'key.ppk', ...sealing])
    const wanted = {
      path: 'key.ppk',
      kind: 'private',
      format: 'ppk3',
      type: name,
      bits: Number(bits),
      comment: 'a comment',
      encrypted: true,
      cipher: 'aes256-cbc',
      kdf: { name: 'Argon2i', memory: 16, passes: 2, parallelism: 2, strength: 'weak' },
      fingerprint: await fingerprintOf('key'),
    }
    const [{ warnings, ...found }] = await inspect('key.ppk')
    expect(found).toEqual(wanted)
    // PuTTY gave keys of this curve away.
    const codes = type === 'ecdsa' ? [expect.objectContaining({ code: 'p521-putty', severity: 'note' })] : undefined
    expect(warnings).toEqual(codes)
  })

  test('a file of several public keys gives one element each', async () => {
    await make('a', '-N', '')
    await make('b', '-N', '')
    const lines = [await readFile(at('a.pub'), 'utf8'), '# a remark\n\n', await readFile(at('b.pub'), 'utf8')]
    await writeFile(at('both.pub'), lines.join(''))
    expect(await inspect('both.pub')).toMatchObject([
      { path: 'both.pub', kind: 'public', fingerprint: await fingerprintOf('a') },
      { path: 'both.pub', kind: 'public', fingerprint: await fingerprintOf('b') },
    ])
    expect(await succeed(home, ['fingerprint', 'both.pub'])).toBe((await sshKeygen('-l', '-f', 'both.pub')).stdout)
  })
})

describe('several files and folders', () => {
  test('those that can be read are shown, though another is missing: 3', async () => {
    await make('a', '-N', '')
    await make('b', '-N', '')
    await writeFile(at('garbage'), 'no key\n')
    const json = await runIn(home, ['inspect', 'a', 'absent', 'b', 'garbage', '--json'])
    expect(json.status).toBe(3)
    expect(JSON.parse(json.stdout)).toMatchObject([{ path: 'a' }, { path: 'b' }])
    const errors = json.stderr
      .trimEnd()
      .split('\n')
      .map(line => JSON.parse(line).error.code)
    expect(errors).toEqual(['not-found', 'damaged'])
    const text = await runIn(home, ['inspect', 'absent', 'a', 'b'])
    expect(text).toMatchObject({ status: 3, stdout: expect.stringMatching(/^a\n( {2}.*\n)+b\n/) })
    expect(await runIn(home, ['fingerprint', 'a', 'absent', 'b'])).toMatchObject({
      status: 3,
      stdout: expect.stringMatching(/^256 .*\n256 .*\n$/),
      stderr: expect.stringContaining('absent is not there'),
    })
  })

  test('a folder gives the key files in it, in the order of their names, and passes over the rest', async () => {
    await mkdir(at('folder/below'), { recursive: true })
    await make('folder/b', '-N', '')
    await make('folder/a', '-N', 'secret')
    await make('folder/below/c', '-N', '')
    await writeFile(at('folder/config'), 'Host *\n')
    await writeFile(at('folder/empty'), '')
    await symlink('nowhere', at('folder/dangling'))
    await symlink('../folder', at('folder/loop'))
    // Nobody writes to it: whoever opens it waits for ever.
    await runOrThrow('/usr/bin/mkfifo', [at('folder/fifo')])
    const names = ['a', 'a.pub', 'b', 'b.pub']
    const found = await inspect('folder')
    expect(found.map(({ path }: { path: string }) => path)).toEqual(names.map(name => join('folder', name)))
    expect(await inspect('folder/')).toHaveLength(4)
    expect(await succeed(home, ['inspect', 'folder'])).toMatch(
      /^folder\n {2}file +kind +key +format +comment\n {2}a +private +256 ED25519 +OpenSSH, aes256-ctr, bcrypt 1 round/,
    )
  })

  test('very many lines: each is shown, or the file is damaged', async () => {
    await writeFile(at('authorized_keys'), 'a\n'.repeat(150_000))
    expect(await inspect('authorized_keys')).toHaveLength(150_000)
    await mkdir(at('folder'))
    await writeFile(at('folder/known_hosts'), 'a\n'.repeat(150_000))
    expect(await inspect('folder')).toHaveLength(150_000)
    await writeFile(at('authorized_keys'), 'a\n'.repeat(250_000))
    expect(await runIn(home, ['inspect', 'authorized_keys'])).toMatchObject({
      status: 6,
      stderr: expect.stringContaining('more lines'),
    })
  })

  test('an SSH-1 key does not hide the key below it', async () => {
    await make('key', '-N', '')
    const line = await readFile(at('key.pub'), 'utf8')
    await writeFile(at('authorized_keys'), `1024 65537 ${'1234567890'.repeat(30)} old\n${line}`)
    const fingerprint = await fingerprintOf('key')
    expect(await inspect('authorized_keys')).toMatchObject([{ type: 'rsa1' }, { line: 2, heeded: true, fingerprint }])
  })

  test('an empty folder is no error', async () => {
    await mkdir(at('folder'))
    expect(await inspect('folder')).toEqual([])
    expect(await succeed(home, ['inspect', 'folder'])).toBe('folder\n  no key in it\n')
  })

  test('a key from a pipe', async () => {
    await make('key', '-N', '')
    // A pipe of a shell's: node gives its children sockets, which can't be opened by a name.
    const script = 'cat key.pub | "$@"'
    const call = [process.execPath, keytoolPath, 'inspect', '/dev/stdin', '--json']
    const { stdout } = await runOrThrow('/bin/sh', ['-c', script, 'sh', ...call], { env: home.env, cwd: home.path })
    expect(JSON.parse(stdout)).toMatchObject([{ kind: 'public', type: 'ssh-ed25519' }])
  })
})

describe('in words', () => {
  test('what it is, how it is protected, its fingerprint; paths from ~', async () => {
    await make('.ssh/key', '-N', 'secret')
    const [line] = (await sshKeygen('-l', '-f', '.ssh/key')).stdout.split('\n')
    expect(await succeed(home, ['inspect', at('.ssh/key'), at('.ssh/key.pub')])).toBe(
      `~/.ssh/key\n  private key, OpenSSH, aes256-ctr, bcrypt 1 round (weak)\n  ${line}\n` +
        `~/.ssh/key.pub\n  public key, OpenSSH\n  ${line}\n`,
    )
  })

  test('a key in the clear is said to be so', async () => {
    await make('key', '-N', '')
    expect(await succeed(home, ['inspect', 'key'])).toMatch(/not encrypted/)
  })
})

describe('hostile comments and names can not reach the terminal', () => {
  const hostile = {
    'escape sequences': 'a\u001b[2J\u001b]0;title\u0007b',
    'C1 controls': 'a\u009b31mb\u0090c',
    'bidi marks': 'a\u202egnp.exe\u2066b\u200f',
    'invisible characters': 'a\u200bb\ufeffc\u{e0041}',
    'carriage return and backspace': 'a\rb\b\bc',
    newlines: 'a\nssh-ed25519 AAAA b',
    'line separators': 'a\u2028b\u0085c',
  }

  test.each(Object.entries(hostile))('%s', async (_, comment) => {
    await make('key', '-N', '', '-C', comment)
    await make('sealed', '-N', 'secret', '-C', 'good')
    const [type, base64] = (await readFile(at('sealed.pub'), 'utf8')).split(' ')
    const oneLine = comment.replaceAll('\n', ' ')
    await writeFile(at('sealed.pub'), `${type} ${base64} ${oneLine}\n`)
    await writeFile(at(`name ${comment.replaceAll('/', '')}`), await readFile(at('sealed.pub')))
    for (const command of ['inspect', 'fingerprint']) {
      for (const path of ['key', 'sealed', 'sealed.pub', `name ${comment.replaceAll('/', '')}`]) {
        const text = await succeed(home, [command, path])
        expectClean(text)
        expect(text.trimEnd().split('\n')).toHaveLength(command === 'inspect' ? 3 : 1)
        expect(JSON.parse(await succeed(home, [command, path, '--json']))).toHaveLength(1)
      }
    }
    // And in errors: of a missing file, of a damaged one, of a word that is no command.
    for (const args of [
      ['inspect', `absent ${comment}`],
      ['inspect', comment],
      ['inspect', 'key', `-${comment}`],
      [comment],
    ]) {
      const { stdout, stderr } = await runIn(home, args)
      expectClean(stdout + stderr)
      expect(stderr.trimEnd().split('\n').length).toBeLessThanOrEqual(3)
    }
  })

  test('a comment of several lines never becomes lines of a public key file', async () => {
    await make('key', '-N', '', '-C', 'a\nssh-ed25519 AAAA injected')
    const { status, stdout, stderr } = await runIn(home, ['public', 'key'])
    expect(`${stdout}`.split('\n').length).toBeLessThanOrEqual(2)
    expect(stderr.split('\n').length).toBeLessThanOrEqual(4)
    // The file is what is wrong, not the call.
    expect([0, 6]).toContain(status)
  })

  test('a comment of a hundred thousand characters is one line', async () => {
    await make('key', '-N', '')
    const line = (await readFile(at('key.pub'), 'utf8')).trimEnd()
    await writeFile(at('long.pub'), `${line} ${'x'.repeat(10_000)}\n`)
    expect((await succeed(home, ['fingerprint', 'long.pub'])).split('\n')).toHaveLength(2)
  })

  /** Nothing but printable characters and newlines. */
  function expectClean(text: string): void {
    expect(text.replaceAll('\n', '')).not.toMatch(/[\p{Cc}\p{Cf}\p{Co}\p{Cs}\u2028\u2029]/u)
  }
})

describe('a key whose KDF costs too much can be inspected, but is not opened', () => {
  async function expectCostly(name: string, kdf: object): Promise<void> {
    await writeFile(at('secret'), 'secret')
    expect(await inspect(name)).toMatchObject([{ encrypted: true, kdf }])
    expect(await succeed(home, ['fingerprint', name])).toMatch(/^256 /)
    expect(await succeed(home, ['public', name])).toMatch(/^ssh-ed25519 /)
    // The work would take days: it would be ended, and no status come of it.
    const refused = await runIn(home, ['convert', name, '--to', 'ppk', '--passphrase-file', 'secret', '-o', 'out'])
    expect(refused).toMatchObject({ status: 6, stdout: '', stderr: expect.stringMatching(/^keytool: \S*costly.*cost/) })
  }

  test.each([
    ['Argon2-Memory', 4_000_000_000, { memory: 4_000_000_000 }],
    ['Argon2-Passes', 2_000_000_000, { passes: 2_000_000_000 }],
  ])('PPK: %s %d', async (name, value, kdf) => {
    await writeFile(at('secret'), 'secret')
    await succeed(home, ['gen', '--passphrase-file', 'secret', '--format', 'ppk', '-f', 'key'])
    const text = await readFile(at('key'), 'utf8')
    await writeFile(at('costly'), text.replace(new RegExp(`${name}: \\d+`), `${name}: ${value}`))
    await expectCostly('costly', kdf)
  })

  test('OpenSSH: four thousand million rounds', async () => {
    await make('key', '-N', 'secret')
    const text = await readFile(at('key'), 'utf8')
    const blob = Buffer.from(text.replace(/-----.*-----/g, ''), 'base64')
    // PROTOCOL.key section 2: after the name `bcrypt` a string of options: a salt of 16 bytes, and the rounds.
    const rounds = blob.indexOf('bcrypt') + 'bcrypt'.length + 4 + 4 + 16
    expect(blob.readUInt32BE(rounds)).toBe(1)
    blob.writeUInt32BE(4_000_000_000, rounds)
    const label = (word: string) => `-----${word} OPENSSH PRIVATE KEY-----\n`
    await writeFile(at('costly'), `${label('BEGIN')}${blob.toString('base64')}\n${label('END')}`)
    await expectCostly('costly', { name: 'bcrypt', rounds: 4_000_000_000 })
  })
})

describe('fingerprint and public', () => {
  test('fingerprint --json', async () => {
    await make('key', '-N', '')
    const { sha256, md5 } = await fingerprintOf('key')
    const facts = { path: 'key', type: 'ssh-ed25519', bits: 256, comment: 'a comment' }
    expect(JSON.parse(await succeed(home, ['fingerprint', 'key', '--json']))).toMatchObject([
      { ...facts, fingerprint: sha256 },
    ])
    expect(JSON.parse(await succeed(home, ['fingerprint', '-E', 'md5', 'key', '--json']))).toMatchObject([
      { ...facts, fingerprint: md5 },
    ])
  })

  test('-E takes its names in any case, as ssh-keygen does', async () => {
    await make('key', '-N', '')
    expect(await succeed(home, ['fingerprint', '-E', 'SHA256', 'key'])).toBe(
      await succeed(home, ['fingerprint', 'key']),
    )
  })

  test('a key without a comment', async () => {
    await make('key', '-N', '', '-C', '')
    for (const path of ['key', 'key.pub']) {
      expect(await succeed(home, ['fingerprint', path])).toBe((await sshKeygen('-l', '-f', path)).stdout)
    }
    expect(await succeed(home, ['public', 'key'])).toBe((await sshKeygen('-y', '-f', 'key')).stdout)
  })

  test('public of a public file is the same line, and of an encrypted one needs no passphrase', async () => {
    await make('key', '-N', 'secret')
    const line = await readFile(at('key.pub'), 'utf8')
    expect(await succeed(home, ['public', 'key.pub'])).toBe(line)
    expect(await succeed(home, ['public', 'key'])).toBe(line)
    await succeed(home, ['public', 'key', '-o', 'out.pub'])
    expect(await readFile(at('out.pub'), 'utf8')).toBe(line)
  })

  test('public -o - is stdout', async () => {
    await make('key', '-N', '')
    expect(await succeed(home, ['public', 'key', '-o', '-'])).toMatch(/^ssh-ed25519 /)
  })
})
