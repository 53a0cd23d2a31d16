import fc from 'fast-check'
import { FrameSplitter, MAX_MESSAGE } from '../src/index.js'
import { frame, u32 } from './support.js'

function split(splitter: FrameSplitter, chunk: Buffer): Buffer[] {
  const found: Buffer[] = []
  splitter.push(chunk)
  for (let body = splitter.next(); body; body = splitter.next()) found.push(body)
  return found
}

test('no bytes at all make it throw anything but damage', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 10 }), chunks => {
      const splitter = new FrameSplitter()
      try {
        for (const chunk of chunks) split(splitter, Buffer.from(chunk))
      } catch (error) {
        expect(error).toMatchObject({ code: 'damaged' })
      }
    }),
  )
})

test.each([0, MAX_MESSAGE + 1, 0xffffffff])('a length of %d is damage, as soon as it is known', length => {
  const whole = new FrameSplitter()
  whole.push(u32(length))
  expect(() => whole.next()).toThrow(expect.objectContaining({ code: 'damaged' }))

  const inPieces = new FrameSplitter()
  expect(split(inPieces, u32(length).subarray(0, 3))).toEqual([])
  inPieces.push(u32(length).subarray(3))
  expect(() => inPieces.next()).toThrow(expect.objectContaining({ code: 'damaged' }))
})

test('what a peer claims allocates nothing; only what arrives is held', () => {
  const before = process.memoryUsage().arrayBuffers
  const splitters = Array.from({ length: 500 }, () => new FrameSplitter())
  for (const splitter of splitters) split(splitter, Buffer.concat([u32(MAX_MESSAGE), Buffer.of(11)]))
  // 500 claims of 256 KiB would be 125 MiB.
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(8 * 1024 * 1024)
  expect(splitters.every(({ midway }) => midway)).toBe(true)
})

test('what is copied is cleared where it lay', () => {
  const splitter = new FrameSplitter()
  const secret = frame(17, Buffer.from('secret'))
  const chunks = [secret.subarray(0, 7), secret.subarray(7)]
  const found = chunks.flatMap(chunk => split(splitter, chunk))
  expect(found[0]?.toString('latin1')).toBe('\x11secret')
  expect(secret.every(byte => byte === 0)).toBe(true)
})

test('cleared, it starts anew', () => {
  const splitter = new FrameSplitter()
  split(splitter, frame(17, Buffer.alloc(100)).subarray(0, 60))
  splitter.clear()
  expect(splitter.midway).toBe(false)
  expect(split(splitter, frame(11))).toEqual([Buffer.of(11)])
})

test('a chunk pushed too early is an error, not a loss', () => {
  const splitter = new FrameSplitter()
  splitter.push(frame(11))
  expect(() => splitter.push(frame(11))).toThrow(expect.objectContaining({ code: 'failed' }))
})
