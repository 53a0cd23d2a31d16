import { createDecipheriv, createHash } from 'node:crypto'
import { setImmediate } from 'node:timers/promises'
import { argon2, inWasm } from '../src/protect/argon2.js'
import { bcryptPbkdf } from '../src/protect/bcrypt.js'
import { type BcryptHasher, inScript } from '../src/protect/bcrypt-script.js'
import { startWasm } from '../src/protect/bcrypt-wasm.js'
import { fractionOfPi } from '../src/protect/pi.js'

const hashers: [string, BcryptHasher | undefined][] = [
  ['as it chooses', undefined],
  ['in WebAssembly', startWasm()],
  ['in script', inScript],
]

describe('the KDFs', () => {
  test('Blowfish starts from the fraction of pi', () => {
    const words = fractionOfPi(1042)
    expect(words.length).toBe(1042 * 4)
    // The first hexadecimal digits of pi, 3.243f6a88 85a308d3 ..., as every reference lists them.
    expect(words.toString('hex', 0, 16)).toBe('243f6a8885a308d313198a2e03707344')
    // A guard digit too few would show in the last word: more words must not change it.
    for (const more of [1043, 1060, 2000]) expect(fractionOfPi(more).subarray(0, words.length)).toEqual(words)
    for (const fewer of [1, 2, 18, 1041]) expect(fractionOfPi(fewer)).toEqual(words.subarray(0, fewer * 4))
  })

  // From OpenBSD's regression tests of bcrypt_pbkdf; the last two from the `bcrypt` package of Python's.
  describe.each([
    [4, 'password', 'salt', 32, '5bbf0cc293587f1c3635555c27796598d47e579071bf427e9d8fbe842aba34d9'],
    [4, 'password', '\0', 16, 'c12b566235eee04c212598970a579a67'],
    [4, '\0', 'salt', 16, '6051be18c2f4f82cbf0efee5471b4bb9'],
    [
      8,
      'password',
      'salt',
      64,
      'e1367ec5151a33faac4cc1c144cd23fa15d5548493ecc99b9b5d9c0d3b27bec76227ea66088b849b20ab7aa478010246e74bba51723fefa9f9474d6508845e8d',
    ],
    [
      3,
      'pässwörd ✓',
      '0123456789abcdef',
      48,
      'cadfdc5c24e3275cd9d0b1161e6e5d70a306096a5a3fd10f13d764d6c4044899d0d04a2e822325e2e06a7c1f19972c21',
    ],
    [
      16,
      'x'.repeat(80),
      '0123456789abcdef',
      44,
      'a1fee68a2e1ea8f88cae785c556bdc6bf165d09d4704943de25c4f0eea0ff4c81fd189c7493a3c8fcfc4e379',
    ],
  ])('bcrypt_pbkdf, %i rounds of %j over %j', (rounds, passphrase, salt, length, hex) => {
    test.each(hashers)('%s', async (_, hasher) => {
      const key = await bcryptPbkdf(Buffer.from(passphrase), Buffer.from(salt), rounds, length, hasher)
      expect(key.toString('hex')).toBe(hex)
    })
  })

  test('bcrypt_pbkdf of sixteen blocks', async () => {
    const key = await bcryptPbkdf(Buffer.from('password'), Buffer.from('salt'), 2, 512)
    expect(createHash('sha256').update(key).digest('hex')).toBe(
      'd4a4522126b6708b2c77276fdc0009941a4b7f5f0d74898ecb0d75da20461817',
    )
  })

  // `ssh-keygen -t ed25519 -Z CIPHER -a ROUNDS -N 'pässwörd ✓'`: the salt, and the private section's first 32 bytes.
  test.each([
    [
      'aes128-ctr',
      2,
      '2382cef65b8b0c0852a2b9b892d44189',
      '22d47a1e11b4bb8c9214c4f0ed4882fb5dbff811504e9674f5aed6b4aac7c3eb',
    ],
    [
      'aes256-ctr',
      24,
      'c90af0635260583f215cff27016f0c4c',
      'bc4973d7e1baa873d43f325219d5a148f8bcfc647256dda88389aa223de48f1a',
    ],
    [
      'aes192-cbc',
      3,
      'a3e18d9de8a4337654facb7fcd9453da',
      '1ca5679f9540b2964dc7e6489049530ac1aa3552e6408f55d3847c8ce24f0a18',
    ],
    [
      'aes256-cbc',
      16,
      'cf37edb0eee8500edbe976cfa9448764',
      '635133c0d2902bc26479057f87e41b1a36497334d585f61bfa8bb010831c2ce0',
    ],
  ])('opens what ssh-keygen wrote: %s, %i rounds', async (cipher, rounds, salt, sealed) => {
    const keyLength = Number(/\d+/.exec(cipher)?.[0]) / 8
    const secret = await bcryptPbkdf(Buffer.from('pässwörd ✓'), Buffer.from(salt, 'hex'), rounds, keyLength + 16)
    const name = cipher.replace('aes', 'aes-')
    const decipher = createDecipheriv(name, secret.subarray(0, keyLength), secret.subarray(keyLength))
    const section = decipher.setAutoPadding(false).update(Buffer.from(sealed, 'hex'))
    expect(section.subarray(0, 4)).toEqual(section.subarray(4, 8))
    expect(section.toString('latin1', 8, 23)).toBe('\0\0\0\x0bssh-ed25519')
  })

  test('bcrypt_pbkdf is the same in WebAssembly and in script, several at once and one by one', async () => {
    const derive = (length: number, hasher?: BcryptHasher) =>
      bcryptPbkdf(Buffer.from(`passphrase ${length}`), Buffer.alloc(16, length), 2, length, hasher)
    const lengths = [1, 31, 32, 33, 48, 64, 65, 96, 97]
    const together = await Promise.all(lengths.map(length => derive(length)))
    for (const [i, length] of lengths.entries()) {
      expect(together[i]).toEqual(await derive(length, inScript))
      expect(together[i]).toEqual(await derive(length))
    }
  })

  test('bcrypt_pbkdf lets other work have its turn between rounds', async () => {
    let done = false
    const deriving = bcryptPbkdf(Buffer.from('password'), Buffer.from('salt'), 10, 48).finally(() => {
      done = true
    })
    let turns = 0
    for (; !done; turns++) await setImmediate()
    await deriving
    expect(turns).toBeGreaterThanOrEqual(9)
  })

  test('nothing of a passphrase stays in the memory of WebAssembly', () => {
    const wasm = startWasm()
    const [one, two] = [Buffer.alloc(64, 1), Buffer.alloc(64, 2)]
    expect(wasm?.hash(one, [one, two]).map(hash => hash.length)).toEqual([32, 32])
    expect(wasm?.memory.every(byte => byte === 0)).toBe(true)
    expect(() => wasm?.hash(one, [one, two, two])).toThrow(RangeError)
  })

  test.each([
    ['absent', undefined],
    [
      'short of address space',
      {
        Module: class {},
        Instance: class {
          constructor() {
            throw new RangeError('WebAssembly.Memory(): could not allocate memory')
          }
        },
      },
    ],
  ])('WebAssembly %s is no error', (_, value) => {
    const before = Object.getOwnPropertyDescriptor(globalThis, 'WebAssembly')
    Object.defineProperty(globalThis, 'WebAssembly', { value, configurable: true, writable: true })
    try {
      expect(startWasm()).toBeUndefined()
    } finally {
      if (before) Object.defineProperty(globalThis, 'WebAssembly', before)
    }
    expect(startWasm()).toBeDefined()
  })

  test.each(['Argon2id', 'Argon2i', 'Argon2d'] as const)('%s is the same natively and in WebAssembly', async kind => {
    const parameters = { kind, memory: 64, passes: 3, parallelism: 2, salt: Buffer.alloc(16, 7) }
    const passphrase = Buffer.from('pässword')
    expect(await argon2(passphrase, parameters, 80)).toEqual(await inWasm(passphrase, parameters, 80))
  })
})
