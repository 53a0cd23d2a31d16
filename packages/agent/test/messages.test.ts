import { algorithms, generate, KeytoolError, type PrivateKey } from '@keytool/keygen'
import fc from 'fast-check'
import {
  decodeMessage,
  encodeMessage,
  flagsOf,
  hashOfFlags,
  type ReplyName,
  type RequestName,
  type Row,
  replies,
  requests,
} from '../src/index.js'
import { frame, string, u32 } from './support.js'

const key = { algorithm: algorithms[0], parts: {} as PrivateKey['parts'] }
let keys: readonly PrivateKey[] = []

beforeAll(async () => {
  const types = ['ed25519', 'ecdsa-256', 'ecdsa-384', 'ecdsa-521', 'rsa']
  keys = await Promise.all(types.map(type => generate(type, type === 'rsa' ? { bits: 2048 } : {})))
  key.parts = keys[0]?.parts ?? {}
})

const bytes = Buffer.from('some bytes')

/** A value for every row, requests and replies. A row without one fails the test. */
const samples = (): Record<RequestName | ReplyName, unknown> => ({
  list: {},
  sign: { key: bytes, data: Buffer.alloc(0), flags: 0x80000004 },
  add: { key, comment: 'héllo' },
  addConstrained: { key, comment: '', constraints: { lifetime: 5, confirm: true } },
  remove: { key: bytes },
  removeAll: {},
  lock: { passphrase: bytes },
  unlock: { passphrase: bytes },
  addCard: { id: bytes, pin: bytes },
  addCardConstrained: { id: bytes, pin: bytes, constraints: Buffer.of(1, 0, 0, 0, 9) },
  removeCard: { id: bytes, pin: Buffer.alloc(0) },
  extension: { name: 'session-bind@openssh.com', body: bytes },
  oldList: { body: Buffer.alloc(0) },
  oldChallenge: { body: bytes },
  oldAdd: { body: bytes },
  oldAddConstrained: { body: bytes },
  oldRemove: { body: bytes },
  oldRemoveAll: { body: Buffer.alloc(0) },
  failure: {},
  success: {},
  identities: {
    identities: [
      { blob: bytes, comment: 'one' },
      { blob: Buffer.alloc(0), comment: '' },
    ],
  },
  signature: { signature: { scheme: 'ssh-ed25519', blob: bytes } },
  extensionFailure: {},
  extensionResponse: { name: 'query', body: bytes },
  oldIdentities: { body: bytes },
  oldResponse: { body: bytes },
})

const rows = Object.entries({ ...requests, ...replies }) as [RequestName | ReplyName, Row<unknown>][]

test('no number is used twice', () => {
  expect(new Set(rows.map(([, { number }]) => number)).size).toBe(rows.length)
})

test.each(rows)('%s: encoded, decoded and encoded again it is the same', (name, row) => {
  const value = samples()[name]
  const encoded = encodeMessage(row, value)
  expect(encoded.readUInt32BE(0)).toBe(encoded.length - 4)
  expect(encoded[4]).toBe(row.number)
  const decoded = decodeMessage(row, encoded.subarray(4))
  expect(decoded).toEqual(value)
  expect(encodeMessage(row, decoded)).toEqual(encoded)
})

test.each(rows)('%s: cut short or with a byte too many it is damaged, never anything else', (name, row) => {
  const body = encodeMessage(row, samples()[name]).subarray(4)
  const isOpen = 'body' in (samples()[name] as object) || 'constraints' in (samples()[name] as object)
  const wrong = Array.from({ length: body.length - 1 }, (_, i) => body.subarray(0, i + 1))
  // A sign request may end where its flags would begin.
  if (name === 'sign') wrong.splice(body.length - 4 - 1, 1)
  if (!isOpen) wrong.push(Buffer.concat([body, Buffer.of(0)]))
  for (const bytes of wrong) {
    try {
      decodeMessage(row, bytes)
      // Only what ends in bytes of any number may be whole when cut.
      expect(isOpen).toBe(true)
    } catch (error) {
      expect(error).toBeInstanceOf(KeytoolError)
    }
  }
})

test('a sign request without flags is one whose flags are 0', () => {
  const body = encodeMessage(requests.sign, { key: Buffer.from('K'), data: Buffer.from('D'), flags: 2 }).subarray(4, -4)
  expect(decodeMessage(requests.sign, body)).toEqual({ key: Buffer.from('K'), data: Buffer.from('D'), flags: 0 })
})

test('every key type travels whole', () => {
  for (const each of keys) {
    const value = { key: { algorithm: each.algorithm, parts: each.parts }, comment: each.comment }
    expect(decodeMessage(requests.add, encodeMessage(requests.add, value).subarray(4))).toEqual(value)
  }
})

test('any body is decoded, damaged or unsupported', () => {
  fc.assert(
    fc.property(fc.constantFrom(...rows), fc.uint8Array({ maxLength: 80 }), ([, row], body) => {
      try {
        decodeMessage(row, Buffer.concat([Buffer.of(row.number), body]))
      } catch (error) {
        expect(error).toMatchObject({ code: expect.stringMatching(/^(damaged|unsupported)$/) })
      }
    }),
    { numRuns: 2000 },
  )
})

test('known bytes: a sign request and a list', () => {
  const sign = encodeMessage(requests.sign, { key: Buffer.from('K'), data: Buffer.from('D'), flags: 2 })
  expect(sign.toString('hex')).toBe('0000000f0d000000014b000000014400000002')
  const list = encodeMessage(replies.identities, { identities: [{ blob: Buffer.from('K'), comment: 'c' }] })
  expect(list.toString('hex')).toBe('0000000f0c00000001000000014b0000000163')
})

test('a comment with a zero byte is damage; one that is not UTF-8 is shown as well as it can be', () => {
  const list = (comment: Buffer) => frame(12, u32(1), string('blob'), string(comment)).subarray(4)
  expect(() => decodeMessage(replies.identities, list(Buffer.from('a\0b')))).toThrow(/zero byte/)
  expect(decodeMessage(replies.identities, list(Buffer.of(0x61, 0xe9))).identities[0]?.comment).toBe('a\ufffd')
})

test('a list that claims more keys than there are bytes is damage', () => {
  expect(() => decodeMessage(replies.identities, frame(12, u32(0x7fffffff)).subarray(4))).toThrow(/elements/)
})

test('flags and hashes', () => {
  expect([0, 1, 2, 4, 6, 8].map(hashOfFlags)).toEqual(['sha1', 'sha1', 'sha256', 'sha512', 'sha256', 'sha1'])
  const rsa = keys.find(({ algorithm }) => algorithm.type === 'rsa')?.algorithm ?? algorithms[0]
  const [ed25519] = algorithms
  if (!rsa || !ed25519) throw new Error('no algorithms')
  expect([undefined, 'sha512', 'sha256', 'sha1'].map(hash => flagsOf(rsa, hash as 'sha1'))).toEqual([4, 4, 2, 0])
  expect(flagsOf(ed25519, 'sha512')).toBe(0)
})
