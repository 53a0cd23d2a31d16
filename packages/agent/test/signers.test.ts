import { PublicKey, Reader, type Signature } from '@keytool/keygen'
import type { Identity } from '../src/agent.js'
import { signerOf } from '../src/client/signers.js'
import { messages } from './certificate-messages.js'

/** The certificate of a recorded message: what stands behind its number and the type's name. */
function certificateIn(body: Buffer): Buffer {
  const reader = new Reader(body)
  reader.byte()
  reader.text()
  return reader.string()
}

/** Who signs for this identity, and what the agent is then asked. */
function signer(identity: Identity) {
  const asked: { blob: Buffer; flags: number }[] = []
  const made = signerOf(identity, async (blob, _data, flags) => {
    asked.push({ blob, flags })
    return { scheme: 'test', blob: Buffer.alloc(0) } satisfies Signature
  })
  if (!made) throw new Error('nobody signs for it')
  return { made, asked }
}

test.each(messages)(
  '$type: a certificate is held by a signer for its key, and named when it signs',
  async ({ body }) => {
    const blob = certificateIn(body)
    const certificate = PublicKey.fromBlob(blob)
    const { made, asked } = signer({ blob, comment: 'hana' })
    expect(made.publicKey.equals(certificate.plain)).toBe(true)
    expect(made.publicKey.comment).toBe('hana')
    expect(made.certificate?.equals(certificate)).toBe(true)
    await made.sign(Buffer.of(1), { hash: 'sha256' })
    expect(asked).toEqual([{ blob, flags: certificate.plain.algorithm.type === 'rsa' ? 2 : 0 }])
  },
)

test.each(messages)('$type: a plain key has none', async ({ body }) => {
  const { blob } = PublicKey.fromBlob(certificateIn(body)).plain
  const { made, asked } = signer({ blob, comment: '' })
  expect(made.certificate).toBeUndefined()
  await made.sign(Buffer.of(1))
  expect(asked[0]?.blob).toEqual(blob)
})

test('what is no key signs nothing', () => {
  expect(signerOf({ blob: Buffer.from('rubbish'), comment: '' }, () => Promise.reject(new Error()))).toBeUndefined()
})
