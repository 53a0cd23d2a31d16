import { count, octetString, oid, sequence } from '../src/der.js'
import { isKeytoolError } from '../src/error.js'
import { writeArmor } from '../src/formats/armor.js'
import { writePublicLine } from '../src/formats/lines/public.js'
import { writePem } from '../src/formats/pem/armor.js'
import { keyFormats, publicFormats, readPrivateKey } from '../src/formats/registry.js'
import { inspectKeys } from '../src/inspect.js'
import type { PrivateKey } from '../src/key.js'
import { Writer } from '../src/wire.js'
import { heldTypes, limits, passphrase } from './altered.js'
import { effortOf } from './effort.js'
import { sampleKey } from './sample-keys.js'

/** A file of about so many bytes. */
type Make = (size: number) => string | Buffer | Promise<Buffer>

/** How much larger the larger of two files is, and how much longer it may take: with its square it would be 256. */
const GROWTH = 16
const MAX_GROWTH = 64
/** Below this nothing is proved either way. In milliseconds. */
const GRAIN = 40
/** In bytes. Below every cap on a file's size, so that what is too large is not merely refused. */
const LARGE = 60_000

let key: PrivateKey
let rsa: PrivateKey
beforeAll(async () => {
  key = await sampleKey('ed25519', 'hana')
  rsa = await sampleKey('rsa', 'hana')
})

/** Asks every reader there is for the file. */
async function readAll(bytes: Buffer, fileName: string): Promise<void> {
  const readers = [
    () => inspectKeys(bytes, { fileName }),
    () => readPrivateKey(bytes, { passphrase, limits }),
    ...publicFormats.filter(format => format.detect(bytes)).map(format => () => format.read(bytes)),
  ]
  for (const read of readers) {
    await read().catch(error => {
      if (!isKeytoolError(error)) throw error
    })
  }
}

function time(bytes: Buffer, fileName: string): Promise<number> {
  return effortOf(() => readAll(bytes, fileName))
}

/** That the time grows with the size, the best of three where the machine was busy. */
async function expectLinear(make: Make, fileName = ''): Promise<void> {
  const less = Buffer.from(await make(LARGE / GROWTH))
  const more = Buffer.from(await make(LARGE))
  let best = Number.POSITIVE_INFINITY
  let bound = GRAIN
  for (let i = 0; i < 3 && best > bound; i++) {
    bound = Math.max(bound, MAX_GROWTH * (await time(less, fileName)))
    best = Math.min(best, await time(more, fileName))
  }
  expect(best).toBeLessThanOrEqual(bound)
}

/** The text over and over. */
const fill = (size: number, text: string): string => text.repeat(Math.ceil(size / text.length))

/** Texts with a number in each, so that no two are the same. */
function number(size: number, text: (i: number) => string): string {
  const parts: string[] = []
  for (let i = 0, length = 0; length < size; i++) {
    const part = text(i)
    parts.push(part)
    length += part.length
  }
  return parts.join('')
}

/** What is no key, but takes up room between the marks of one. */
const fillers: readonly (readonly [string, Make])[] = [
  ['base64 in one line', size => fill(size, 'AAAA')],
  ['base64 in lines', size => fill(size, `${'A'.repeat(64)}\n`)],
  ['base64 that ends badly', size => `${fill(size, `${'A'.repeat(64)}\n`)}A=`],
  ['one character a line', size => fill(size, 'A\n')],
  ['blank lines', size => fill(size, '\n')],
  ['spaces', size => fill(size, ' ')],
  ['tabs and CR LF', size => fill(size, '\t\r\n')],
  ['carriage returns', size => fill(size, '\r')],
  ['equals signs', size => fill(size, '=')],
  ['headers', size => number(size, i => `x-${i}: ${i}\n`)],
  ['folded lines', size => `Comment: ${fill(size, 'x\\\n')}`],
  ['quotes', size => `Comment: ${fill(size, '"\\')}`],
  ['dashes', size => fill(size, '-')],
  ['NUL bytes', size => fill(size, '\0')],
]

/** How each of the formats in text begins and ends. */
const frames: readonly (readonly [string, string, string])[] = [
  ['OPENSSH', '-----BEGIN OPENSSH PRIVATE KEY-----\n', '\n-----END OPENSSH PRIVATE KEY-----\n'],
  ['SSHSIG', '-----BEGIN SSH SIGNATURE-----\n', '\n-----END SSH SIGNATURE-----\n'],
  ['RSA PEM', '-----BEGIN RSA PRIVATE KEY-----\n', '\n-----END RSA PRIVATE KEY-----\n'],
  ['PKCS#8', '-----BEGIN ENCRYPTED PRIVATE KEY-----\n', '\n-----END ENCRYPTED PRIVATE KEY-----\n'],
  ['SPKI', '-----BEGIN PUBLIC KEY-----\n', '\n-----END PUBLIC KEY-----\n'],
  ['PKCS#1', '-----BEGIN RSA PUBLIC KEY-----\n', '\n-----END RSA PUBLIC KEY-----\n'],
  ['X.509', '-----BEGIN CERTIFICATE-----\n', '\n-----END CERTIFICATE-----\n'],
  ['ssh.com', '---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----\n', '\n---- END SSH2 ENCRYPTED PRIVATE KEY ----\n'],
  ['RFC 4716', '---- BEGIN SSH2 PUBLIC KEY ----\n', '\n---- END SSH2 PUBLIC KEY ----\n'],
  ['PPK', 'PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: none\nComment: ', '\nPublic-Lines: 2\n'],
  ['PPK lines', 'PuTTY-User-Key-File-2: ssh-rsa\nEncryption: none\nComment: \nPublic-Lines: 5000\n', ''],
  ['SSH-1', 'SSH PRIVATE KEY FILE FORMAT 1.1\n\0\0\0\0\0\0', ''],
  ['JWK', '{"kty":"OKP","d":"', '"}'],
  ['nothing', '', ''],
]

describe.each(frames)('%s', (_name, begin, end) => {
  test.each(fillers)('%s', async (_name, make) => {
    await expectLinear(size => `${begin}${make(size)}${end}`)
  })

  test('cut short', async () => {
    await expectLinear(size => `${begin}${fill(size, `${'A'.repeat(64)}\n`)}`)
  })
})

describe('the same thing over and over', () => {
  const lines =
    (text: () => string): Make =>
    size =>
      fill(size, text())
  const line = () => writePublicLine(key.publicKey)
  const publicFile = (name: string) =>
    publicFormats
      .find(format => format.name === name && format.write)
      ?.write?.(key.publicKey)
      .toString() ?? ''

  test.each<[string, string, Make]>([
    ['public keys', 'id.pub', lines(line)],
    ['public keys', '', lines(line)],
    ['keys with options', 'authorized_keys', lines(() => `no-pty,from="10.0.0.0/8",command="a \\"b\\"" ${line()}`)],
    ['keys of hosts', 'known_hosts', lines(() => `web1,web2,[10.0.0.1]:22 ${line()}`)],
    ['keys of hidden hosts', 'known_hosts', lines(() => `|1|${'A'.repeat(27)}=|${'A'.repeat(27)}= ${line()}`)],
    ['keys of SSH-1', 'known_hosts', lines(() => `web1 1024 35 ${'1'.repeat(300)}\n`)],
    ['lines that are none', 'authorized_keys', lines(() => 'ssh-rsa\n')],
    ['lines that are none', '', lines(() => 'ssh-rsa AAAA\n')],
    ['comments', '', size => `${fill(size, '# \n')}${line()}`],
    ['options', '', size => `${fill(size, 'no-pty,')}no-pty ${line()}`],
    ['one long option', '', size => `command="${fill(size, 'x\\"')}" ${line()}`],
    ['a quote left open', '', size => `command="${fill(size, 'x ')} ${line()}`],
    ['hosts', '', size => `${fill(size, 'web1,')}web1 ${line()}`],
    ['bars', 'known_hosts', size => `${fill(size, '|1')} ${line()}`],
    ['a long comment', '', size => `${line().trim()}${fill(size, ' x')}\n`],
    ['digits', '', size => fill(size, '1')],
    ['numbers', '', size => fill(size, '1024 35 1')],
    ['RFC 4716', '', lines(() => publicFile('rfc4716'))],
    ['SPKI', '', lines(() => publicFile('spki'))],
    ['beginnings of PEM', '', lines(() => '-----BEGIN PUBLIC KEY-----\n')],
    ['beginnings of certificates', '', lines(() => '-----BEGIN CERTIFICATE-----\n')],
    ['PEM of another kind', '', size => fill(size, '-----BEGIN X-----\nAAAA\n-----END X-----\n')],
  ])('%s %s', (_name, fileName, make) => expectLinear(make, fileName))

  test('a line as large as any file that is read does not overflow', async () => {
    const size = 16 << 20
    for (const options of [`command="${fill(size, 'x')}"`, `command="${fill(size, '\\"')}"`]) {
      const [found] = await inspectKeys(Buffer.from(`${options} ${line()}`), { fileName: 'authorized_keys' })
      expect(found).toMatchObject({ error: { code: 'damaged' } })
    }
  })

  test('records of a zone', async () => {
    const record = () => `a IN DNSKEY 256 3 15 ${key.publicKey.blob.subarray(-32).toString('base64')}\n`
    const sshfp = () => publicFile('sshfp')
    for (const make of [lines(record), lines(sshfp), (size: number) => `a IN SSHFP (${fill(size, ' 1')}`]) {
      await expectLinear(make)
    }
  })

  test.each(keyFormats.filter(({ write }) => write).map(format => [format.name, format] as const))(
    'files of %s',
    async (_name, format) => {
      const bytes = await format.write?.(format.holds(key.algorithm) ? key : rsa)
      await expectLinear(lines(() => bytes?.toString() ?? ''))
    },
  )
})

describe('a long comment in a key', () => {
  test.each(heldTypes.map(([format]) => [format.name, format] as const))('%s', async (_name, format) => {
    const holder = format.holds(key.algorithm) ? key : rsa
    for (const unit of ['x', 'ä', '"\\']) {
      await expectLinear(size => format.write(holder.withComment(format.keepsComment ? fill(size, unit) : '')))
    }
  })
})

describe('JSON', () => {
  test.each<[string, Make]>([
    ['lists in lists', size => `{"keys":${fill(size, '[')}`],
    ['objects in objects', size => fill(size, '{"kty":')],
    ['members', size => `{${number(size, i => `"m${i}":0,`)}"kty":"OKP"}`],
    ['numbers', size => `{"keys":[${fill(size, '0,')}0]}`],
    ['one number', size => `{"kty":${fill(size, '1')}}`],
    ['keys of other worlds', size => `{"keys":[${fill(size, '{"kty":"x"},')}{"kty":"x"}]}`],
    ['keys', size => `{"keys":[${fill(size, `${jwkOf(key)},`)}${jwkOf(key)}]}`],
    ['escapes', size => `{"kty":"${fill(size, '\\u0041')}"}`],
    ['backslashes', size => `{"kty":"${fill(size, '\\')}`],
    ['a modulus', size => `{"kty":"RSA","e":"AQAB","n":"${fill(size, 'vvvv')}"}`],
  ])('%s', (_name, make) => expectLinear(make))
})

describe('DER', () => {
  const pem = (label: string, content: Buffer) => writePem(label, content)
  const info = (size: number) =>
    sequence(count(0), sequence(oid('2b6570')), octetString(Buffer.alloc(size * 0.7, 0x30)))

  test.each<[string, Make]>([
    ['a private key', size => pem('PRIVATE KEY', info(size))],
    ['sequences in sequences', size => pem('PRIVATE KEY', nest(size))],
    ['the same, in public', size => pem('PUBLIC KEY', nest(size))],
    ['a certificate of them', size => pem('CERTIFICATE', nest(size))],
    ['a bare certificate', size => nest(size)],
    ['numbers', size => pem('RSA PRIVATE KEY', sequence(...Array(size >> 2).fill(count(1))))],
    ['one number', size => pem('RSA PRIVATE KEY', sequence(count(0), longNumber(size)))],
    ['a modulus', size => pem('RSA PUBLIC KEY', sequence(longNumber(size), count(65537)))],
    ['an exponent', size => pem('RSA PUBLIC KEY', sequence(count(65537), longNumber(size)))],
    ['an identifier', size => pem('PRIVATE KEY', sequence(count(0), sequence(oid(fill(size, '2b')))))],
  ])('%s', (_name, make) => expectLinear(make))
})

describe('strings with their lengths', () => {
  const envelope = (add: (writer: Writer) => Writer) =>
    writeArmor(add(new Writer().bytes(Buffer.from('openssh-key-v1\0'))).done(), 'OPENSSH PRIVATE KEY')
  const krl = (section: Buffer, type: number) =>
    new Writer()
      .bytes(Buffer.from('SSHKRL\n\0'))
      .uint32(1)
      .bytes(Buffer.alloc(24))
      .string(Buffer.alloc(0))
      .text('')
      .byte(type)
      .string(section)
      .done()

  test.each<[string, Make]>([
    ['a name', size => envelope(writer => writer.text(fill(size, 'x')))],
    ['a salt', size => envelope(writer => writer.text('aes256-ctr').text('bcrypt').string(Buffer.alloc(size)))],
    ['an RSA key', size => fill(1, `ssh-rsa ${rsaBlob(size).toString('base64')}\n`)],
    ['a list of revoked keys', size => krl(Buffer.alloc(size, Buffer.of(0, 0, 0, 1, 0)), 2)],
    ['a list of revoked numbers', size => krl(revoked(size), 1)],
  ])('%s', (_name, make) => expectLinear(make))
})

function jwkOf({ publicKey }: PrivateKey): string {
  const format = publicFormats.find(({ name }) => name === 'jwk')
  return format?.write?.(publicKey).toString() ?? ''
}

/** SEQUENCEs, each with the next one in it, as deep as they go. Made from the inside, in pieces. */
function nest(size: number): Buffer {
  const heads: Buffer[] = []
  for (let length = 0; length < size; ) {
    const head =
      length < 128 ? Buffer.of(0x30, length) : Buffer.of(0x30, 0x83, length >> 16, (length >> 8) & 255, length & 255)
    heads.push(head)
    length += head.length
  }
  return Buffer.concat(heads.reverse())
}

/** An INTEGER of so many bytes. */
function longNumber(size: number): Buffer {
  return Buffer.concat([Buffer.of(0x02, 0x83, size >> 16, (size >> 8) & 255, size & 255), Buffer.alloc(size, 0x55)])
}

function rsaBlob(size: number): Buffer {
  return new Writer()
    .text('ssh-rsa')
    .mpint(Buffer.of(1, 0, 1))
    .mpint(Buffer.alloc(size, 0x55))
    .done()
}

/** A section of certificates with many serial numbers. */
function revoked(size: number): Buffer {
  return new Writer()
    .string(Buffer.alloc(0))
    .string(Buffer.alloc(0))
    .byte(0x20)
    .string(Buffer.alloc(size & ~7))
    .done()
}
