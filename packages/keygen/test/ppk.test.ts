import type { KeyFormat, WritableFormat, WriteOptions } from '../src/formats/format.js'
import { ppk1, ppk2, ppk3 } from '../src/formats/ppk/ppk.js'
import type { PrivateKey } from '../src/key.js'
import { defaultLimits } from '../src/protect/caps.js'
import { Writer } from '../src/wire.js'
import { effortOf } from './effort.js'
import { writePpk1 } from './ppk1-writer.js'
import { expectSameParts, sampleKey } from './sample-keys.js'

const puttyTypes = ['ed25519', 'ed448', 'ecdsa-256', 'ecdsa-384', 'ecdsa-521', 'rsa', 'dsa'] as const
const secret = 'pässwörd 密'
const passphrase = Buffer.from(secret)
/** Cheap costs: what is tested here is the format, not the price. */
const cheap: WriteOptions = { passphrase, argon2: { memory: 64, passes: 1 } }
/** What a turned bit may make a reader pay. */
const limits = { ...defaultLimits, argon2Memory: 1024, argon2Work: 4096 }

const keys = new Map<string, PrivateKey>()
beforeAll(async () => {
  for (const type of [...puttyTypes, 'ed25519-sk']) keys.set(type, await sampleKey(type, 'hana@läptop'))
})

function keyOf(type: string): PrivateKey {
  const key = keys.get(type)
  if (!key) throw new Error(`no key of type ${type}`)
  return key
}

/** The file, with one text in it exchanged for another. */
function altered(bytes: Buffer, from: string | RegExp, to: string): Buffer {
  const text = bytes.toString('latin1')
  const changed = text.replace(from, to)
  expect(changed).not.toBe(text)
  return Buffer.from(changed, 'latin1')
}

const writables: readonly (readonly [string, WritableFormat])[] = [
  ['version 2', ppk2],
  ['version 3', ppk3],
]

describe.each(writables)('%s', (_name, format) => {
  test.each(puttyTypes)('%s, there and back', async type => {
    const plain = await format.write(keyOf(type))
    expect(plain.toString('latin1')).toMatch(new RegExp(`^PuTTY-User-Key-File-${format.name.slice(-1)}: `))
    expect(format.detect(plain)).toBe(true)
    const back = await format.read(plain)
    expectSameParts(back, keyOf(type))
    expect(back.comment).toBe('hana@läptop')
    expectSameParts(await format.read(await format.write(keyOf(type), cheap), { passphrase }), keyOf(type))
  })

  test('what it shows without a passphrase', async () => {
    const { publicKey } = keyOf('ed25519')
    const plain = await format.inspect(await format.write(keyOf('ed25519')))
    expect(plain).toEqual({ format: format.name, encrypted: false, public: publicKey })
    const kdf = format === ppk2 ? { name: 'sha1' } : { name: 'Argon2id', memory: 64, passes: 1, parallelism: 1 }
    expect(await format.inspect(await format.write(keyOf('ed25519'), cheap))).toEqual({
      format: format.name,
      encrypted: true,
      cipher: 'aes256-cbc',
      kdf,
      public: publicKey,
    })
  })

  test('a passphrase is needed, and only the right one opens', async () => {
    const bytes = await format.write(keyOf('ed25519'), cheap)
    await expect(format.read(bytes)).rejects.toMatchObject({ code: 'secret-needed' })
    for (const wrong of ['no', '', `${secret} `]) {
      await expect(format.read(bytes, { passphrase: Buffer.from(wrong) })).rejects.toMatchObject({
        code: 'secret-wrong',
        message: 'wrong passphrase',
      })
    }
  })

  test('a file in the clear that was altered is damaged, not a wrong passphrase', async () => {
    const bytes = altered(await format.write(keyOf('ed25519')), 'hana', 'jana')
    await expect(format.read(bytes, { passphrase })).rejects.toMatchObject({
      code: 'damaged',
      message: expect.stringContaining('altered'),
    })
  })

  test('a key type that PuTTY does not have is not written', async () => {
    expect(format.holds(keyOf('ed25519-sk').algorithm)).toBe(false)
    expect(format.holds(keyOf('dsa').algorithm)).toBe(true)
    await expect(format.write(keyOf('ed25519-sk'))).rejects.toMatchObject({ code: 'unsupported' })
  })

  test.each([
    ['an empty passphrase', { passphrase: Buffer.alloc(0) }, 'usage'],
    ['a cipher of others', { passphrase, cipher: 'aes256-ctr' }, 'unsupported'],
  ])('%s is refused', async (_name, options, code) => {
    await expect(format.write(keyOf('ed25519'), options)).rejects.toMatchObject({ code })
  })

  test.each([
    ['none', ''],
    ['blanks at both ends', ' both ends '],
    ['4 KiB', 'x'.repeat(4096)],
    ['what looks like a line of its own', 'Public-Lines: 2'],
  ])('a comment is kept: %s', async (_name, comment) => {
    expect((await format.read(await format.write(keyOf('ed25519').withComment(comment)))).comment).toBe(comment)
  })

  test('a comment of several lines is never written', async () => {
    await expect(format.write(keyOf('ed25519').withComment('a\rb'))).rejects.toMatchObject({ code: 'usage' })
  })
})

describe('version 2', () => {
  test('is the same bytes every time, encrypted too: it has no salt', async () => {
    expect(await ppk2.write(keyOf('rsa'), cheap)).toEqual(await ppk2.write(keyOf('rsa'), cheap))
  })
})

describe('version 3', () => {
  test.each([
    { kind: 'Argon2i', memory: 64, passes: 3, parallelism: 2 },
    { kind: 'Argon2d', memory: 100, passes: 2, parallelism: 5 },
    { kind: 'Argon2id', memory: 2048, passes: 1, parallelism: 200 },
  ] as const)('%j', async argon2 => {
    const bytes = await ppk3.write(keyOf('ed25519'), { passphrase, argon2 })
    const { kind: name, ...costs } = argon2
    expect((await ppk3.inspect(bytes)).kdf).toEqual({ name, ...costs })
    expectSameParts(await ppk3.read(bytes, { passphrase }), keyOf('ed25519'))
  })

  test('has a salt of its own every time', async () => {
    expect(await ppk3.write(keyOf('ed25519'), cheap)).not.toEqual(await ppk3.write(keyOf('ed25519'), cheap))
  })

  test.each([{ memory: 7 }, { passes: 0 }, { parallelism: 9 }, { memory: 1 << 30 }])(
    'asked for %j, it is a usage error',
    async odd => {
      const argon2 = { ...cheap.argon2, ...odd }
      await expect(ppk3.write(keyOf('ed25519'), { passphrase, argon2 })).rejects.toMatchObject({ code: 'usage' })
    },
  )

  test.each([
    ['Argon2-Memory: 64', 'Argon2-Memory: 2097152', 'unsupported'],
    ['Argon2-Memory: 64', 'Argon2-Memory: 4294967295', 'unsupported'],
    ['Argon2-Memory: 64', 'Argon2-Memory: 4294967296', 'damaged'],
    ['Argon2-Memory: 64', 'Argon2-Memory: 064', 'damaged'],
    ['Argon2-Memory: 64', 'Argon2-Memory: 1', 'damaged'],
    ['Argon2-Passes: 1', 'Argon2-Passes: 0', 'damaged'],
    ['Argon2-Passes: 1', 'Argon2-Passes: 2000000000', 'unsupported'],
    ['Argon2-Salt: ', 'Argon2-Salt: 0', 'damaged'],
    ['Argon2id', 'Argon3', 'unsupported'],
    ['Key-Derivation: Argon2id\n', '', 'damaged'],
  ])('%j as %j is %s', async (from, to, code) => {
    const bytes = altered(await ppk3.write(keyOf('ed25519'), cheap), from, to)
    await expect(ppk3.read(bytes, { passphrase })).rejects.toMatchObject({ code })
  })

  test('what it would cost is said before the passphrase is asked for', async () => {
    const bytes = altered(await ppk3.write(keyOf('ed25519'), cheap), 'Memory: 64', 'Memory: 2097152')
    await expect(ppk3.read(bytes)).rejects.toMatchObject({ code: 'unsupported' })
    expect((await ppk3.inspect(bytes)).kdf).toMatchObject({ memory: 2097152 })
  })
})

describe('version 1', () => {
  const types = ['rsa', 'dsa'] as const

  test.each(types)('%s, in the clear with a hash, with a MAC, encrypted', async type => {
    for (const oddities of [{}, { mac: true }, { passphrase: secret }]) {
      const bytes = writePpk1(keyOf(type), oddities)
      expect(ppk1.detect(bytes)).toBe(true)
      const back = await ppk1.read(bytes, { passphrase })
      expectSameParts(back, keyOf(type))
      expect(back.comment).toBe('hana@läptop')
      const { encrypted, public: shown } = await ppk1.inspect(bytes)
      expect(encrypted).toBe('passphrase' in oddities)
      expect(shown?.equals(keyOf(type).publicKey)).toBe(true)
    }
  })

  test('is not written', () => {
    expect(ppk1).not.toHaveProperty('write')
    expect(ppk1).not.toHaveProperty('option')
  })

  test('the public part stands outside its MAC: another key there is found out all the same', async () => {
    for (const type of types) {
      const other = await sampleKey(type)
      const [mine, theirs] = [writePpk1(keyOf(type), { passphrase: secret }), writePpk1(other)]
      const part = /Public-Lines: [^:]*\n(?=Private)/
      const bytes = altered(mine, part, part.exec(theirs.toString('latin1'))?.[0] ?? '')
      await expect(ppk1.read(bytes, { passphrase })).rejects.toMatchObject({ code: 'damaged' })
    }
  })

  test('the hash of a DSA group must fit; where it is missing, the group itself is proof enough', async () => {
    const wrong = writePpk1(keyOf('dsa'), { groupHash: Buffer.alloc(20, 1) })
    await expect(ppk1.read(wrong)).rejects.toMatchObject({ code: 'damaged' })
    expectSameParts(await ppk1.read(writePpk1(keyOf('dsa'), { groupHash: Buffer.alloc(0) })), keyOf('dsa'))
  })

  test('a comment in the letters of old Windows is read', async () => {
    const bytes = writePpk1(keyOf('rsa'), { comment: Buffer.from('caf\xe9', 'latin1') })
    expect((await ppk1.read(bytes)).comment).toBe('café')
  })
})

const all: readonly (readonly [string, KeyFormat, () => Promise<Buffer>])[] = [
  ['version 1', ppk1, async () => writePpk1(keyOf('rsa'), { passphrase: secret })],
  ['version 1, DSA', ppk1, async () => writePpk1(keyOf('dsa'), { passphrase: secret })],
  ['version 2', ppk2, () => ppk2.write(keyOf('ed25519'), cheap)],
  ['version 3', ppk3, () => ppk3.write(keyOf('ed25519'), cheap)],
]

describe.each(all)('%s, as it comes', (_name, format, make) => {
  const read = (bytes: Buffer) => format.read(bytes, { passphrase, limits })

  test('with CRLF, without a last newline, with blank lines at the end', async () => {
    const text = (await make()).toString('latin1')
    for (const same of [text.replaceAll('\n', '\r\n'), text.trimEnd(), `${text}\n \t\r\n`]) {
      expect((await read(Buffer.from(same, 'latin1'))).publicKey.blob).toEqual(
        (await read(await make())).publicKey.blob,
      )
    }
  })

  test('hex may be in capitals, but not in both', async () => {
    const last = /[0-9a-f]+\n$/
    const bytes = await make()
    const digits = last.exec(bytes.toString('latin1'))?.[0] ?? ''
    await expect(read(altered(bytes, last, digits.toUpperCase()))).resolves.toBeDefined()
    const mixed = altered(
      bytes,
      last,
      digits.replace(/[a-f]/, letter => letter.toUpperCase()),
    )
    await expect(read(mixed)).rejects.toMatchObject({ code: 'damaged' })
  })

  test.each([
    ['text behind', /$/, 'x'],
    ['a vertical tab behind', /$/, '\v'],
    ['a blank in the base64', /\nAAAA/, '\n AAAA'],
    ['a blank behind the base64', /(\nAAAA.*)/, '$1 '],
    ['a carriage return in a line', 'hana', 'h\rna'],
    ['old Macintosh line ends', /\n/g, '\r'],
    ['lines not in their order', /(Encryption.*\n)(Comment.*\n)/, '$2$1'],
    ['a count with a zero', 'Private-Lines: ', 'Private-Lines: 0'],
    ['a count below zero', 'Public-Lines: ', 'Public-Lines: -'],
    ['a count beyond all keys', 'Public-Lines: ', 'Public-Lines: 99'],
    ['a line more', 'Private-Lines', 'Private-Line: 1\nPrivate-Lines'],
    ['another type', /: (ssh-\S+)/, ': ecdsa-sha2-nistp256'],
    ['no blank behind a colon', 'Encryption: ', 'Encryption:'],
  ])('%s is damaged', async (_name, from, to) => {
    const error = await read(altered(await make(), from, to)).catch(error => error)
    expect(error).toMatchObject({ name: 'KeytoolError', code: 'damaged' })
  })

  test('another cipher is unsupported', async () => {
    const bytes = altered(await make(), 'aes256-cbc', 'aes128-cbc')
    await expect(read(bytes)).rejects.toMatchObject({ code: 'unsupported' })
    await expect(format.inspect(bytes)).rejects.toMatchObject({ code: 'unsupported' })
  })

  test('cut anywhere, it is damaged, with the offset', async () => {
    const bytes = await make()
    // The very last newline carries nothing.
    for (let cut = 0; cut < bytes.length - 1; cut += 1 + Math.floor(bytes.length / 150)) {
      const error = await read(bytes.subarray(0, cut)).catch(error => error)
      expect(error).toMatchObject({ name: 'KeytoolError', code: 'damaged' })
      expect(error.offset).toBeLessThanOrEqual(cut)
    }
  })
})

describe('which version it is', () => {
  test.each([
    ['PuTTY-User-Key-File-1: ssh-rsa\n', [true, false, false]],
    ['PuTTY-User-Key-File-2: ssh-rsa\n', [false, true, false]],
    ['PuTTY-User-Key-File-3: ssh-rsa\n', [false, false, true]],
    ['PuTTY-User-Key-File-10: ssh-rsa\n', [false, false, true]],
    ['PuTTY-User-Key-File-', [false, false, true]],
    ['PuTTY-User-Key-Fil', [false, false, false]],
    ['', [false, false, false]],
  ])('%j', (text, wanted) => {
    expect([ppk1, ppk2, ppk3].map(format => format.detect(Buffer.from(text)))).toEqual(wanted)
  })

  test.each([
    ['4', 'unsupported'],
    ['10', 'unsupported'],
    ['', 'damaged'],
    ['x', 'damaged'],
  ])('version %j is %s', async (version, code) => {
    const bytes = altered(await ppk3.write(keyOf('ed25519')), 'File-3', `File-${version}`)
    await expect(ppk3.inspect(bytes)).rejects.toMatchObject({ code })
  })
})

describe('a certificate in the place of the public key', () => {
  /** Version 3 in the clear, made by hand: the format's own writer has no certificates. */
  async function certified(type: string): Promise<{ bytes: Buffer; blob: Buffer }> {
    const { certificatesOf } = await import('../src/algorithms/certificate.js')
    const { macOfAll } = await import('../src/formats/ppk/mac.js')
    const { base64Lines } = await import('../src/formats/ppk/lines.js')
    const key = keyOf(type)
    const row = certificatesOf(key.algorithm)
    const nothing = Buffer.alloc(0)
    const claims = { nonce: Buffer.alloc(32), serial: Buffer.alloc(8), kind: Buffer.of(0, 0, 0, 1), keyId: nothing }
    const times = { after: Buffer.alloc(8), before: Buffer.alloc(8, 255), principals: nothing, critical: nothing }
    const issuer = { extensions: nothing, reserved: nothing, authority: key.publicKey.blob, signature: nothing }
    const writer = new Writer().text(row.name)
    row.publicFields.write(writer, { ...key.parts, ...claims, ...times, ...issuer })
    const blob = writer.done()
    const fields = new Writer()
    key.algorithm.ppkFields?.write(fields, key.parts)
    const plain = fields.done()
    const header = { type: row.name, encryption: 'none', comment: Buffer.from('me'), publicBlob: blob }
    const lines = [
      `PuTTY-User-Key-File-3: ${row.name}`,
      'Encryption: none',
      'Comment: me',
      base64Lines('Public-Lines', blob),
      base64Lines('Private-Lines', plain),
      `Private-MAC: ${macOfAll('sha256', nothing, header, plain).toString('hex')}`,
    ]
    return { bytes: Buffer.from(lines.join('\n')), blob }
  }

  test.each(['ed25519', 'ecdsa-384', 'rsa', 'dsa'])(
    '%s: it is shown, and the key that it certifies is read',
    async type => {
      const { bytes, blob } = await certified(type)
      const { public: shown } = await ppk3.inspect(bytes)
      expect(shown?.blob).toEqual(blob)
      expect(shown?.algorithm.certifies).toBe(keyOf(type).algorithm)
      const back = await ppk3.read(bytes)
      expectSameParts(back, keyOf(type))
      expect(back.comment).toBe('me')
    },
  )
})

describe('how long it takes', () => {
  test('lines without end are refused at once', async () => {
    const [head = '', tail = ''] = (await ppk3.write(keyOf('ed25519'))).toString('latin1').split('Public-Lines: 2\n')
    const filler = `${'A'.repeat(64)}\n`.repeat(5000)
    for (const text of [`${head}Public-Lines: 5000\n${filler}${tail}`, `${head}${'x'.repeat(1 << 22)}`]) {
      const refused = () => expect(ppk3.inspect(Buffer.from(text))).rejects.toMatchObject({ name: 'KeytoolError' })
      expect(await effortOf(refused)).toBeLessThan(1000)
    }
  })
})

test('the public half of an open file is believed no sooner than the private one beside it', async () => {
  const [one, other] = [await sampleKey('ed25519', 'one'), await sampleKey('ed25519', 'one')]
  const lines = async (key: typeof one) => (await ppk3.write(key)).toString('latin1').split('\n')
  const [mine, theirs] = [await lines(one), await lines(other)]
  const start = mine.findIndex(line => line.startsWith('Public-Lines')) + 1
  mine.splice(start, 2, ...theirs.slice(start, start + 2))
  await expect(ppk3.inspect(Buffer.from(mine.join('\n'), 'latin1'))).rejects.toMatchObject({ code: 'damaged' })
})
