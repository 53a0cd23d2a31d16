import {
  FOREVER,
  generate,
  PrivateKey,
  PublicKey,
  publicAlgorithmNamed,
  readCertificate,
  Writer,
} from '@keytool/keygen'
import { decodeMessage, encodeMessage, requests } from '../src/index.js'
import { messages } from './certificate-messages.js'

function bodyOf(type: string): Buffer {
  const found = messages.find(message => message.type === type)
  if (!found) throw new Error(`nothing recorded of ${type}`)
  return found.body
}

describe.each(messages)('$type', ({ type, body }) => {
  const read = () => decodeMessage(requests.add, body)

  test('the certificate, and a key that it is of', async () => {
    const { key, comment } = read()
    expect(key.algorithm.type).toBe(type)
    expect(key.certificate?.algorithm.certifies).toBe(key.algorithm)
    if (!key.certificate) throw new Error('no certificate')
    expect(readCertificate(key.certificate)).toMatchObject({ kind: 'user', principals: ['hana'], validBefore: FOREVER })
    const opened = (await PrivateKey.fromParts(key.algorithm, key.parts, comment)).withCertificate(key.certificate)
    const signature = await opened.sign(Buffer.from('data'))
    expect(await key.certificate.verify(Buffer.from('data'), signature)).toBe(true)
    // Nothing of the certificate but the key itself has become a part of the key.
    expect(Object.keys(key.parts)).not.toContain('nonce')
  })

  test('written again it is the same', () => {
    expect(encodeMessage(requests.add, read()).subarray(4)).toEqual(body)
    const constrained = { ...read(), constraints: { lifetime: 9 } }
    const written = encodeMessage(requests.addConstrained, constrained).subarray(4)
    expect(decodeMessage(requests.addConstrained, written)).toEqual(constrained)
  })

  test('the private parts of another key: refused, at the latest when the key is made', async () => {
    const { key, comment } = read()
    const other = type === 'dsa' ? undefined : await generate(type, type === 'rsa' ? { bits: 2048 } : {})
    const { algorithm, certificate } = key
    if (!certificate) throw new Error('no certificate')
    // DSA keys are not made any more: the certificate's y is left, x is another.
    const parts = other?.parts ?? { ...key.parts, x: Buffer.of(7) }
    const message = encodeMessage(requests.add, { key: { algorithm, parts, certificate }, comment }).subarray(4)
    const open = async () => {
      const { key } = decodeMessage(requests.add, message)
      await PrivateKey.fromParts(key.algorithm, key.parts)
    }
    await expect(open()).rejects.toMatchObject({ name: 'KeytoolError', code: 'damaged' })
  })
})

/** An ADD_IDENTITY with these bytes where the certificate should be, and Ed25519's private parts behind them. */
function addition(name: string, certificate: Uint8Array): Buffer {
  const { key } = decodeMessage(requests.add, bodyOf('ed25519'))
  const writer = new Writer().byte(requests.add.number).text(name).string(certificate)
  key.algorithm.privateFields.write(writer, key.parts)
  return writer.text('comment').done()
}

const ED25519 = 'ssh-ed25519-cert-v01@openssh.com'

test('the name of one type, the certificate of another', () => {
  const { key } = decodeMessage(requests.add, bodyOf('ecdsa-256'))
  const other = key.certificate?.blob ?? Buffer.alloc(0)
  expect(() => decodeMessage(requests.add, addition(ED25519, other))).toThrow(/another type/)
})

test('a plain key in the place of its certificate', () => {
  const { key } = decodeMessage(requests.add, bodyOf('ed25519'))
  const plain = PublicKey.fromParts(key.algorithm, key.parts).blob
  expect(() => decodeMessage(requests.add, addition(ED25519, plain))).toThrow(/another type/)
})

test('a byte behind the certificate, within its string', () => {
  const { key } = decodeMessage(requests.add, bodyOf('ed25519'))
  const long = Buffer.concat([key.certificate?.blob ?? Buffer.alloc(0), Buffer.of(0)])
  expect(() => decodeMessage(requests.add, addition(ED25519, long))).toThrow(
    expect.objectContaining({ code: 'damaged' }),
  )
})

test.each(['sk-ssh-ed25519-cert-v01@openssh.com', 'sk-ecdsa-sha2-nistp256-cert-v01@openssh.com'])(
  '%s: unsupported, as is every key in a token',
  name => {
    expect(() => decodeMessage(requests.add, addition(name, Buffer.alloc(0)))).toThrow(
      expect.objectContaining({ code: 'unsupported' }),
    )
  },
)

test('types of which no tool here makes certificates, and host certificates, travel just so', async () => {
  const { key: recorded } = decodeMessage(requests.add, bodyOf('ed25519'))
  const claims = recorded.certificate?.parts ?? {}
  for (const [type, kind] of [
    ['ed448', 1],
    ['ed25519', 2],
  ] as const) {
    const { algorithm, parts, publicKey } = await generate(type)
    const row = publicAlgorithmNamed(`${algorithm.name}-cert-v01@openssh.com`)
    const certificate = PublicKey.fromParts(row, { ...claims, ...publicKey.parts, kind: Buffer.of(0, 0, 0, kind) })
    const value = { key: { algorithm, parts, certificate }, comment: '' }
    const back = decodeMessage(requests.add, encodeMessage(requests.add, value).subarray(4))
    expect(back.key.certificate?.blob).toEqual(certificate.blob)
    expect(back.key.parts).toEqual(parts)
  }
})
