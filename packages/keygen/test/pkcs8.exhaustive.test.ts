import { randomBytes } from 'node:crypto'
import { jest } from '@jest/globals'
import fc from 'fast-check'
import { octetString, sequence } from '../src/der.js'
import { checkComment } from '../src/formats/comment.js'
import { readPem, writePem } from '../src/formats/pem/armor.js'
import { pkcs8 } from '../src/formats/pkcs8/pkcs8.js'
import type { PrivateKey } from '../src/key.js'
import { sealPbes2 } from '../src/protect/pbe-pbes2.js'
import { effortOf } from './effort.js'
import { sampleKey, sampleSet } from './sample-keys.js'

jest.setTimeout(240_000)

const types = ['ed25519', 'ed448', 'ecdsa-256', 'ecdsa-384', 'ecdsa-521', 'rsa', 'dsa']
const passphrase = Buffer.from('pässwörd 密')
const COMMENT = 'hana@läptop 🔑'
/** The format is tested here, not the price. */
const cheap = { passphrase, rounds: 1 }

let keyOf: (type: string) => PrivateKey
beforeAll(async () => {
  keyOf = await sampleSet(types, COMMENT)
})

const read = (bytes: Buffer) => pkcs8.read(bytes, { passphrase })

describe.each(types)('%s', type => {
  test('a wrong passphrase is wrong', async () => {
    const bytes = await pkcs8.write(keyOf(type), cheap)
    // Of 256 wrong ones, one ends in what looks like padding: then it is the beginning that is nonsense.
    for (let i = 0; i < 300; i++) {
      const wrong = Buffer.from(`no ${i}`)
      await expect(pkcs8.read(bytes, { passphrase: wrong })).rejects.toMatchObject({
        code: 'secret-wrong',
        message: 'wrong passphrase',
      })
    }
  })
})

/** What a bit turned in the ciphertext of CBC does to the plain text: this block becomes noise, the next one loses a bit. */
describe('the digest can not be hidden', () => {
  test.each(['ed25519', 'ed448', 'dsa'])('in a file of %s', async type => {
    const plain = Buffer.concat([bodyOf(await pkcs8.write(keyOf(type))), Buffer.alloc(16)])
    const length = plain.length - 16
    await fc.assert(
      fc.asyncProperty(fc.nat(length - 1), fc.nat(127), async (at, bit) => {
        const spoiled = Buffer.from(plain)
        const block = at - (at % 16)
        randomBytes(16).copy(spoiled, block)
        const next = block + 16 + (bit >> 3)
        spoiled[next] = (spoiled[next] ?? 0) ^ (1 << (bit & 7))
        // Of the last block one byte may be in the file: the noise may be what was there.
        fc.pre(!spoiled.subarray(0, length).equals(plain.subarray(0, length)))
        await expect(read(await encrypted(spoiled.subarray(0, length)))).rejects.toMatchObject({
          code: expect.stringMatching(/^(damaged|secret-wrong|unsupported)$/),
        })
      }),
      { numRuns: 300 },
    )
  })

  test('nor can two files be put together', async () => {
    const [one, other] = await Promise.all([sampleKey('ed25519', 'same'), sampleKey('ed25519', 'same')])
    const mine = bodyOf(await pkcs8.write(one))
    bodyOf(await pkcs8.write(other)).copy(mine, 16, 16, 48)
    await expect(pkcs8.read(writePem('PRIVATE KEY', mine))).rejects.toMatchObject({ code: 'damaged' })
  })
})

describe('attributes', () => {
  test('any comment comes back', async () => {
    const key = keyOf('ed25519')
    const text = fc.string({ unit: 'binary', maxLength: 40 }).filter(text => isFit(text))
    await fc.assert(
      fc.asyncProperty(text, async comment => {
        expect((await pkcs8.read(await pkcs8.write(key.withComment(comment)))).comment).toBe(comment)
        expect((await read(await pkcs8.write(key.withComment(comment), cheap))).comment).toBe(comment)
      }),
    )
  })
})

test('the time to read grows with the size, no faster', async () => {
  const time = async (size: number) => {
    const bytes = Buffer.concat([Buffer.alloc(size, 'explain\n'), await pkcs8.write(keyOf('ed25519'))])
    const many = writePem('PRIVATE KEY', Buffer.alloc(size))
    return effortOf(async () => {
      await pkcs8.read(bytes)
      await pkcs8.read(many).catch(() => undefined)
    })
  }
  await time(100_000)
  const [small, large] = [await time(400_000), await time(3_200_000)]
  expect(large).toBeLessThan(40 * small + 200)
})

/** What a plain file holds. */
function bodyOf(bytes: Buffer): Buffer {
  return readPem(bytes, ['PRIVATE KEY'])[0]?.body ?? Buffer.alloc(0)
}

/** Any bytes as if they were a key. */
async function encrypted(plain: Buffer): Promise<Buffer> {
  const { identifier, sealed } = await sealPbes2(plain, passphrase, { rounds: 1 })
  return writePem('ENCRYPTED PRIVATE KEY', sequence(identifier, octetString(sealed)))
}

function isFit(text: string): boolean {
  try {
    checkComment(text)
    return true
  } catch {
    return false
  }
}
