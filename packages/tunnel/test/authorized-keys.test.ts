import { fingerprint, generate, type PublicKey, splitKeyOptions } from '@keytool/keygen'
import { findLines, formatAuthorizedKey } from '../src/servers/authorized-keys.js'
import { checkKeyOptions, meanTheSame } from '../src/servers/key-options.js'
import { surveyKeys } from '../src/servers/survey.js'

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
    'cert-authority',
    'principals="x",Cert-Authority',
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

test('sshd takes zeros in front of a number: such a line is the key’s, too, for the survey as well', async () => {
  const key = (await generate('rsa', { bits: 2048 })).publicKey
  const at = 4 + 7 + 4 + 3
  const spell = (zeros: number, change = 0) => {
    const length = Buffer.alloc(4)
    length.writeUInt32BE(key.blob.readUInt32BE(at) + zeros)
    const blob = Buffer.concat([key.blob.subarray(0, at), length, Buffer.alloc(zeros), key.blob.subarray(at + 4)])
    blob[blob.length - 1] = (blob.at(-1) ?? 0) ^ change
    return `ssh-rsa ${blob.toString('base64')} x`
  }
  const lines = [spell(0), spell(1), spell(40), spell(1, 2), `ssh-rsa ${key.blob.subarray(0, -1).toString('base64')}`]
  expect(findLines(Buffer.from(lines.join('\n')), key).map(({ line }) => line)).toEqual([1, 2, 3])
  const surveyed = await surveyKeys(Buffer.from(lines.join('\n')), { now: new Date() })
  expect(surveyed.map(line => line.fingerprint === fingerprint(key))).toEqual([true, true, true, false, false])
  expect(surveyed[2]).toMatchObject({ isHeeded: true, key: { bits: 2048 } })
})
