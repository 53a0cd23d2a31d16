import { jest } from '@jest/globals'
import fc from 'fast-check'
import { hasPem, readPem } from '../src/formats/pem/armor.js'
import { pem } from '../src/formats/pem/pem.js'
import type { PrivateKey } from '../src/key.js'
import { effortOf } from './effort.js'
import { flipEveryBit } from './pem-flips.js'
import { expectSameParts, sampleKey, sampleSet } from './sample-keys.js'

jest.setTimeout(240_000)

const types = ['rsa', 'ecdsa-256', 'ecdsa-384', 'ecdsa-521', 'dsa']
const passphrase = Buffer.from('pässwörd 密')
const LABEL = 'PRIVATE KEY'

let keyOf: (type: string) => PrivateKey
beforeAll(async () => {
  keyOf = await sampleSet(types)
})

const read = (bytes: Buffer) => pem.read(bytes, { passphrase })

describe.each(types)('%s', type => {
  test('a wrong passphrase is wrong', async () => {
    const bytes = await pem.write(keyOf(type), { passphrase })
    // Of 256 wrong ones, one ends in what looks like padding: then it is the beginning that is nonsense.
    for (let i = 0; i < 300; i++) {
      await expect(pem.read(bytes, { passphrase: Buffer.from(`no ${i}`) })).rejects.toMatchObject({
        code: 'secret-wrong',
        message: 'wrong passphrase',
        reason: 'or the file was altered',
      })
    }
  })

  test('any bit turned in an encrypted file is seen', async () => {
    expect(await flipEveryBit(await pem.write(keyOf(type), { passphrase }), read)).toEqual([])
  })
})

test('any bit turned where blocks are short is seen', async () => {
  const bytes = await pem.write(keyOf('ecdsa-256'), { passphrase, cipher: '3des-cbc' })
  expect(await flipEveryBit(bytes, read)).toEqual([])
})

test('fresh keys of a type come back through every cipher', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom('ecdsa-256', 'ecdsa-384', 'ecdsa-521'),
      fc.constantFrom(...pem.ciphers),
      fc.uint8Array({ minLength: 1, maxLength: 80 }),
      async (type, cipher, secret) => {
        const key = await sampleKey(type)
        expectSameParts(
          await pem.read(await pem.write(key, { passphrase: secret, cipher }), { passphrase: secret }),
          key,
        )
        expectSameParts(await pem.read(await pem.write(key)), key)
      },
    ),
    { numRuns: 60 },
  )
})

describe('the lines', () => {
  test('time grows with the size, no faster', async () => {
    const fillers = ['-----BEGIN X-----\n', ' \t', '\n', 'A', '-----BEGIN PRIVATE KEY-----\n', 'Proc-Type: 4\n']
    const time = (size: number) =>
      effortOf(() => {
        for (const text of fillers) {
          const bytes = Buffer.concat([Buffer.from(`-----BEGIN ${LABEL}-----\n`), Buffer.alloc(size, text)])
          expect(() => readPem(bytes, [LABEL])).toThrow()
          hasPem(bytes.subarray(28), [LABEL])
        }
      })
    await time(50_000)
    const [small, large] = [await time(200_000), await time(1_600_000)]
    expect(large).toBeLessThan(40 * small + 200)
  })
})
