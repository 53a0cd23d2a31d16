import { readdirSync } from 'node:fs'
import {
  chmod,
  chown,
  copyFile,
  lchown,
  link,
  lstat,
  mkdir,
  open,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { jest } from '@jest/globals'
import { writePpk1 } from '../packages/keygen/test/ppk1-writer.js'
import { sampleKey } from '../packages/keygen/test/sample-keys.js'
import { expectRefused, type Refusal, runApart, runIn, succeed } from './cli-fixture.js'
import { type Duty, leaveDuty } from './world/duty.js'
import { type Home, temporaryHome } from './world/home.js'
import { peerPath } from './world/peers.js'
import { type RunOptions, run, runOrThrow } from './world/run.js'
import { startKeytool } from './world/start.js'

// What changes a key file where it stands: `passphrase`, `comment`, `convert` over its own source. The files are made by
// others, and opened by others afterwards.

jest.setTimeout(120_000)

const OLD = 'the old passphrase'
const NEW = 'a fresh secret: жщъ'
const COMMENT = 'hana@laptop'

/** What makes a format of the key `base`, and what opens it. */
type Maker = 'ssh-keygen' | 'puttygen'

interface Row {
  readonly name: string
  readonly maker: Maker
  /** Arguments that choose the format. */
  readonly flags: readonly string[]
  readonly keepsComment: boolean
}

const rows: readonly Row[] = [
  { name: 'openssh', maker: 'ssh-keygen', flags: ['-a', '1'], keepsComment: true },
  { name: 'pem', maker: 'ssh-keygen', flags: ['-m', 'PEM'], keepsComment: false },
  { name: 'pkcs8', maker: 'ssh-keygen', flags: ['-m', 'PKCS8'], keepsComment: true },
  {
    name: 'ppk3',
    maker: 'puttygen',
    flags: ['-O', 'private', '--ppk-param', 'version=3,kdf=argon2i,memory=64,passes=2'],
    keepsComment: true,
  },
  { name: 'ppk2', maker: 'puttygen', flags: ['-O', 'private', '--ppk-param', 'version=2'], keepsComment: true },
  { name: 'sshcom', maker: 'puttygen', flags: ['-O', 'private-sshcom'], keepsComment: true },
]
const named: [string, Row][] = rows.map(row => [row.name, row])
const keeping = named.filter(([, { keepsComment }]) => keepsComment)

let home: Home
/** The blob of the key that all files hold, in base64. */
let blob: string
const at = (name: string) => join(home.path, name)

beforeAll(async () => {
  home = await temporaryHome()
  for (const [name, text] of [
    ['old', OLD],
    ['new', NEW],
    ['wrong', 'not it'],
    ['none', ''],
  ] as const) {
    await writeFile(at(name), `${text}\n`)
  }
  const sshKeygen = ['-q', '-t', 'rsa', '-b', '2048', '-C', COMMENT, '-N', '', '-f', at('base')]
  await runOrThrow(peerPath('ssh-keygen'), sshKeygen, { env: home.env })
  blob = blobOf(await readFile(at('base.pub'), 'utf8'))
  for (const row of rows) {
    await make(row, '', `${row.name}.plain`)
    await make(row, OLD, `${row.name}.sealed`)
  }
})
afterAll(() => home.dispose())
beforeEach(async () => {
  await rm(at('w'), { recursive: true, force: true })
  await mkdir(at('w'), { mode: 0o700 })
})

async function make({ maker, flags }: Row, passphrase: string, name: string): Promise<void> {
  if (maker === 'ssh-keygen') {
    await copyFile(at('base'), at(name))
    await chmod(at(name), 0o600)
    const args = ['-q', '-p', ...flags, '-P', '', '-N', passphrase, '-f', at(name)]
    await runOrThrow(peerPath(maker), args, { env: home.env })
  } else {
    const secret = at(passphrase === '' ? 'none' : 'old')
    const args = [at('base'), '-C', COMMENT, ...flags, '-o', at(name), '--new-passphrase', secret]
    await runOrThrow(peerPath(maker), args, { env: home.env })
  }
  await copyFile(at('base.pub'), at(`${name}.pub`))
}

/** A pair to work on, `w/key` and `w/key.pub`, as one of those that were made. */
async function put(name: string): Promise<void> {
  await copyFile(at(name), at('w/key'))
  await copyFile(at(`${name}.pub`), at('w/key.pub'))
  await chmod(at('w/key'), 0o600)
}

/** The blob of a key that its maker opens with this passphrase; undefined when it does not open. */
async function openedBy({ maker }: Pick<Row, 'maker'>, passphrase: 'old' | 'new' | 'none', path = 'w/key') {
  const text = { old: OLD, new: NEW, none: '' }[passphrase]
  if (maker === 'ssh-keygen') return blobFrom(path, text)
  // What shows the public half alone needs no passphrase: the whole key has to come out.
  const out = at('opened')
  await rm(out, { force: true })
  const secrets = ['--old-passphrase', at(passphrase), '--new-passphrase', at('none')]
  const { status } = await run(peerPath(maker), [at(path), '-O', 'private-openssh-new', '-o', out, ...secrets])
  return status === 0 ? blobFrom('opened', '') : undefined
}

async function blobFrom(path: string, passphrase: string): Promise<string | undefined> {
  const { status, stdout } = await run(peerPath('ssh-keygen'), ['-y', '-P', passphrase, '-f', at(path)])
  return status === 0 ? blobOf(stdout) : undefined
}

function blobOf(line: string): string {
  return line.trim().split(' ')[1] ?? ''
}

async function inspect(path = 'w/key'): Promise<Record<string, unknown>> {
  const [facts] = JSON.parse(await succeed(home, ['inspect', path, '--json']))
  return facts
}

const refuse = (args: readonly string[], refusal: Refusal, options: RunOptions = {}) =>
  expectRefused(home, args, refusal, { ...options, secrets: [OLD, NEW, 'not it'] })

const changing = ['passphrase', 'w/key', '--passphrase-file', 'old', '--new-passphrase-file', 'new']

describe.each(named)('passphrase of %s', (_, row) => {
  test('changed: the format and its cipher stay, the .pub is as it was, nothing is left over', async () => {
    await put(`${row.name}.sealed`)
    const before = await inspect()
    const pub = await lstat(at('w/key.pub'))
    expect(await succeed(home, changing)).toMatch(/^ok w\/key {2}\S/)
    expect(await openedBy(row, 'new')).toBe(blob)
    expect(await openedBy(row, 'old')).toBe(undefined)
    const { format, cipher, encrypted } = before
    expect(await inspect()).toMatchObject({ format, cipher, encrypted })
    expect(await readdir(at('w'))).toEqual(['key', 'key.pub'])
    expect(await lstat(at('w/key.pub'))).toMatchObject({ ino: pub.ino, mtimeMs: pub.mtimeMs })
  })

  test('removed', async () => {
    await put(`${row.name}.sealed`)
    const { format } = await inspect()
    await succeed(home, ['passphrase', 'w/key', '--passphrase-file', 'old', '--remove'])
    expect(await openedBy(row, 'none')).toBe(blob)
    expect(await inspect()).toMatchObject({ format, encrypted: false, type: 'ssh-rsa', comment: COMMENT })
  })

  test('added', async () => {
    await put(`${row.name}.plain`)
    const { format } = await inspect()
    await succeed(home, ['passphrase', 'w/key', '--new-passphrase-file', 'new'])
    expect(await openedBy(row, 'new')).toBe(blob)
    expect(await openedBy(row, 'none')).toBe(undefined)
    expect(await inspect()).toMatchObject({ format, encrypted: true })
  })

  test('a wrong one: 5, and nothing has changed', async () => {
    await put(`${row.name}.sealed`)
    const wrong = ['passphrase', 'w/key', '--passphrase-file', 'wrong', '--new-passphrase-file', 'new']
    const refusal = { status: 5, code: 'secret-wrong', says: /wrong passphrase for w\/key/ }
    await refuse(wrong, refusal)
    await refuse(['comment', 'w/key', 'another', '--passphrase-file', 'wrong'], {
      ...refusal,
      ...(!row.keepsComment && { status: 6, code: 'unsupported', says: /keep no comment/ }),
    })
    const over = ['-o', 'w/key', '--force', '--passphrase-file', 'wrong']
    await refuse(['convert', 'w/key', '--to', 'openssh', ...over], refusal)
  })
})

describe.each(keeping)('comment of %s', (_, row) => {
  test('changed: the passphrase and the protection stay, the .pub follows', async () => {
    await put(`${row.name}.sealed`)
    const { format, cipher, kdf } = await inspect()
    const comment = 'Hána, čtvrtý klíč 鍵'
    const said = await succeed(home, ['comment', 'w/key', comment, '--passphrase-file', 'old'])
    expect(said).toBe(`ok w/key  ${comment}\nok w/key.pub  ${comment}\n`)
    expect(await openedBy(row, 'old')).toBe(blob)
    expect(await inspect()).toMatchObject({ format, encrypted: true, cipher, ...(kdf !== undefined && { kdf }) })
    expect(await readFile(at('w/key.pub'), 'utf8')).toBe(`ssh-rsa ${blob} ${comment}\n`)
    expect(await readdir(at('w'))).toEqual(['key', 'key.pub'])
    await rm(at('w/key.pub'))
    await succeed(home, ['passphrase', 'w/key', '--passphrase-file', 'old', '--remove'])
    expect(await inspect()).toMatchObject({ comment })
    expect(await openedBy(row, 'none')).toBe(blob)
  })
})

test('the comment that others see is the new one', async () => {
  for (const [name, row] of keeping.filter(([name]) => name !== 'pkcs8')) {
    await put(`${name}.plain`)
    await succeed(home, ['comment', 'w/key', 'seen by others'])
    await rm(at('w/key.pub'))
    const shown =
      row.maker === 'ssh-keygen'
        ? await runOrThrow(peerPath('ssh-keygen'), ['-l', '-f', at('w/key')])
        : await runOrThrow(peerPath('puttygen'), [at('w/key'), '-O', 'public-openssh'])
    expect([name, shown.stdout]).toEqual([name, expect.stringContaining('seen by others')])
  }
})

describe('comment', () => {
  test.each([
    ['two lines', 'one\ntwo'],
    ['a carriage return', 'one\rtwo'],
    ['an escape sequence', 'red \u001b[31m'],
    ['text that runs backwards', 'abc \u202e cba'],
  ])('of %s: 2', async (_, text) => {
    await put('openssh.plain')
    await refuse(['comment', 'w/key', text], { status: 2, code: 'usage', says: /one line/ })
  })

  test('none at all: the comment goes, there and in the .pub', async () => {
    await put('ppk3.plain')
    expect(await succeed(home, ['comment', 'w/key', ''])).toMatch(/no comment/)
    expect(await inspect()).toMatchObject({ comment: '' })
    expect(await readFile(at('w/key.pub'), 'utf8')).toBe(`ssh-rsa ${blob}\n`)
  })

  test('one that begins with - needs --', async () => {
    await put('openssh.plain')
    await refuse(['comment', 'w/key', '-x'], { status: 2, code: 'usage' })
    await succeed(home, ['comment', 'w/key', '--', '-x'])
    expect(await inspect()).toMatchObject({ comment: '-x' })
  })

  test('no key is decrypted, and nobody asked, for a format that keeps none: 6', async () => {
    await put('pem.sealed')
    const refusal = {
      status: 6,
      code: 'unsupported',
      says: /keep no comment[\s\S]*nothing was changed[\s\S]*convert --to/,
    }
    await refuse(['comment', 'w/key', 'another'], refusal)
  })

  test('a .pub of another key, a damaged one and one with more in it are left alone', async () => {
    await put('openssh.plain')
    const other = await sampleKey('ed25519', 'mine')
    const { type, line } = JSON.parse(await succeed(home, ['public', 'base', '--json']))
    expect(type).toBe('ssh-rsa')
    for (const text of [
      `ssh-ed25519 ${other.publicKey.blob.toString('base64')} mine\n`,
      'no key at all\n',
      `# a remark of mine\n${line}\n`,
      `${line}\nssh-ed25519 ${other.publicKey.blob.toString('base64')} mine\n`,
    ]) {
      await writeFile(at('w/key.pub'), text)
      expect(await succeed(home, ['comment', 'w/key', 'another'])).toBe('ok w/key  another\n')
      expect(await readFile(at('w/key.pub'), 'utf8')).toBe(text)
    }
  })

  test('of a public line alone; its mode stays', async () => {
    await put('openssh.plain')
    await chmod(at('w/key.pub'), 0o600)
    await succeed(home, ['comment', 'w/key.pub', 'another'])
    expect(await readFile(at('w/key.pub'), 'utf8')).toBe(`ssh-rsa ${blob} another\n`)
    expect((await stat(at('w/key.pub'))).mode & 0o777).toBe(0o600)
  })

  test('of an RFC 4716 file: in that format', async () => {
    await writeFile(at('w/key'), await succeed(home, ['public', 'base', '--format', 'rfc4716']))
    await succeed(home, ['comment', 'w/key', 'another'])
    expect(await readFile(at('w/key'), 'utf8')).toMatch(/^---- BEGIN SSH2 PUBLIC KEY ----\nComment: "another"\n/)
    expect(await succeed(home, ['public', 'w/key'])).toBe(`ssh-rsa ${blob} another\n`)
  })

  test('of public formats that keep none: 6, naming file and format', async () => {
    for (const format of ['spki', 'pkcs1']) {
      await writeFile(at('w/key'), await succeed(home, ['public', 'base', '--format', format]))
      await refuse(['comment', 'w/key', 'another'], { status: 6, code: 'unsupported', says: /w\/key|keep no comment/ })
    }
  })

  test.each([
    ['remarks', (line: string) => `# the first of all\n\n${line}`],
    ['options', (line: string) => `restrict,from="10.0.0.*" ${line}`],
    ['hosts', (line: string) => `example.com ${line}`],
    ['a second key', (line: string) => `${line}${line}`],
  ])('a list of keys with %s in it is for an editor: 6', async (_, change) => {
    await writeFile(at('w/list'), change(await readFile(at('base.pub'), 'utf8')))
    await refuse(['comment', 'w/list', 'another'], {
      status: 6,
      code: 'unsupported',
      says: /w\/list[\s\S]*nothing was changed/,
    })
  })
})

describe('convert in place', () => {
  const pairs = rows.flatMap(from => ['openssh', 'ppk', 'ppk2', 'pem', 'pkcs8', 'sshcom'].map(to => [from.name, to]))
  const opener: Record<string, Maker> = { ppk: 'puttygen', ppk2: 'puttygen', sshcom: 'puttygen' }
  const cheap: Record<string, readonly string[]> = {
    openssh: ['--rounds', '1'],
    pkcs8: ['--rounds', '1000'],
    ppk: ['--memory', '64', '--passes', '1'],
  }

  test.each(pairs)('%s to %s', async (from = '', to = '') => {
    await put(`${from}.sealed`)
    const args = ['convert', 'w/key', '--to', to, '-o', 'w/key', '--passphrase-file', 'old', ...(cheap[to] ?? [])]
    await refuse(args, { status: 4, code: 'exists', says: /w\/key is there already[\s\S]*--force/ })
    const { status, stdout } = await runIn(home, [...args, '--force'])
    expect([status, stdout]).toEqual([0, expect.stringMatching(/^ok w\/key {2}/)])
    expect(await openedBy({ maker: opener[to] ?? 'ssh-keygen' }, 'old')).toBe(blob)
    expect(await inspect()).toMatchObject({ format: to === 'ppk' ? 'ppk3' : to, encrypted: true })
    expect(await readdir(at('w'))).toEqual(['key', 'key.pub'])
    expect(await readFile(at('w/key.pub'), 'utf8')).toBe(`ssh-rsa ${blob} ${COMMENT}\n`)
  })

  test('by another name for the same file', async () => {
    await put('ppk3.plain')
    await symlink('key', at('w/link'))
    await succeed(home, ['convert', 'w/key', '--to', 'openssh', '-o', 'w/link', '--force'])
    expect((await lstat(at('w/link'))).isSymbolicLink()).toBe(true)
    expect(await openedBy({ maker: 'ssh-keygen' }, 'none')).toBe(blob)
  })

  test('to jwk: an encrypted key only with --no-passphrase', async () => {
    await put('openssh.sealed')
    const args = ['convert', 'w/key', '--to', 'jwk', '-o', 'w/key', '--force', '--passphrase-file', 'old']
    await refuse(args, {
      status: 4,
      code: 'refused',
      says: /can't be encrypted[\s\S]*nothing was written[\s\S]*--no-passphrase/,
    })
    await succeed(home, [...args, '--no-passphrase'])
    expect(JSON.parse(await readFile(at('w/key'), 'utf8'))).toMatchObject({ kty: 'RSA', e: 'AQAB' })
    expect((await stat(at('w/key'))).mode & 0o777).toBe(0o600)
    await refuse(['passphrase', 'w/key', '--new-passphrase-file', 'new'], {
      status: 6,
      code: 'unsupported',
      says: /can't be encrypted[\s\S]*nothing was changed[\s\S]*convert/,
    })
  })

  test('a key in the clear does not become one with a passphrase: jwk says what is so', async () => {
    const { stderr } = await runIn(home, ['convert', 'base', '--to', 'jwk', '--new-passphrase-file', 'new'])
    expect(stderr).not.toMatch(/this key is\b/)
    await refuse(['convert', 'base', '--to', 'jwk', '--new-passphrase-file', 'new'], { status: 4, code: 'refused' })
  })
})

describe.each([
  ['passphrase', ['passphrase', 'w/link', '--new-passphrase-file', 'new']],
  ['comment', ['comment', 'w/link', 'another']],
  ['convert', ['convert', 'w/link', '--to', 'ppk', '-o', 'w/link', '--force']],
] as [string, string[]][])('%s', (command, args) => {
  beforeEach(async () => {
    await mkdir(at('w/real'))
    for (const name of ['', '.pub']) {
      await copyFile(at(`openssh.plain${name}`), at(`w/real/id${name}`))
      await symlink(`real/id${name}`, at(`w/link${name}`))
      await chown(at(`w/real/id${name}`), 1234, 5678)
    }
    await chmod(at('w/real/id'), 0o400)
    await chmod(at('w/real/id.pub'), 0o640)
  })

  test('links stay links; modes and owners stay', async () => {
    await succeed(home, args)
    for (const [name, mode] of [
      ['', 0o400],
      ['.pub', 0o640],
    ] as const) {
      expect((await lstat(at(`w/link${name}`))).isSymbolicLink()).toBe(true)
      const { uid, gid, mode: now } = await lstat(at(`w/real/id${name}`))
      expect({ uid, gid, mode: now & 0o777 }).toEqual({ uid: 1234, gid: 5678, mode })
    }
    expect(await readdir(at('w/real'))).toEqual(['id', 'id.pub'])
    expect(await readdir(at('w'))).toEqual(['link', 'link.pub', 'real'])
    expect(await readFile(at('w/real/id.pub'), 'utf8')).toContain(command === 'comment' ? 'another' : COMMENT)
  })

  test('a file that was open to others is not any more', async () => {
    await chmod(at('w/real/id'), 0o644)
    await succeed(home, args)
    expect((await stat(at('w/real/id'))).mode & 0o777).toBe(0o600)
  })

  test('a second name of the same file keeps the old key, and the new one is whole', async () => {
    await link(at('w/real/id'), at('w/other'))
    const old = await readFile(at('w/other'))
    await succeed(home, args)
    expect(await readFile(at('w/other'))).toEqual(old)
    expect(await readFile(at('w/real/id'))).not.toEqual(old)
  })
})

describe('a new passphrase', () => {
  beforeEach(() => put('openssh.sealed'))

  test('that is empty: 5', async () => {
    const args = ['passphrase', 'w/key', '--passphrase-file', 'old', '--new-passphrase-file', 'none']
    await refuse(args, { status: 5, code: 'secret-needed', says: /empty passphrase protects nothing/ })
    await refuse(args, { status: 5, code: 'secret-needed', says: /--remove/ })
  })

  test('two secrets from standard input: 2', async () => {
    const both = ['--passphrase-file', '-', '--new-passphrase-file', '-']
    const refusal = { status: 2, code: 'usage', says: /standard input/ }
    await refuse(['passphrase', 'w/key', ...both], refusal, { input: `${OLD}\n${NEW}\n` })
    await refuse(['convert', 'w/key', '--to', 'ppk', ...both], refusal, { input: `${OLD}\n${NEW}\n` })
  })

  test('from standard input, the old one from a file, and the other way round', async () => {
    const args = ['passphrase', 'w/key', '--passphrase-file', 'old', '--new-passphrase-file', '-']
    await succeed(home, args, { input: `${NEW}\n` })
    expect(await openedBy({ maker: 'ssh-keygen' }, 'new')).toBe(blob)
    const back = ['passphrase', 'w/key', '--passphrase-file', '-', '--new-passphrase-file', 'old']
    await succeed(home, back, { input: `${NEW}\n` })
    expect(await openedBy({ maker: 'ssh-keygen' }, 'old')).toBe(blob)
  })

  test('given as a word: 2, and it is not repeated', async () => {
    for (const option of ['--passphrase', '--new-passphrase']) {
      await refuse(['passphrase', 'w/key', option, NEW], { status: 2, code: 'usage' })
      await refuse(['passphrase', 'w/key', `${option}=${NEW}`], { status: 2, code: 'usage' })
    }
  })

  test('and --remove contradict each other: 2', async () => {
    await refuse([...changing, '--remove'], { status: 2, code: 'usage', says: /contradict/ })
  })

  test('with nobody to ask: 5, saying which of the two is missing', async () => {
    await refuse(['passphrase', 'w/key', '--new-passphrase-file', 'new'], {
      status: 5,
      code: 'secret-needed',
      says: /passphrase for w\/key[\s\S]*--passphrase-file/,
    })
    await refuse(['passphrase', 'w/key', '--passphrase-file', 'old'], {
      status: 5,
      code: 'secret-needed',
      says: /new passphrase for w\/key[\s\S]*--new-passphrase-file/,
    })
  })

  test('a file with it that is not there: 3', async () => {
    const args = ['passphrase', 'w/key', '--passphrase-file', 'old', '--new-passphrase-file', 'absent']
    await refuse(args, { status: 3, code: 'not-found', says: /absent/ })
  })
})

describe('formats that are only read: 6, and what to do', () => {
  const refusal = { status: 6, code: 'unsupported', says: /only read[\s\S]*nothing was changed[\s\S]*keytool convert/ }

  test('PPK version 1', async () => {
    await writeFile(at('w/key'), writePpk1(await sampleKey('rsa', COMMENT), { passphrase: OLD }), { mode: 0o600 })
    await refuse(['passphrase', 'w/key', '--passphrase-file', 'old', '--new-passphrase-file', 'new'], refusal)
    await refuse(['comment', 'w/key', 'another', '--passphrase-file', 'old'], refusal)
    await succeed(home, ['convert', 'w/key', '--to', 'openssh', '-o', 'w/key', '--force', '--passphrase-file', 'old'])
    expect(await inspect()).toMatchObject({ format: 'openssh', encrypted: true })
  })

  test('SSH-1', async () => {
    const args = ['-t', 'rsa1', '-b', '1024', '-o', at('w/key'), '--new-passphrase', at('none')]
    await runOrThrow(peerPath('puttygen'), args, { env: home.env })
    for (const words of [
      ['passphrase', 'w/key', '--new-passphrase-file', 'new'],
      ['comment', 'w/key', 'another'],
      ['convert', 'w/key', '--to', 'openssh'],
    ]) {
      await refuse(words, { status: 6, code: 'unsupported', says: /SSH-1(?![\s\S]*keytool convert)/ })
    }
  })

  test('a public key has no passphrase', async () => {
    await put('openssh.plain')
    await refuse(['passphrase', 'w/key.pub', '--new-passphrase-file', 'new'], {
      status: 6,
      code: 'unsupported',
      says: /public key/,
    })
  })
})

describe('what is in the way', () => {
  test.each([
    ['a file that is not there', 'w/absent', 3, 'not-found'],
    ['a folder', 'w', 6, 'damaged'],
    ['no key', 'old', 6, 'damaged'],
  ])('%s', async (_, path, status, code) => {
    await refuse(['passphrase', path, '--new-passphrase-file', 'new'], { status, code })
    await refuse(['comment', path, 'another'], { status, code })
  })

  test('words that are missing or too many: 2', async () => {
    await put('openssh.plain')
    for (const words of [[], ['w/key']]) await refuse(['comment', ...words], { status: 2, code: 'usage' })
    await refuse(['comment', 'w/key', 'a', 'b'], { status: 2, code: 'usage' })
    await refuse(['passphrase'], { status: 2, code: 'usage' })
    await refuse(['passphrase', 'w/key', 'w/key'], { status: 2, code: 'usage' })
  })
})

test('--quiet says nothing, and --json what the text says', async () => {
  await put('openssh.plain')
  expect(await succeed(home, ['comment', 'w/key', 'a', '--quiet'])).toBe('')
  expect(await succeed(home, ['passphrase', 'w/key', '--new-passphrase-file', 'new', '--quiet'])).toBe('')
  await put('openssh.plain')
  const facts = async (...args: string[]) => JSON.parse(await succeed(home, [...args, '--json']))
  expect(await facts('comment', 'w/key', 'a')).toMatchObject({ comment: 'a' })
  const sealed = { format: 'openssh', encrypted: true, cipher: 'aes256-ctr', kdf: { name: 'bcrypt' } }
  expect(await facts('passphrase', 'w/key', '--new-passphrase-file', 'new')).toMatchObject(sealed)
  const converting = ['w/key', '--to', 'ppk', '--passphrase-file', 'new', '-o', 'w/out']
  expect(await facts('convert', ...converting)).toMatchObject({ format: 'ppk3', encrypted: true })
})

test('scrypt is told by what it has', async () => {
  const sealing = ['--kdf', 'scrypt', '--new-passphrase-file', 'new', '-o', 'w/key']
  const said = await succeed(home, ['convert', 'base', '--to', 'pkcs8', ...sealing])
  expect(said).toMatch(/scrypt 16 MiB/)
  expect(said).not.toMatch(/0 passes/)
})

// The tests run as root; the files lie where another user may do what they like.
describe('in a folder of another user', () => {
  const USER = 12345

  beforeEach(async () => {
    await put('openssh.plain')
    await mkdir(at('mine'), { recursive: true, mode: 0o700 })
    for (const name of ['', '.pub']) await copyFile(at(`openssh.plain${name}`), at(`mine/key${name}`))
    await mkdir(at('w/theirs'))
    await chown(at('w/theirs'), USER, USER)
  })

  async function lure(to: string, name: string): Promise<void> {
    await symlink(to, at(`w/theirs/${name}`))
    await lchown(at(`w/theirs/${name}`), USER, USER)
  }

  test.each([
    ['comment', ['comment', 'w/theirs/key', 'another']],
    ['comment of a public key', ['comment', 'w/theirs/key.pub', 'another']],
    ['passphrase', ['passphrase', 'w/theirs/key', '--new-passphrase-file', 'new']],
    ['convert', ['convert', 'w/theirs/key', '--to', 'ppk', '-o', 'w/theirs/key', '--force']],
    ['convert to another file', ['convert', 'base', '--to', 'ppk', '-o', 'w/theirs/key', '--force']],
    ['public', ['public', 'base', '-o', 'w/theirs/key.pub', '--force']],
    ['public by way of a folder', ['public', 'base', '-o', 'w/theirs/way/key', '--force']],
    ['gen', ['gen', '--no-passphrase', '-f', 'w/theirs/key', '--force']],
  ] as [string, string[]][])('%s follows no link of that user to what is not theirs', async (_, args) => {
    await lure(at('mine/key'), 'key')
    await lure(at('mine/key.pub'), 'key.pub')
    await lure(at('mine'), 'way')
    await refuse(args, { status: 4, code: 'refused', says: /is a link that another user put there/ })
  })

  test('nor one that stands beside the key', async () => {
    for (const name of ['key', 'key.pub']) await copyFile(at(`w/${name}`), at(`w/theirs/${name}`))
    await rm(at('w/theirs/key.pub'))
    await lure(at('mine/key.pub'), 'key.pub')
    await refuse(['comment', 'w/theirs/key', 'another'], { status: 4, code: 'refused', says: /key\.pub is a link/ })
  })

  test('a pipe in place of the file keeps nobody waiting', async () => {
    await runOrThrow('/usr/bin/mkfifo', [at('w/theirs/key'), at('w/theirs/key.pub')])
    const refusal = { status: 6, code: 'damaged', says: /no plain file/ }
    await refuse(['comment', 'w/theirs/key.pub', 'another'], refusal)
    await refuse(['passphrase', 'w/theirs/key', '--new-passphrase-file', 'new'], refusal)
  })

  test('a file that takes the place of the key while its passphrase is awaited stays', async () => {
    await copyFile(at('openssh.sealed'), at('w/theirs/key'))
    await runOrThrow('/usr/bin/mkfifo', [at('w/secret')])
    const running = runIn(home, ['comment', 'w/theirs/key', 'another', '--passphrase-file', 'w/secret'])
    // Opens once the other side reads, which it does after it has read the key.
    const secret = await open(at('w/secret'), 'w')
    await writeFile(at('w/theirs/other'), 'precious')
    await rename(at('w/theirs/other'), at('w/theirs/key'))
    await secret.writeFile(`${OLD}\n`)
    await secret.close()
    expect(await running).toMatchObject({
      status: 1,
      stdout: '',
      stderr: expect.stringMatching(/w\/theirs\/key was changed by somebody else meanwhile[\s\S]*nothing was changed/),
    })
    expect(await readFile(at('w/theirs/key'), 'utf8')).toBe('precious')
    expect(await readdir(at('w/theirs'))).toEqual(['key'])
  })
})

test.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)('%s leaves no key half written behind', async signal => {
  const args = ['gen', '--count', '20000', '-f', 'w/k-%05d', '--no-passphrase']
  const running = await startKeytool(args, { env: home.env, cwd: home.path })
  // Some are whole by then, and others are being written. Without a pause before the signal: they are for a moment only.
  const isAtWork = () => new Set(readdirSync(at('w')).map(name => name.endsWith('.tmp'))).size === 2
  for (const end = Date.now() + 80_000; !isAtWork() && Date.now() < end; ) await sleep(1)
  expect(await running.stop(signal)).toEqual({ status: null, signal })
  const names = await readdir(at('w'))
  expect(names.length).toBeGreaterThan(0)
  expect(names.filter(name => name.endsWith('.tmp'))).toEqual([])
  expect(names.filter(name => !name.endsWith('.pub') && !names.includes(`${name}.pub`))).toEqual([])
})

/** A disk of four pages, mounted at `w/disk`: the smallest that holds a key. */
describe('a full disk', () => {
  let duty: Duty | undefined

  beforeEach(async () => {
    await mkdir(at('w/disk'))
    await runOrThrow('/usr/bin/mount', ['-t', 'tmpfs', '-o', 'size=16k,mode=700', 'none', at('w/disk')])
    duty = leaveDuty('umount "$1"', at('w/disk'))
    for (const name of ['', '.pub']) await copyFile(at(`openssh.plain${name}`), at(`w/disk/key${name}`))
    await chmod(at('w/disk/key'), 0o600)
    await expect(writeFile(at('w/disk/rest'), Buffer.alloc(64 * 1024))).rejects.toMatchObject({ code: 'ENOSPC' })
  })
  afterEach(async () => {
    expect(await duty?.perform()).toBe(0)
  })

  test.each([
    ['passphrase', ['passphrase', 'w/disk/key', '--new-passphrase-file', 'new']],
    ['comment', ['comment', 'w/disk/key', 'another']],
    ['convert', ['convert', 'w/disk/key', '--to', 'ppk', '-o', 'w/disk/key', '--force']],
    ['gen', ['gen', '-f', 'w/disk/fresh', '--no-passphrase']],
    ['public', ['public', 'w/disk/key', '-o', 'w/disk/fresh']],
  ] as [string, string[]][])('%s: 1, the old files stay, nothing is left over', async (_, args) => {
    await refuse(args, { status: 1, code: 'failed', says: /the disk is full/ })
    expect(await readdir(at('w/disk'))).toEqual(['key', 'key.pub', 'rest'])
  })
})

describe('killed at any moment', () => {
  const MOMENTS = 12
  const MOST = 60

  /**
   * Starts a line again and again and kills it, a little later each time that it has done nothing yet, a little sooner each
   * time that all was done: so most of the moments are those in which it writes, however fast the machine is by then.
   * @param look says, once it is killed, whether all was done
   */
  async function killAround(name: string, args: readonly string[], look: () => Promise<boolean>): Promise<void> {
    const seen = { old: 0, new: 0 }
    await put(name)
    const started = performance.now()
    await runApart(home, args)
    let delay = performance.now() - started
    for (let i = 0; i < MOST && (i < MOMENTS || seen.old === 0 || seen.new === 0); i++) {
      await rm(at('w'), { recursive: true })
      await mkdir(at('w'), { mode: 0o700 })
      await put(name)
      const running = await startKeytool(args, { env: home.env, cwd: home.path })
      await sleep(delay)
      await running.stop('SIGKILL')
      const isDone = await look()
      seen[isDone ? 'new' : 'old']++
      delay *= isDone ? 0.93 : 1.06
    }
    expect(seen).toEqual({ old: expect.any(Number), new: expect.any(Number) })
    expect(Math.min(seen.old, seen.new)).toBeGreaterThan(0)
  }

  test('leaves the old file or the new one, whole, and the secret nowhere in the clear', async () => {
    const jwk = JSON.parse(await succeed(home, ['convert', 'base', '--to', 'jwk']))
    const secret = Buffer.from(jwk.d, 'base64url')
    // PEM: no time goes by with a KDF, in which nothing is written.
    await killAround('pem.sealed', changing, async () => {
      const opened = {
        old: await openedBy({ maker: 'ssh-keygen' }, 'old'),
        new: await openedBy({ maker: 'ssh-keygen' }, 'new'),
      }
      expect([opened.old, opened.new].filter(each => each !== undefined)).toEqual([blob])
      for (const name of await readdir(at('w'))) {
        const body = (await readFile(at(`w/${name}`), 'latin1')).replace(/-----.*-----|^.*: .*$|\n/gm, '')
        expect(Buffer.from(body, 'base64').includes(secret)).toBe(false)
      }
      return opened.old === undefined
    })
  })

  test('a comment: key and .pub are each whole', async () => {
    await killAround('openssh.plain', ['comment', 'w/key', 'another'], async () => {
      expect(await openedBy({ maker: 'ssh-keygen' }, 'none')).toBe(blob)
      const line = await readFile(at('w/key.pub'), 'utf8')
      expect(line).toMatch(new RegExp(`^ssh-rsa \\S+ (${COMMENT}|another)\n$`))
      for (const name of await readdir(at('w'))) {
        if (!name.includes('key.pub')) expect((await stat(at(`w/${name}`))).mode & 0o077).toBe(0)
      }
      return line.includes('another')
    })
  })
})

test('a KDF that asks for too much: 6, with the flag that allows it, before anything is computed', async () => {
  await put('ppk3.sealed')
  const text = await readFile(at('w/key'), 'utf8')
  await writeFile(at('w/key'), text.replace(/^Argon2-Memory: .*$/m, 'Argon2-Memory: 2097152'))
  const refusal = { status: 6, code: 'unsupported', says: /2097152[\s\S]*--any-cost/ }
  await refuse(changing, refusal)
  await refuse(['comment', 'w/key', 'another', '--passphrase-file', 'old'], refusal)
  await refuse(['convert', 'w/key', '--to', 'openssh', '--passphrase-file', 'old'], refusal)
  expect(await inspect()).toMatchObject({ encrypted: true, kdf: { memory: 2097152 } })
})
