import { jest } from '@jest/globals'
import { pkcs8 } from '../packages/keygen/src/formats/pkcs8/pkcs8.js'
import type { PrivateKey } from '../packages/keygen/src/key.js'
import { flipEveryBit } from '../packages/keygen/test/pem-flips.js'
import { sampleSet } from '../packages/keygen/test/sample-keys.js'

// Every bit of whole PKCS#8 files turned: too long for the tests that run before each commit.

jest.setTimeout(120_000)

const types = ['ed25519', 'ed448', 'ecdsa-256', 'ecdsa-384', 'ecdsa-521', 'rsa', 'dsa']
const passphrase = Buffer.from('pässwörd 密')
/** The format is tested here, not the price. */
const cheap = { passphrase, rounds: 1 }

let keyOf: (type: string) => PrivateKey
beforeAll(async () => {
  keyOf = await sampleSet(types, 'hana@läptop 🔑')
})

const read = (bytes: Buffer) => pkcs8.read(bytes, { passphrase })

test.each(types)('%s: any bit turned in an encrypted file is seen', async type => {
  const bytes = await pkcs8.write(keyOf(type), cheap)
  expect(await flipEveryBit(bytes, read)).toEqual([])
})

describe.each(['ed25519', 'ed448', 'ecdsa-256', 'ecdsa-384'])('%s, more bits turned', type => {
  test('of an encrypted file without a comment', async () => {
    const bytes = await pkcs8.write(keyOf(type).withComment(''), { ...cheap, cipher: '3des-cbc' })
    expect(await flipEveryBit(bytes, read)).toEqual([])
  })

  test('in the clear: none makes another key', async () => {
    // What is no attribute that is known says nothing, in the clear; the key is the same then.
    const sameKey = (back: PrivateKey) => back.publicKey.equals(keyOf(type).publicKey)
    expect(await flipEveryBit(await pkcs8.write(keyOf(type)), read, sameKey)).toEqual([])
  })
})
