import fc from 'fast-check'
import { FrameSplitter, MAX_MESSAGE } from '../src/index.js'
import { u32 } from './support.js'

const bodies = fc.array(fc.uint8Array({ minLength: 1, maxLength: 700 }), { minLength: 1, maxLength: 12 })

function split(splitter: FrameSplitter, chunk: Buffer): Buffer[] {
  const found: Buffer[] = []
  splitter.push(chunk)
  for (let body = splitter.next(); body; body = splitter.next()) found.push(body)
  return found
}

function cut(bytes: Buffer, sizes: readonly number[]): Buffer[] {
  const chunks: Buffer[] = []
  for (let at = 0, i = 0; at < bytes.length; i++) {
    const size = sizes[i % sizes.length] ?? 1
    chunks.push(bytes.subarray(at, at + size))
    at += size
  }
  return chunks
}

test('whatever the stream is cut into, the same messages come out', () => {
  fc.assert(
    fc.property(bodies, fc.array(fc.integer({ min: 1, max: 900 }), { minLength: 1, maxLength: 8 }), (each, sizes) => {
      const stream = Buffer.concat(each.map(body => Buffer.concat([u32(body.length), body])))
      const splitter = new FrameSplitter()
      const found = cut(stream, sizes).flatMap(chunk => split(splitter, chunk).map(body => Buffer.from(body)))
      expect(found).toEqual(each.map(body => Buffer.from(body)))
      expect(splitter.midway).toBe(false)
    }),
  )
})

test('the largest message passes, byte by byte, in linear time', () => {
  const body = Buffer.alloc(MAX_MESSAGE, 7)
  const stream = Buffer.concat([u32(body.length), body])
  const splitter = new FrameSplitter()
  const found: Buffer[] = []
  for (const byte of stream) found.push(...split(splitter, Buffer.of(byte)))
  expect(found).toHaveLength(1)
  expect(found[0]?.equals(body)).toBe(true)
})
