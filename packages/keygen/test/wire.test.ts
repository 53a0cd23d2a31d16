import fc from 'fast-check'
import { blob, bool, byte, list, mpint, struct, text, u32, u64 } from '../src/fields.js'
import { bitLength, Reader, stripZeros, Writer } from '../src/wire.js'

const everything = struct({ byte, bool, u32, u64, blob, text, mpint, list: list(blob, 100) })

const values = fc.record({
  byte: fc.integer({ min: 0, max: 255 }),
  bool: fc.boolean(),
  u32: fc.integer({ min: 0, max: 0xffffffff }),
  u64: fc.bigInt({ min: 0n, max: 0xffffffffffffffffn }),
  blob: fc.uint8Array({ maxLength: 80 }).map(bytes => Buffer.from(bytes)),
  text: fc.string({ unit: 'grapheme', maxLength: 40 }),
  mpint: fc.uint8Array({ maxLength: 40 }).map(bytes => stripZeros(Buffer.from(bytes))),
  list: fc.array(
    fc.uint8Array({ maxLength: 9 }).map(bytes => Buffer.from(bytes)),
    { maxLength: 9 },
  ),
})

function encode(value: Parameters<typeof everything.write>[1]): Buffer {
  const writer = new Writer()
  everything.write(writer, value)
  return writer.done()
}

describe('the wire', () => {
  test('what is written is read back, to the last byte', () => {
    fc.assert(
      fc.property(values, value => {
        const reader = new Reader(encode(value))
        expect(everything.read(reader)).toEqual(value)
        reader.end()
      }),
    )
  })

  test('cut anywhere, it is damaged, and the offset lies within', () => {
    fc.assert(
      fc.property(values, fc.nat(), (value, at) => {
        const whole = encode(value)
        const cut = whole.subarray(0, at % whole.length)
        expect(() => everything.read(new Reader(cut))).toThrow(expect.objectContaining({ code: 'damaged' }))
        try {
          everything.read(new Reader(cut))
        } catch (error) {
          const { offset } = error as { offset: number }
          expect(offset).toBeGreaterThanOrEqual(0)
          expect(offset).toBeLessThanOrEqual(cut.length)
        }
      }),
    )
  })

  test('any bytes are read or refused, never anything else', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), bytes => {
        try {
          everything.read(new Reader(bytes))
        } catch (error) {
          expect(error).toMatchObject({ name: 'KeytoolError', code: 'damaged' })
        }
      }),
    )
  })

  test.each([
    ['a string longer than what follows', () => new Reader(Buffer.from('00000005aabb', 'hex')).string()],
    ['a string longer than its cap', () => new Reader(Buffer.from('00000002aabb', 'hex')).string(1)],
    ['a text that is not UTF-8', () => new Reader(Buffer.from('00000002c328', 'hex')).text()],
    ['a negative mpint', () => new Reader(Buffer.from('0000000180', 'hex')).mpint()],
    ['an mpint with needless zeros', () => new Reader(Buffer.from('000000020001', 'hex')).mpint()],
    ['an mpint that writes zero as a byte', () => new Reader(Buffer.from('0000000100', 'hex')).mpint()],
    ['bytes after the end', () => new Reader(Buffer.of(1)).end()],
    ['a count beyond what is left', () => list(byte, 1000).read(new Reader(Buffer.from('000000ff00', 'hex')))],
  ])('%s is damaged', (_name, read) => {
    expect(read).toThrow(expect.objectContaining({ code: 'damaged', offset: expect.any(Number) }))
  })

  test('a nested reader tells offsets of the whole', () => {
    const reader = new Reader(Buffer.from('ff00000003000000', 'hex'))
    reader.byte()
    const inner = reader.nested()
    expect(inner.offset).toBe(5)
    expect(() => inner.uint32()).toThrow(expect.objectContaining({ offset: 5 }))
  })

  test.each([
    ['', 0],
    ['00', 0],
    ['01', 1],
    ['0080', 8],
    ['0100', 9],
  ])('%s has %i bits', (hex, bits) => {
    expect(bitLength(Buffer.from(hex, 'hex'))).toBe(bits)
  })
})
