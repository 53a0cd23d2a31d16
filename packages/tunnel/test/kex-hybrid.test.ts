import * as crypto from 'node:crypto'
import { generateKeyPairSync } from 'node:crypto'
import { ml_kem768 } from '@noble/post-quantum/ml-kem.js'
import { makeHybrid } from '../src/connection/kex/hybrid.js'
import { loadMlKem, type MakeMlKemPair, MLKEM768, nobleMlKem, nodeMlKem } from '../src/connection/kex/mlkem.js'

type NodeMlKem = Parameters<typeof nodeMlKem>[0]
const node = nodeMlKem(crypto as unknown as NodeMlKem)

const makers: readonly (readonly [string, () => Promise<MakeMlKemPair>])[] = [
  ['the library', nobleMlKem],
  ...(node ? [['node itself', async () => node] as const] : []),
  ['what is chosen', loadMlKem],
]

test.each(makers)('%s: both sides come to the same secret', async (_what, load) => {
  const pair = (await load())()
  expect(pair.publicKey).toHaveLength(MLKEM768.publicKey)
  const { cipherText, sharedSecret } = ml_kem768.encapsulate(pair.publicKey)
  expect(pair.decapsulate(Buffer.from(cipherText))).toEqual(Buffer.from(sharedSecret))
})

test('the first half is ML-KEM’s, the second X25519’s', async () => {
  const hybrid = makeHybrid(await nobleMlKem())
  expect(hybrid.publicKey).toHaveLength(1184 + 32)
  expect(makeHybrid(await nobleMlKem()).publicKey.equals(hybrid.publicKey)).toBe(false)
})

test.each<[string, NodeMlKem]>([
  ['that has no function for it', { generateKeyPairSync: () => generateKeyPairSync('x25519') }],
  [
    'whose OpenSSL has none',
    {
      decapsulate: () => Buffer.alloc(32),
      generateKeyPairSync: () => {
        throw new Error('unknown')
      },
    },
  ],
])('a node %s is not used', (_what, functions) => {
  expect(nodeMlKem(functions)).toBeUndefined()
})

test('points that make the secret a known one are refused', async () => {
  const makePair = await nobleMlKem()
  // RFC 7748 section 6.1; the points of small order, as little-endian numbers.
  const points = [
    '00'.repeat(32),
    `01${'00'.repeat(31)}`,
    'e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800',
    '5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157',
    `ec${'ff'.repeat(30)}7f`,
  ]
  for (const point of points) {
    const hybrid = makeHybrid(makePair)
    const { cipherText } = ml_kem768.encapsulate(hybrid.publicKey.subarray(0, 1184))
    const reply = Buffer.concat([cipherText, Buffer.from(point, 'hex')])
    expect(() => hybrid.computeSecret(reply)).toThrow("the server's key for the key exchange is none")
  }
})
