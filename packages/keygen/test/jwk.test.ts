import { createPrivateKey, createPublicKey, type JsonWebKey } from 'node:crypto'
import { jwk, jwkPublic } from '../src/formats/jwk/jwk.js'
import type { PrivateKey } from '../src/key.js'
import { allTypes, sampleKey, sampleSet } from './sample-keys.js'

/** RFC 8037 appendix A.1. */
const RFC8037 = {
  kty: 'OKP',
  crv: 'Ed25519',
  d: 'nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A',
  x: '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo',
}
/** RFC 7517 appendix A.2, the first key. */
const RFC7517 = {
  kty: 'EC',
  crv: 'P-256',
  x: 'MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4',
  y: '4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM',
  d: '870MB6gfuTJ4HtUnUvYMyJpr5eUZNP4Bk43bVdj3eAE',
  use: 'enc',
  kid: '1',
}
const types = ['ed25519', 'ed448', 'ecdsa-256', 'ecdsa-384', 'ecdsa-521', 'rsa']

let keyOf: (type: string) => PrivateKey
beforeAll(async () => {
  keyOf = await sampleSet(allTypes, 'hana@läptop')
})

function fileOf(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value))
}

async function membersOf(type: string): Promise<Record<string, string>> {
  return JSON.parse((await jwk.write(keyOf(type))).toString())
}

describe.each(types)('%s', type => {
  test('there and back, private', async () => {
    const bytes = await jwk.write(keyOf(type))
    expect([jwk.detect(bytes), jwkPublic.detect(bytes)]).toEqual([true, false])
    const back = await jwk.read(bytes)
    expect(back.publicKey.blob).toEqual(keyOf(type).publicKey.blob)
    expect(back.comment).toBe('hana@läptop')
    for (const [name, part] of Object.entries(keyOf(type).parts)) expect(back.parts[name]).toEqual(part)
    expect(await jwk.inspect(bytes)).toMatchObject({ format: 'jwk', encrypted: false })
    expect(await jwk.write(back)).toEqual(bytes)
  })

  test('there and back, public', async () => {
    const { publicKey } = keyOf(type)
    const bytes = jwkPublic.write(publicKey)
    expect([jwk.detect(bytes), jwkPublic.detect(bytes)]).toEqual([false, true])
    const [back] = await jwkPublic.read(bytes)
    expect(back?.blob).toEqual(publicKey.blob)
    expect(back?.comment).toBe('hana@läptop')
  })

  test('node:crypto reads what is written, and says the same', async () => {
    const { kid, ...members } = await membersOf(type)
    const key = createPrivateKey({ key: members as JsonWebKey, format: 'jwk' })
    expect(kid).toBe('hana@läptop')
    expect(key.export({ format: 'jwk' })).toEqual(members)
    const { kid: _, ...shown } = JSON.parse(jwkPublic.write(keyOf(type).publicKey).toString())
    expect(createPublicKey(key).export({ format: 'jwk' })).toEqual(shown)
    // And what node writes is read.
    const back = await jwk.read(fileOf(key.export({ format: 'jwk' })))
    expect(back.publicKey.blob).toEqual(keyOf(type).publicKey.blob)
  })

  test('any character of any part changed, it is refused', async () => {
    const members = await membersOf(type)
    for (const [name, text] of Object.entries(members)) {
      if (name === 'kid') continue
      for (const at of new Set([0, Math.floor(text.length / 2), text.length - 1])) {
        const other = `${text.slice(0, at)}${text[at] === 'B' ? 'C' : 'B'}${text.slice(at + 1)}`
        await expect(jwk.read(fileOf({ ...members, [name]: other }))).rejects.toMatchObject({
          code: expect.stringMatching(/^(damaged|unsupported)$/),
        })
      }
    }
  })

  test('any member missing, it is refused', async () => {
    const members = await membersOf(type)
    for (const name of Object.keys(members)) {
      if (name === 'kid') continue
      await expect(jwk.read(fileOf({ ...members, [name]: undefined }))).rejects.toMatchObject({
        code: expect.stringMatching(/^(damaged|unsupported)$/),
      })
    }
  })

  test('members are base64url without padding, of the exact length', async () => {
    const members = await membersOf(type)
    for (const [name, text] of Object.entries(members)) {
      if (['kty', 'crv', 'kid'].includes(name)) continue
      const zero = Buffer.concat([Buffer.alloc(1), Buffer.from(text, 'base64url')]).toString('base64url')
      for (const other of [`${text}=`, `${text} `, `+${text.slice(1)}`, '', zero, text.slice(0, -4), 7, null, [text]]) {
        await expect(jwk.read(fileOf({ ...members, [name]: other }))).rejects.toMatchObject({
          code: expect.stringMatching(/^(damaged|unsupported)$/),
        })
      }
    }
  })
})

test('members stand in one order, indented by two', async () => {
  expect(Object.keys(await membersOf('rsa'))).toEqual(['kty', 'n', 'e', 'd', 'p', 'q', 'dp', 'dq', 'qi', 'kid'])
  expect(Object.keys(await membersOf('ecdsa-521'))).toEqual(['kty', 'crv', 'x', 'y', 'd', 'kid'])
  const text = (await jwk.write(keyOf('ed25519').withComment(''))).toString()
  expect(text).toMatch(
    /^\{\n {2}"kty": "OKP",\n {2}"crv": "Ed25519",\n {2}"x": "[\w-]{43}",\n {2}"d": "[\w-]{43}"\n\}\n$/,
  )
})

test('coordinates that begin with zeros keep them', async () => {
  for (let i = 0, found = 0; found < 2; i++) {
    if (i > 5000) throw new Error('no such key was made')
    const key = await sampleKey('ecdsa-256')
    if (key.parts['q']?.[1] !== 0 && (key.parts['d']?.length ?? 0) > 31) continue
    found++
    const { x, d } = JSON.parse((await jwk.write(key)).toString())
    expect([x.length, d.length]).toEqual([43, 43])
    expect((await jwk.read(await jwk.write(key))).parts['d']).toEqual(key.parts['d'])
  }
})

test.each(['dsa', 'mldsa44-ed25519', 'ed25519-sk', 'ecdsa-sk'])('%s keys have no place in it', async type => {
  const message = `JSON Web Keys can't hold ${type} keys`
  expect(jwk.holds(keyOf(type).algorithm)).toBe(false)
  await expect(jwk.write(keyOf(type))).rejects.toMatchObject({ code: 'unsupported', message })
  expect(() => jwkPublic.write(keyOf(type).publicKey)).toThrow(
    expect.objectContaining({ code: 'unsupported', message }),
  )
})

test('a passphrase is never dropped in silence', async () => {
  await expect(jwk.write(keyOf('ed25519'), { passphrase: Buffer.from('x') })).rejects.toMatchObject({ code: 'refused' })
})

describe('keys of the RFCs', () => {
  test('8037', async () => {
    const key = await jwk.read(fileOf(RFC8037))
    expect(key.algorithm.type).toBe('ed25519')
    expect(key.comment).toBe('')
  })

  test('7517, with what is not ours', async () => {
    const key = await jwk.read(
      fileOf({ ...RFC7517, key_ops: ['sign'], alg: 'ES256', x5c: ['AAAA'], other: { a: [1.5e3] } }),
    )
    expect(key.algorithm.type).toBe('ecdsa-256')
    expect(key.comment).toBe('1')
  })
})

test('a kid of another world becomes a comment on one line', async () => {
  const key = await jwk.read(fileOf({ ...RFC8037, kid: 'a\nb\u001b[31m\u202e\ud800' }))
  expect(key.comment).toBe('a b [31m  ')
  await expect(jwk.write(key.withComment('a\nb'))).rejects.toMatchObject({ code: 'usage' })
})

describe('a set', () => {
  const { d: _, ...shown } = RFC8037

  test('of public keys: all', async () => {
    const bytes = fileOf({ keys: [shown, { ...shown, kid: 'two' }, { kty: 'oct', k: 'AAAA' }] })
    expect(jwkPublic.detect(bytes)).toBe(true)
    expect((await jwkPublic.read(bytes)).map(({ comment }) => comment)).toEqual(['', 'two'])
  })

  test('of one private key', async () => {
    const bytes = fileOf({ keys: [RFC8037] })
    expect(jwk.detect(bytes)).toBe(true)
    expect((await jwk.read(bytes)).algorithm.type).toBe('ed25519')
  })

  test.each([
    ['two private keys', [RFC8037, RFC7517], 'unsupported'],
    ['a private and a public one', [shown, RFC8037], 'unsupported'],
    ['nothing', [], 'unsupported'],
    ['no objects', ['d'], 'damaged'],
    ['no list', RFC8037, 'damaged'],
  ])('of %s is refused', async (_name, list, code) => {
    await expect(jwk.read(fileOf({ keys: list }))).rejects.toMatchObject({ code })
  })

  test('of nothing but unknown types is unsupported', async () => {
    await expect(jwkPublic.read(fileOf({ keys: [{ kty: 'oct', k: 'AAAA' }] }))).rejects.toMatchObject({
      code: 'unsupported',
      message: expect.stringContaining('oct'),
    })
  })
})

describe('what is no key', () => {
  test.each([
    ['another curve', fileOf({ ...RFC7517, crv: 'secp256k1' }), 'unsupported'],
    ['X25519', fileOf({ ...RFC8037, crv: 'X25519' }), 'unsupported'],
    ['no kty', fileOf({ ...RFC8037, kty: undefined }), 'damaged'],
    ['a public key', fileOf({ ...RFC8037, d: undefined }), 'unsupported'],
    ['a public half of another key', fileOf({ ...RFC8037, x: RFC7517.x }), 'damaged'],
    ['a point off the curve', fileOf({ ...RFC7517, y: RFC7517.x }), 'damaged'],
    ['d out of range', fileOf({ ...RFC7517, d: Buffer.alloc(32, 0xff).toString('base64url') }), 'damaged'],
    ['d of zero', fileOf({ ...RFC7517, d: Buffer.alloc(32).toString('base64url') }), 'damaged'],
    ['a list', fileOf([RFC8037]), 'damaged'],
    ['a member twice', Buffer.from(JSON.stringify(RFC8037).replace('{', `{"d":"${RFC7517.d}",`)), 'damaged'],
    ['a name with escapes', Buffer.from(JSON.stringify(RFC8037).replace('"d"', '"\\u0064"')), 'damaged'],
    ['text after it', Buffer.concat([fileOf(RFC8037), Buffer.from('{}')]), 'damaged'],
    ['a vertical tab', Buffer.from(`\v${JSON.stringify(RFC8037)}`), 'damaged'],
    ['a byte order mark', Buffer.from(`\ufeff${JSON.stringify(RFC8037)}`), 'damaged'],
    ['no UTF-8', Buffer.from(JSON.stringify({ ...RFC8037, kid: '\xff' }), 'latin1'), 'damaged'],
    ['deep nesting', Buffer.from(`{"kty":"OKP","a":${'['.repeat(100_000)}`), 'damaged'],
    ['megabytes', Buffer.from(`{"kty":"OKP","a":"${'x'.repeat(1 << 21)}"}`), 'damaged'],
    ['__proto__', Buffer.from(`{"__proto__":${JSON.stringify(RFC8037)}}`), 'damaged'],
  ])('%s is refused', async (_name, bytes, code) => {
    await expect(jwk.read(bytes)).rejects.toMatchObject({ code })
  })

  test('RSA: more primes, none, numbers that do not follow, numbers without end', async () => {
    const members = await membersOf('rsa')
    const number = (value: Buffer) => value.toString('base64url')
    for (const [changes, code] of [
      [{ oth: [{ r: 'AQ', d: 'AQ', t: 'AQ' }] }, 'unsupported'],
      [{ p: undefined, q: undefined, dp: undefined, dq: undefined, qi: undefined }, 'unsupported'],
      [{ dp: members['dq'] }, 'damaged'],
      [{ qi: members['dq'] }, 'damaged'],
      [{ p: members['q'], q: members['p'], dp: members['dq'], dq: members['dp'] }, 'damaged'],
      [{ p: 'AQ', dp: 'AA' }, 'damaged'],
      [{ n: number(Buffer.alloc(2049, 1)) }, 'damaged'],
      [{ d: number(Buffer.alloc(100_000, 1)) }, 'damaged'],
      [{ e: 'AQ' }, 'damaged'],
      [{ n: number(Buffer.alloc(64, 0xff)) }, 'unsupported'],
    ] as const) {
      await expect(jwk.read(fileOf({ ...members, ...changes }))).rejects.toMatchObject({ code })
    }
  })

  test.each(['', '{', '{}', 'null', '{"a":1}', '-----BEGIN', 'ssh-rsa AAAA'])('%j claims to be none', text => {
    expect([jwk.detect(Buffer.from(text)), jwkPublic.detect(Buffer.from(text))]).toEqual([false, false])
  })
})
