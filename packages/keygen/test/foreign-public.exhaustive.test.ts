import fc from 'fast-check'
import { dnskey } from '../src/formats/foreign/dnskey.js'
import { x509 } from '../src/formats/foreign/x509.js'
import { spki } from '../src/formats/pem/spki.js'
import type { PublicKey } from '../src/key.js'
import { P256, P256_LINE } from './x509-samples.js'

function lineOf({ algorithm, blob }: PublicKey): string {
  return `${algorithm.name} ${blob.toString('base64')}`
}

function derOf(pem: string): Buffer {
  return Buffer.from(pem.replace(/^-.*$/gm, ''), 'base64')
}

describe('X.509', () => {
  test('cut anywhere, it is damaged', async () => {
    for (const bytes of [Buffer.from(P256), derOf(P256)]) {
      // The last newline carries nothing; below these lengths it claims nothing yet.
      for (let cut = 60; cut < bytes.length - 1; cut++) {
        await expect(x509.read(bytes.subarray(0, cut))).rejects.toMatchObject({ code: 'damaged' })
      }
    }
  })

  test('any bit turned: refused, or the same key; within the key always refused', async () => {
    const bytes = derOf(P256)
    const [own] = await x509.read(bytes)
    const info = own ? derOf(spki.write(own).toString()) : Buffer.alloc(0)
    const from = bytes.indexOf(info)
    expect(from).toBeGreaterThan(100)
    let refused = 0
    for (let at = 0; at < bytes.length; at++) {
      for (let bit = 0; bit < 8; bit++) {
        const flipped = Buffer.from(bytes)
        flipped[at] = (flipped[at] ?? 0) ^ (1 << bit)
        const [key] = await x509.read(flipped).catch(error => {
          expect(error).toMatchObject({ name: 'KeytoolError', code: expect.stringMatching(/^(damaged|unsupported)$/) })
          if (at >= from && at < from + info.length) refused++
          return []
        })
        // The point is checked to be on its curve: no turned bit of it gives another key.
        if (key) expect(lineOf(key)).toBe(P256_LINE)
      }
    }
    expect(refused).toBe(8 * info.length)
  }, 240_000)
})

describe('DNSKEY', () => {
  test('any data at all', async () => {
    const algorithm = fc.constantFrom(5, 8, 13, 14, 15, 16)
    await fc.assert(
      fc.asyncProperty(algorithm, fc.uint8Array({ maxLength: 200 }), async (number, data) => {
        const text = `a. IN DNSKEY 256 3 ${number} ${Buffer.from(data).toString('base64')}`
        const [key] = await dnskey.read(Buffer.from(text)).catch(error => {
          expect(error).toMatchObject({ name: 'KeytoolError' })
          return []
        })
        if (key) expect(key.comment).toBe('a.')
      }),
      { numRuns: 500 },
    )
  })
})
