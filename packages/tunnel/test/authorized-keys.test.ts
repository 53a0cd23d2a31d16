import { generate, type PublicKey, splitKeyOptions } from '@keytool/keygen'
import type { ExecOptions, ExecResult } from '../src/connection/connection.js'
import { findLines, formatAuthorizedKey } from '../src/servers/authorized-keys.js'
import { installPublicKey } from '../src/servers/install.js'
import { checkKeyOptions, meanTheSame } from '../src/servers/key-options.js'
import { appendScript, readScript } from '../src/servers/scripts.js'

let key: PublicKey
let line: string
const bare = (): string => line.split(' ').slice(0, 2).join(' ')

beforeAll(async () => {
  key = (await generate('ed25519', { comment: 'hana@laptop' })).publicKey
  line = formatAuthorizedKey(key)
})

// All of it as sshd of OpenSSH 9.2 lets the key in or does not.
describe('authorized_keys', () => {
  test.each([
    ['plain', () => line, ''],
    ['with another comment', () => `${line} and more`, ''],
    ['without a comment', () => bare(), ''],
    ['with CRLF', () => `${line}\r\n`, ''],
    ['indented', () => `\t  ${line}`, ''],
    ['behind other lines', () => `# one\n\nssh-rsa junk\n${line}\n`, ''],
    [
      'with options',
      () => `no-pty,from="a,b",command="echo \\"hi\\" # there" ${line}`,
      'no-pty,from="a,b",command="echo \\"hi\\" # there"',
    ],
    ['with options in capitals', () => `No-PTY ${line}`, 'No-PTY'],
    [
      'with options sshd(8) does not name',
      () => `touch-required,no-verify-required ${line}`,
      'touch-required,no-verify-required',
    ],
    ['with commas too many', () => `,no-pty,,pty, ${line}`, ',no-pty,,pty,'],
    ['with a backslash in an option', () => `environment="A=\\b" ${line}`, 'environment="A=\\b"'],
    ['with a form feed in it', () => `${bare()}\f`, ''],
    ['with a comment of any length', () => `${line} ${'x'.repeat(20_000)}`, ''],
    [
      'with an option of any length',
      () => `environment="A=${'x'.repeat(20_000)}" ${line}`,
      `environment="A=${'x'.repeat(20_000)}"`,
    ],
  ])('the key is there: %s', (_what, file, options) => {
    expect(findLines(Buffer.from(file()), key)).toMatchObject([{ options }])
  })

  test.each([
    ['empty', () => ''],
    ['commented out', () => `#${line}`],
    ['commented out, indented', () => `   # ${line}`],
    ['behind a byte order mark, which sshd does not know', () => `\ufeff${line}`],
    ['behind a byte order mark and options', () => `\ufeffno-pty ${line}`],
    ['behind a quote that is a backslash’s', () => `environment="A=\\\\" ${line}`],
    ['behind a vertical tab', () => `\v${line}`],
    ['in front of a vertical tab and a comment', () => `${bare()}\vcomment`],
    ['in an option’s text', () => `command="${line}" ssh-rsa AAAA`],
    ['an authority', () => `cert-authority ${line}`],
    ['behind an option sshd does not know', () => `no-such ${line}`],
    ['behind an option without its value', () => `from ${line}`],
    ['behind an open quote', () => `from="a ${line}`],
    ['of another type', () => line.replace('ssh-ed25519', 'ssh-rsa')],
    ['cut short', () => line.slice(0, 60)],
  ])('the key is not there: %s', (_what, file) => {
    expect(findLines(Buffer.from(file()), key)).toEqual([])
  })

  test('an RSA key is there by the name of its signatures', async () => {
    const { publicKey } = await generate('rsa')
    const [, base64] = formatAuthorizedKey(publicKey).split(' ')
    const file = ['rsa-sha2-256', 'rsa-sha2-512', 'rsa-sha2-1'].map(name => `${name} ${base64}\n`).join('')
    expect(findLines(Buffer.from(file), publicKey)).toMatchObject([{ line: 1 }, { line: 2 }])
  })

  test.each([
    ['UTF-16 LE', () => Buffer.from(`\ufeff${line}`, 'utf16le')],
    ['UTF-16 BE', () => Buffer.from(`\ufeff${line}`, 'utf16le').swap16()],
    ['NUL bytes', () => Buffer.from(`${line}\n\0`)],
  ])('%s is no text', (_what, file) => {
    expect(() => findLines(file(), key)).toThrow(expect.objectContaining({ code: 'damaged' }))
  })

  test('a comment can’t make two lines of one', () => {
    const hostile = key.withComment('a\nssh-rsa AAAA b\r\u2028c')
    expect(formatAuthorizedKey(hostile, 'no-pty')).toMatch(/^no-pty ssh-ed25519 \S+ a ssh-rsa AAAA b c$/)
  })
})

describe('options', () => {
  test.each(['no-pty', 'restrict,pty', 'from="*.example,!bad"', 'command="a \\"b\\", c",no-pty', 'environment="A=b"'])(
    '%s',
    text => {
      expect(checkKeyOptions(text)).toBe(text)
      expect(splitKeyOptions(text)?.length).toBeGreaterThan(0)
    },
  )

  test.each([
    '',
    ',',
    'no-pty,',
    ',no-pty',
    'no-pty,,pty',
    'environment="A=\\\\"',
    'no-pty no-pty',
    'from=a',
    'from="a',
    'no-pty="x"',
    'nope',
    'from="a\nb"',
    'from="a" ',
  ])('%j are none', text => {
    expect(() => checkKeyOptions(text)).toThrow(expect.objectContaining({ code: 'usage' }))
  })
})

describe('two sets of options', () => {
  test.each([
    ['no-pty', 'No-PTY'],
    ['no-pty,from="a,b"', 'from="a,b",no-pty'],
    ['command="a, \\"b\\"",restrict', 'restrict,command="a, \\"b\\""'],
    ['permitopen="a:1",permitopen="b:2"', 'permitopen="b:2",permitopen="a:1"'],
    ['pty,no-pty', 'no-pty'],
    ['pty,restrict', 'restrict'],
    [',no-pty,,from="a",', 'from="a",no-pty'],
  ])('%s means the same as %s', (one, other) => {
    expect(meanTheSame(one, other)).toBe(true)
  })

  test.each([
    ['no-pty', ''],
    ['no-pty', 'pty'],
    ['restrict,pty', 'pty,restrict'],
    ['from="a"', 'from="A"'],
    ['from="a",no-pty', 'from="a,no-pty"'],
    ['permitopen="a:1"', 'permitopen="a:1",permitopen="b:2"'],
  ])('%s does not mean the same as %j', (one, other) => {
    expect(meanTheSame(one, other)).toBe(false)
    expect(meanTheSame(other, one)).toBe(false)
  })
})

describe('a key that is there already', () => {
  /** A server with this file, which is told to write nothing. */
  const holding = (file: string) => ({
    async exec(script: string, { stdin = Buffer.alloc(0) }: ExecOptions = {}) {
      expect(script).toBe(readScript)
      const marker = Buffer.from(stdin).toString().trim()
      const stdout = Buffer.from(`${marker} file\n${file}\n${marker} end\n`)
      return { status: 0, stdout, stderr: Buffer.alloc(0) }
    },
  })
  const options = 'restrict,from="192.0.2.*"'

  test.each([
    ['without options asked for', () => `no-pty ${line}`, {}],
    ['with the same ones, in another order', () => `from="192.0.2.*",restrict ${line}`, { options }],
  ])('is present: %s', async (_what, file, asked) => {
    expect(await installPublicKey(holding(file()), key, asked)).toMatchObject({ state: 'present', line: 1 })
  })

  test.each([
    ['without any', () => line, 'without options', 1],
    ['with others', () => `no-pty ${line}`, 'with no-pty', 1],
    ['with others further down', () => `${options} ${line}\n${line}\n`, 'without options', 2],
  ])('is refused when options are asked for, and it is there %s', async (_what, file, there, number) => {
    for (const dryRun of [false, true]) {
      await expect(installPublicKey(holding(file()), key, { options, dryRun })).rejects.toMatchObject({
        code: 'refused',
        message: `the key is there already, but ${there}: ~/.ssh/authorized_keys line ${number}`,
        reason: `asked for ${options}; nothing was changed`,
      })
    }
  })
})

test.each([readScript, appendScript])('a script passes through sh, csh and fish alike', script => {
  const inner = /^exec sh -c '(.*)'$/.exec(script)?.[1]
  expect(inner).toMatch(/^[^'!]+$/)
  expect(inner).not.toContain('\\\\')
})

describe('a server that does not do as asked', () => {
  const answer = (result: Partial<ExecResult>) => ({
    exec: async () => ({ status: 0, stdout: Buffer.alloc(0), stderr: Buffer.alloc(0), ...result }),
  })

  test.each([
    ['runs no shell', { stdout: Buffer.from('This account is for mail only.\u001b[2J\n') }, 'unsupported'],
    ['knows no exec', { status: 127, stderr: Buffer.from('exec: not found') }, 'unsupported'],
    ['has no home', { status: 91 }, 'failed'],
    ['can’t read the file', { status: 92, stderr: Buffer.from('cat: Permission denied') }, 'failed'],
  ])('%s', async (_what, result, code) => {
    const failure = await installPublicKey(answer(result), key).catch((error: unknown) => error)
    expect(failure).toMatchObject({ code })
    expect(JSON.stringify(failure)).not.toContain('\u001b')
  })
})
