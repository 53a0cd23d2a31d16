import { createPrivateKey, createPublicKey, ECDH, generateKeyPairSync, type KeyObject } from 'node:crypto'
import fc from 'fast-check'
import type { PublicAlgorithm } from '../src/algorithms/algorithm.js'
import { algorithmOf, formOf } from '../src/algorithms/asn1/identifier.js'
import { bitString, count, integer, nothing, octetString, oid, sequence, setOf, tagged } from '../src/der.js'
import { DerReader, dotted } from '../src/der-reader.js'
import { writePem } from '../src/formats/pem/armor.js'
import { pem } from '../src/formats/pem/pem.js'
import { pkcs1 } from '../src/formats/pem/pkcs1.js'
import { spki } from '../src/formats/pem/spki.js'
import { pkcs8 } from '../src/formats/pkcs8/pkcs8.js'
import type { PrivateKey, PublicKey } from '../src/key.js'
import { toBigInt, toBytes } from '../src/number.js'
import { effortOf } from './effort.js'
import { allTypes, sampleSet } from './sample-keys.js'

const types = ['ed25519', 'ed448', 'ecdsa-256', 'ecdsa-384', 'ecdsa-521', 'rsa', 'dsa']
const EC = '2a8648ce3d0201'
const P256 = '2a8648ce3d030107'

let keyOf: (type: string) => PrivateKey
beforeAll(async () => {
  keyOf = await sampleSet(allTypes)
})

function part(type: string, name: string): Buffer {
  return keyOf(type).parts[name] ?? Buffer.alloc(0)
}

/** The same key in node's hands, by way of our own PKCS#8. */
async function inNode(type: string): Promise<KeyObject> {
  return createPrivateKey(await pkcs8.write(keyOf(type)))
}

function refusal(read: Promise<unknown>): Promise<unknown> {
  return read.then(
    () => 'accepted',
    error => error,
  )
}

describe('DER', () => {
  test('numbers of any size come back', () => {
    fc.assert(
      fc.property(fc.nat(0x7fffffff), value => {
        expect(new DerReader(count(value)).number()).toBe(value)
      }),
    )
  })

  test('a SET OF is in the order of its encodings, whatever the order given', () => {
    const [short, long] = [octetString(Buffer.of(9)), octetString(Buffer.of(1, 1))]
    expect(setOf(long, short)).toEqual(setOf(short, long))
    expect(setOf(long, short)).toEqual(Buffer.from('31070401090402 0101'.replace(' ', ''), 'hex'))
  })

  test.each([
    ['2a864886f70d010914', '1.2.840.113549.1.9.20'],
    ['551d0f', '2.5.29.15'],
    ['2b6570', '1.3.101.112'],
    ['883703', '2.999.3'],
  ])('the identifier %s is %s', (hex, text) => {
    expect(dotted(hex)).toBe(text)
  })
})

describe.each(types)('%s', type => {
  test('PKCS#8 and SPKI are the bytes that OpenSSL writes', async () => {
    const key = await inNode(type)
    expect(await pkcs8.write(keyOf(type))).toEqual(Buffer.from(key.export({ format: 'pem', type: 'pkcs8' })))
    const shown = createPublicKey(key).export({ format: 'pem', type: 'spki' })
    expect(spki.write(keyOf(type).publicKey)).toEqual(Buffer.from(shown))
  })

  test('its public half comes back from SPKI', async () => {
    const bytes = spki.write(keyOf(type).publicKey)
    expect(spki.detect(bytes)).toBe(true)
    const [back, another] = await spki.read(bytes)
    expect(back?.blob).toEqual(keyOf(type).publicKey.blob)
    expect(another).toBeUndefined()
  })

  test('every cut of its SPKI is damaged', async () => {
    const bytes = spki.write(keyOf(type).publicKey)
    for (let cut = 0; cut < bytes.length - 1; cut += 7) {
      expect(await refusal(spki.read(bytes.subarray(0, cut)))).toMatchObject({ code: 'damaged' })
    }
  })
})

test('the traditional layouts are the bytes that OpenSSL writes', async () => {
  const rsa = await inNode('rsa')
  expect((await pem.write(keyOf('rsa'))).toString()).toBe(rsa.export({ format: 'pem', type: 'pkcs1' }))
  expect(pkcs1.write(keyOf('rsa').publicKey).toString()).toBe(
    createPublicKey(rsa).export({ format: 'pem', type: 'pkcs1' }),
  )
  for (const type of ['ecdsa-256', 'ecdsa-384', 'ecdsa-521']) {
    const key = await inNode(type)
    expect((await pem.write(keyOf(type))).toString()).toBe(key.export({ format: 'pem', type: 'sec1' }))
  }
})

describe('what has no such form', () => {
  test.each(['ed25519-sk', 'ecdsa-sk', 'mldsa44-ed25519'])('%s', async type => {
    const unsupported = { code: 'unsupported', message: expect.stringContaining(type) }
    await expect(pkcs8.write(keyOf(type))).rejects.toMatchObject(unsupported)
    await expect(pem.write(keyOf(type))).rejects.toMatchObject(unsupported)
    expect(() => spki.write(keyOf(type).publicKey)).toThrow(expect.objectContaining(unsupported))
    expect(pkcs8.holds(keyOf(type).algorithm)).toBe(false)
  })

  test.each(['ed25519', 'ed448'])('%s in PEM: said with what has one', async type => {
    await expect(pem.write(keyOf(type))).rejects.toMatchObject({
      code: 'unsupported',
      message: expect.stringMatching(new RegExp(`PEM.*${type}`)),
      hint: expect.stringContaining('PKCS#8'),
    })
    expect(pem.holds(keyOf(type).algorithm)).toBe(false)
  })

  test('any but RSA in PKCS#1', () => {
    expect(() => pkcs1.write(keyOf('ecdsa-256').publicKey)).toThrow(
      expect.objectContaining({ code: 'unsupported', message: expect.stringContaining('ecdsa-256') }),
    )
  })

  test('a certificate is not written as if it were its key', () => {
    const { publicKey } = keyOf('ed25519')
    const algorithm = { ...publicKey.algorithm, name: 'ssh-ed25519-cert-v01@openssh.com' } as PublicAlgorithm
    const certificate = Object.create(publicKey, { algorithm: { value: algorithm } }) as PublicKey
    expect(() => spki.write(certificate)).toThrow(expect.objectContaining({ code: 'unsupported' }))
  })
})

describe('ECDSA', () => {
  const spkiOf = (point: Uint8Array, parameters: Uint8Array = oid(P256)) =>
    writePem('PUBLIC KEY', sequence(sequence(oid(EC), parameters), bitString(point)))

  test.each([
    ['ecdsa-256', 'prime256v1'],
    ['ecdsa-384', 'secp384r1'],
    ['ecdsa-521', 'secp521r1'],
  ])('a compressed point of %s is read as the whole one', async (type, curve) => {
    const identifier = formOf(keyOf(type).algorithm.name)?.asn1.parameters({}) ?? Buffer.alloc(0)
    const q = part(type, 'q')
    const short = ECDH.convertKey(q, curve, undefined, undefined, 'compressed') as Buffer
    const [back] = await spki.read(spkiOf(short, identifier))
    expect(back?.blob).toEqual(keyOf(type).publicKey.blob)
  })

  test('a compressed point that is on no curve is damaged', async () => {
    // Half of all x have no y: some of these do not.
    const results = await Promise.all(
      Array.from({ length: 16 }, (_, i) =>
        refusal(spki.read(spkiOf(Buffer.concat([Buffer.of(2), Buffer.alloc(32, i + 1)])))),
      ),
    )
    const refused = results.filter(result => result !== 'accepted')
    expect(refused.length).toBeGreaterThan(0)
    for (const error of refused) expect(error).toMatchObject({ code: 'damaged' })
  })

  test.each([
    ['infinity', Buffer.of(0)],
    ['a hybrid point', Buffer.alloc(65, 6)],
    ['a point cut short', Buffer.alloc(64, 4)],
    ['a point off the curve', Buffer.alloc(65, 4)],
    ['nothing', Buffer.alloc(0)],
  ])('%s is damaged', async (_name, point) => {
    await expect(spki.read(spkiOf(point))).rejects.toMatchObject({ code: 'damaged' })
  })

  test('a curve spelled out is refused, with what to do', async () => {
    const spelled = sequence(count(1), sequence(oid('2a8648ce3d0101'), integer(Buffer.alloc(32, 7))))
    await expect(spki.read(spkiOf(part('ecdsa-256', 'q'), spelled))).rejects.toMatchObject({
      code: 'unsupported',
      hint: expect.stringContaining('named_curve'),
    })
  })

  test('another curve is unsupported, by its number', async () => {
    await expect(spki.read(spkiOf(part('ecdsa-256', 'q'), oid('2b8104000a')))).rejects.toMatchObject({
      code: 'unsupported',
      message: expect.stringContaining('1.3.132.0.10'),
    })
  })

  const sec1 = (...fields: Uint8Array[]) => writePem('EC PRIVATE KEY', sequence(...fields))
  const point = () => tagged(1, bitString(part('ecdsa-256', 'q')))
  const secret = () => octetString(part('ecdsa-256', 'd'))

  test('a private key without its point, or without its leading zeros, is the same key', async () => {
    const back = await pem.read(sec1(count(1), secret(), tagged(0, oid(P256))))
    expect(back.publicKey.blob).toEqual(keyOf('ecdsa-256').publicKey.blob)
    // As RFC 5915 has it, as PuTTY writes one whose top bit is set, and as one that begins with zeros comes out there.
    for (const size of [32, 33, part('ecdsa-256', 'd').length]) {
      const d = Buffer.concat([Buffer.alloc(size - part('ecdsa-256', 'd').length), part('ecdsa-256', 'd')])
      const again = await pem.read(sec1(count(1), octetString(d), tagged(0, oid(P256)), point()))
      expect(again.parts['d']).toEqual(part('ecdsa-256', 'd'))
    }
  })

  test.each([
    ['without its curve', () => [count(1), secret(), point()], 'unsupported'],
    ['of another version', () => [count(2), secret(), tagged(0, oid(P256)), point()], 'damaged'],
    ['with more behind it', () => [count(1), secret(), tagged(0, oid(P256)), point(), nothing()], 'damaged'],
    [
      'of 34 bytes, two of them zeros',
      () => [
        count(1),
        octetString(Buffer.concat([Buffer.alloc(34), part('ecdsa-256', 'd')]).subarray(-34)),
        tagged(0, oid(P256)),
      ],
      'damaged',
    ],
    ['of 33 bytes', () => [count(1), octetString(Buffer.alloc(33, 1)), tagged(0, oid(P256)), point()], 'damaged'],
    ['of no bytes', () => [count(1), octetString(Buffer.alloc(0)), tagged(0, oid(P256)), point()], 'damaged'],
    ['of zero', () => [count(1), octetString(Buffer.alloc(32)), tagged(0, oid(P256))], 'damaged'],
    ['above the order', () => [count(1), octetString(Buffer.alloc(32, 255)), tagged(0, oid(P256))], 'damaged'],
    ['of another point', () => [count(1), octetString(Buffer.alloc(32, 3)), tagged(0, oid(P256)), point()], 'damaged'],
    ['of a curve SSH has not', () => [count(1), secret(), tagged(0, oid('2b8104000a')), point()], 'unsupported'],
  ])('a private key %s', async (_name, fields, code) => {
    await expect(pem.read(sec1(...fields()))).rejects.toMatchObject({ code })
  })

  test('PKCS#8 that names another curve inside is damaged', async () => {
    const inner = sequence(count(1), secret(), tagged(0, oid('2b81040022')), point())
    const info = sequence(count(0), sequence(oid(EC), oid(P256)), octetString(inner))
    await expect(pkcs8.read(writePem('PRIVATE KEY', info))).rejects.toMatchObject({ code: 'damaged' })
    const named = sequence(count(1), secret(), tagged(0, oid(P256)), point())
    const fine = sequence(count(0), sequence(oid(EC), oid(P256)), octetString(named))
    expect((await pkcs8.read(writePem('PRIVATE KEY', fine))).publicKey.blob).toEqual(keyOf('ecdsa-256').publicKey.blob)
  })
})

describe('RSA', () => {
  const numbers = () => {
    const at = (name: string) => toBigInt(part('rsa', name))
    const [n, e, d, p, q, iqmp] = [at('n'), at('e'), at('d'), at('p'), at('q'), at('iqmp')]
    return [n, e, d, p, q, d % (p - 1n), d % (q - 1n), iqmp]
  }
  const file = (version: number, ...values: bigint[]) =>
    writePem('RSA PRIVATE KEY', sequence(count(version), ...values.map(value => integer(toBytes(value)))))

  test('the file made here by hand is taken as it is', async () => {
    expect(file(0, ...numbers())).toEqual(await pem.write(keyOf('rsa')))
  })

  test.each([0, 1, 2, 3, 4, 5, 6, 7])('number %i off by two is damaged', async index => {
    const wrong = numbers().map((value, i) => (i === index ? value + 2n : value))
    await expect(pem.read(file(0, ...wrong))).rejects.toMatchObject({ code: 'damaged' })
  })

  test.each([
    ['three primes', () => file(1, ...numbers(), 3n), 'unsupported'],
    ['version 2', () => file(2, ...numbers()), 'damaged'],
    ['a number too many', () => file(0, ...numbers(), 3n), 'damaged'],
    ['a number too few', () => file(0, ...numbers().slice(0, 7)), 'damaged'],
    ['p of 1', () => file(0, ...numbers().map((value, i) => (i === 3 ? 1n : value))), 'damaged'],
    ['p of 0', () => file(0, ...numbers().map((value, i) => (i === 3 ? 0n : value))), 'damaged'],
    [
      'a number of a megabit',
      () => file(0, ...numbers().map((value, i) => (i === 2 ? value << 1_000_000n : value))),
      'unsupported',
    ],
  ])('%s', async (_name, make, code) => {
    const bytes = make()
    expect(await effortOf(() => expect(pem.read(bytes)).rejects.toMatchObject({ code }))).toBeLessThan(2000)
  })

  test('the NULL beside its identifier may be missing', async () => {
    const inner = sequence(integer(part('rsa', 'n')), integer(part('rsa', 'e')))
    const id = oid(formOf('ssh-rsa')?.asn1.oid ?? '')
    const [back] = await spki.read(writePem('PUBLIC KEY', sequence(sequence(id), bitString(inner))))
    expect(back?.blob).toEqual(keyOf('rsa').publicKey.blob)
    const odd = sequence(sequence(id, octetString(Buffer.of(1))), bitString(inner))
    await expect(spki.read(writePem('PUBLIC KEY', odd))).rejects.toMatchObject({ code: 'unsupported' })
  })

  test('PSS keys are another algorithm', async () => {
    const { publicKey } = generateKeyPairSync('rsa-pss', { modulusLength: 2048 })
    const bytes = Buffer.from(publicKey.export({ format: 'pem', type: 'spki' }))
    await expect(spki.read(bytes)).rejects.toMatchObject({
      code: 'unsupported',
      message: expect.stringContaining('1.2.840.113549.1.1.10'),
    })
  })
})

describe('DSA', () => {
  const ID = '2a8648ce380401'
  const info = (x: Uint8Array, ...group: Uint8Array[]) =>
    writePem(
      'PRIVATE KEY',
      sequence(count(0), sequence(oid(ID), sequence(...group.map(integer))), octetString(integer(x))),
    )
  const [x, p, q, g] = ['x', 'p', 'q', 'g'].map(name => () => part('dsa', name)) as [
    () => Buffer,
    () => Buffer,
    () => Buffer,
    () => Buffer,
  ]

  test('is read by hand-made parts', async () => {
    expect((await pkcs8.read(info(x(), p(), q(), g()))).publicKey.blob).toEqual(keyOf('dsa').publicKey.blob)
  })

  test.each([
    ['x of zero', () => info(Buffer.alloc(0), p(), q(), g()), 'damaged'],
    ['x as large as q', () => info(q(), p(), q(), g()), 'damaged'],
    ['x of a megabit', () => info(Buffer.alloc(125_000, 1), p(), q(), g()), 'unsupported'],
    ['p of zero', () => info(x(), Buffer.alloc(0), q(), g()), 'unsupported'],
    ['p of a megabit', () => info(x(), Buffer.alloc(125_000, 1), q(), g()), 'unsupported'],
    ['g of a megabit', () => info(x(), p(), q(), Buffer.alloc(125_000, 1)), 'unsupported'],
    ['g of one', () => info(x(), p(), q(), Buffer.of(1)), 'damaged'],
    [
      'no group',
      () => writePem('PRIVATE KEY', sequence(count(0), sequence(oid(ID)), octetString(integer(x())))),
      'unsupported',
    ],
  ])('%s', async (_name, make, code) => {
    await expect(pkcs8.read(make())).rejects.toMatchObject({ code })
  })
})

test('an unknown algorithm is named by its number', () => {
  // X25519, which signs nothing.
  expect(() => algorithmOf({ oid: '2b656e', parameters: Buffer.alloc(0) })).toThrow(
    expect.objectContaining({ code: 'unsupported', message: expect.stringContaining('1.3.101.110') }),
  )
})

test('parameters where there can be none', () => {
  expect(() => algorithmOf({ oid: '2b6570', parameters: nothing() })).toThrow(
    expect.objectContaining({ code: 'unsupported' }),
  )
})
