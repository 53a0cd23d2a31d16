import { bubbleBabble, bubbleBabbleLine, fingerprintLine, puttyFingerprint } from '../src/fingerprint.js'
import { readAuthorizedKeys } from '../src/formats/lines/authorized-keys.js'
import { splitKeyOptions } from '../src/formats/lines/key-options.js'
import { readKnownHosts } from '../src/formats/lines/known-hosts.js'
import { looksLikePublicLines, opensshPublic, readPublicLines, writePublicLine } from '../src/formats/lines/public.js'
import { PublicKey } from '../src/key.js'
import { allTypes, sampleKey } from './sample-keys.js'

const KEY = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIL9hHq82K+e6NvhCL1SjhOKnRcU5dkM4gw7dfUCumM+z authority'
const BARE = KEY.split(' ').slice(0, 2).join(' ')
/** `ssh-keygen -l`, `-B` and `puttygen -l` of {@link KEY}: OpenSSH 9.2, PuTTY 0.78. */
const LISTED = '256 SHA256:BQ9hYL5PK9Kl/QwN/fQuhKTb+YOAO7200K85ZZdo7QY authority (ED25519)'
const BABBLE = '256 xepev-hagyl-lyfum-hubin-dupok-kecem-ropab-rugoh-nevuv-gubig-nixex authority (ED25519)'
const PUTTY = 'ssh-ed25519 255 SHA256:BQ9hYL5PK9Kl/QwN/fQuhKTb+YOAO7200K85ZZdo7QY'
const PUTTY_MD5 = 'ssh-ed25519 255 60:c4:af:cc:15:c7:9b:25:4f:e9:37:23:e8:28:4f:5b'

const bytes = (text: string): Buffer => Buffer.from(text)

test('fingerprints', () => {
  const [key] = readPublicLines(bytes(KEY))
  if (!key) throw new Error('no key')
  expect(fingerprintLine(key)).toBe(LISTED)
  expect(bubbleBabbleLine(key)).toBe(BABBLE)
  expect(BABBLE).toContain(bubbleBabble(key))
  expect(puttyFingerprint(key)).toBe(PUTTY)
  expect(puttyFingerprint(key, 'md5')).toBe(PUTTY_MD5)
})

test.each(['\f%s', 'A\r\fAAA%t', '\v\v%s'])('white space in front of and within a blob hides no key: %j', pattern => {
  const blob = 'AAAAC3NzaC1lZDI1NTE5AAAAIL9hHq82K+e6NvhCL1SjhOKnRcU5dkM4gw7dfUCumM+z'
  const word = pattern.replace('%s', blob).replace('%t', blob.slice(4))
  const [found] = readAuthorizedKeys(Buffer.from(`ssh-ed25519 ${word} x\n`))
  expect(found).toMatchObject({ heeded: true, comment: 'x' })
  expect(found?.key?.blob.toString('base64')).toBe(blob)
  // As `ssh-keygen -F` has it: the key is revoked.
  const [host] = readKnownHosts(Buffer.from(`@revoked h ssh-ed25519 ${word}\n`), { blobsOnly: true })
  expect(host).toMatchObject({ marker: 'revoked', blob: Buffer.from(blob, 'base64') })
})

describe('public lines', () => {
  test.each(allTypes)('%s goes out and comes back', async type => {
    const { publicKey } = await sampleKey(type, 'hana@läptop 1')
    const line = Buffer.from(writePublicLine(publicKey))
    expect(looksLikePublicLines(line)).toBe(true)
    const [back] = await opensshPublic.read(line)
    expect(back?.blob).toEqual(publicKey.blob)
    expect(back?.comment).toBe('hana@läptop 1')
  })

  test('comments: of any words, with their blanks, or none', () => {
    const comment = (text: string) => readPublicLines(bytes(text))[0]?.comment
    expect(comment(BARE)).toBe('')
    expect(comment(`${BARE} \t `)).toBe('')
    expect(comment(`${BARE}\r\n`)).toBe('')
    expect(comment(` \t${BARE}\t two  words `)).toBe('two  words ')
    expect(comment(`\ufeff${KEY}`)).toBe('authority')
    expect(readPublicLines(Buffer.from(`${BARE} l\xe4ptop`, 'latin1'))[0]?.comment).toBe('läptop')
  })

  test.each([
    ['a line without a key', `${KEY}\nmore`],
    ['options', `no-pty ${KEY}`],
    ['two lines in one', `${BARE}\r${KEY}`.replace('\r', '')],
    ['another type than the key has', KEY.replace('ssh-ed25519', 'ssh-rsa')],
    ['base64 without its padding', `ssh-dss AAAAB3NzaC1kc3M`],
    ['blanks that are none', KEY.replace(' ', '\u00a0')],
    ['a vertical tab', KEY.replace(' ', '\v')],
    ['a NUL byte', `${KEY}\0`],
  ])('%s: damaged, with the offset', (_name, text) => {
    expect(() => readPublicLines(bytes(text))).toThrow(
      expect.objectContaining({ code: 'damaged', offset: expect.any(Number) }),
    )
  })

  test('the offset is that in the file', () => {
    const text = `# one\r\n${KEY}\n${KEY.replace('AAAA', 'AAAA*')}`
    expect(() => readPublicLines(bytes(text))).toThrow(expect.objectContaining({ offset: text.indexOf('*') }))
  })
})

describe('authorized_keys', () => {
  test('options as they stand', () => {
    const options = [
      'no-pty',
      'command="a b"',
      'command="say \\"hi, you\\" # x",no-pty',
      'from="192.0.2.*,!host",permitopen="[::1]:80"',
      'RESTRICT,Pty',
      'not-known="x y"',
    ]
    const found = readAuthorizedKeys(bytes(options.map(each => `${each} ${KEY}\n`).join('\n')))
    expect(found.map(each => each.options)).toEqual(options)
    expect(found.map(each => each.line)).toEqual([1, 3, 5, 7, 9, 11])
    expect(found.every(each => each.key instanceof PublicKey && each.comment === 'authority')).toBe(true)
  })

  test.each([
    ['an unfinished quote', `command="a ${KEY}`],
    ['a backslash at the end', 'command="\\'],
    ['only options', 'no-pty'],
    ['only a type', 'ssh-ed25519'],
    ['options twice', `no-pty command="x" ${KEY}`],
  ])('%s: a line with an error', (_name, text) => {
    const found = readAuthorizedKeys(bytes(`${text}\n${KEY}`))
    expect(found).toMatchObject([
      { line: 1, options: '', error: { code: 'damaged' } },
      { line: 2, options: '' },
    ])
    expect(found[0]).not.toHaveProperty('key')
  })

  test.each([
    ['', true],
    ['no-pty,command="x" ', true],
    [',touch-required, ', true],
    ['not-known ', false],
    ['no-pty="x" ', false],
    ['\ufeff', false],
    ['\ufeffno-pty ', false],
  ])('sshd heeds the key behind %j: %j', (before, heeded) => {
    expect(readAuthorizedKeys(bytes(`${before}${KEY}`))).toMatchObject([{ heeded, key: expect.any(PublicKey) }])
  })

  test('the blob is there wherever the line says what it is', () => {
    const future = 'ssh-new@example AAAAD3NzaC1uZXdAZXhhbXBsZQ=='
    const short = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAAA=='
    const huge = `${KEY} ${'x'.repeat(20_000)}`
    const swapped = KEY.replace('ssh-ed25519', 'ssh-rsa')
    const blobs = readAuthorizedKeys(bytes([KEY, future, short, huge, swapped].join('\n'))).map(
      ({ blob }) => blob?.length,
    )
    expect(blobs).toEqual([51, 19, 19, 51, undefined])
  })

  test('base64 with white space that is none of ours, as OpenSSH takes it', () => {
    expect(readAuthorizedKeys(bytes(`${BARE}\f\v authority`))).toMatchObject([{ comment: 'authority', heeded: true }])
    expect(readPublicLines(bytes(`${BARE}\f`))).toHaveLength(1)
  })

  test('SSH-1 keys and huge lines are named', () => {
    const old = `1024 65537 ${'1234567890'.repeat(30)} old`
    const huge = `command="${'x'.repeat(20_000)}" ${KEY}`
    expect(readAuthorizedKeys(bytes(`${old}\nno-pty ${old}\n${huge}`))).toMatchObject([
      { type: 'rsa1', error: { code: 'unsupported' }, comment: 'old' },
      { type: 'rsa1', error: { code: 'unsupported' }, options: 'no-pty' },
      { type: 'ssh-ed25519', error: { code: 'damaged' } },
    ])
  })
})

test('options, split', () => {
  expect(splitKeyOptions('No-Pty,command="a,\\"b",from="x"')).toEqual([
    { name: 'no-pty' },
    { name: 'command', value: 'a,\\"b' },
    { name: 'from', value: 'x' },
  ])
  expect(splitKeyOptions('')).toEqual([])
  expect(splitKeyOptions(',no-pty,,No-Verify-Required,')).toEqual([{ name: 'no-pty' }, { name: 'no-verify-required' }])
  expect(splitKeyOptions('command="a\\\\",b"')).toEqual([{ name: 'command', value: 'a\\\\",b' }])
  for (const text of [
    'command="x\\\\"',
    'no-pty="x"',
    'command',
    'command=x',
    'command="x',
    'unknown',
    'no-pty no-pty',
  ]) {
    expect(splitKeyOptions(text)).toBeUndefined()
  }
})

describe('known_hosts', () => {
  const salt = Buffer.alloc(20, 1)
  const hash = Buffer.alloc(20, 2)
  const hashed = `|1|${salt.toString('base64')}|${hash.toString('base64')}`

  test('whom a line is about', () => {
    const found = readKnownHosts(
      bytes(
        [
          `a.example,192.0.2.1,[b.example]:2222,*.c,!d.c ${KEY}`,
          `${hashed} ${BARE}`,
          `@revoked * ${KEY}`,
          `\t@cert-authority \t *.example\t${KEY}\r`,
          '#nothing',
          `münchen.example ${KEY}`,
        ].join('\n'),
      ),
    )
    expect(found).toMatchObject([
      { line: 1, hosts: { patterns: ['a.example', '192.0.2.1', '[b.example]:2222', '*.c', '!d.c'] } },
      { line: 2, hosts: { salt, hash }, hostsText: hashed },
      { line: 3, hosts: { patterns: ['*'] }, marker: 'revoked' },
      { line: 4, hosts: { patterns: ['*.example'] }, marker: 'cert-authority', comment: 'authority' },
      { line: 6, hosts: { patterns: ['münchen.example'] } },
    ])
    expect(found.every(({ key }) => key instanceof PublicKey)).toBe(true)
  })

  test.each([
    ['an unknown marker', `@trusted a ${KEY}`, 'damaged'],
    ['two markers', `@revoked @revoked a ${KEY}`, 'damaged'],
    ['a marker alone', '@revoked', 'damaged'],
    ['no hosts', KEY, 'damaged'],
    ['a short hash', `|1|${salt.toString('base64')}|AAAA ${KEY}`, 'damaged'],
    ['another kind of hash', `|2|x|y ${KEY}`, 'damaged'],
    ['a hash with more', `${hashed}|x ${KEY}`, 'damaged'],
    ['an SSH-1 key', `a.example 1024 35 ${'1234567890'.repeat(30)}`, 'unsupported'],
    ['a type of the future', 'a ssh-new@example AAAAD3NzaC1uZXdAZXhhbXBsZQ==', 'unsupported'],
  ])('%s: a line with an error', (_name, text, code) => {
    expect(readKnownHosts(bytes(`${text}\nb ${KEY}`))).toMatchObject([
      { line: 1, error: { code } },
      { line: 2, hostsText: 'b' },
    ])
  })
})
