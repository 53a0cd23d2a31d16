import { argon2, inWasm } from '../src/protect/argon2.js'
import { bcryptPbkdf } from '../src/protect/bcrypt.js'
import { fractionOfPi } from '../src/protect/pi.js'

describe('the KDFs', () => {
  test('Blowfish starts from the fraction of pi', () => {
    const words = fractionOfPi(1042)
    // The first hexadecimal digits of pi, 3.243f6a88 85a308d3 ..., as every reference lists them.
    expect([...words.slice(0, 4)].map(word => (word >>> 0).toString(16).padStart(8, '0'))).toEqual([
      '243f6a88',
      '85a308d3',
      '13198a2e',
      '03707344',
    ])
    // A guard digit too few would show in the last word: more words must not change it.
    expect(fractionOfPi(1060).slice(0, 1042)).toEqual(words)
  })

  // From OpenBSD's regression tests of bcrypt_pbkdf.
  test.each([
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
  ])('bcrypt_pbkdf, %i rounds of %j over %j', async (rounds, passphrase, salt, length, hex) => {
    const key = await bcryptPbkdf(Buffer.from(passphrase), Buffer.from(salt), rounds, length)
    expect(key.toString('hex')).toBe(hex)
  })

  test.each(['Argon2id', 'Argon2i', 'Argon2d'] as const)('%s is the same natively and in WebAssembly', async kind => {
    const parameters = { kind, memory: 64, passes: 3, parallelism: 2, salt: Buffer.alloc(16, 7) }
    const passphrase = Buffer.from('pässword')
    expect(await argon2(passphrase, parameters, 80)).toEqual(await inWasm(passphrase, parameters, 80))
  })
})
