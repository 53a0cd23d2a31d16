/**
 * Writes the few DER types (X.690) that hand a key to node:crypto. Buffers rather than JWK text, because what is in a
 * buffer can be wiped afterwards.
 */

/** INTEGER from an unsigned big-endian number. */
export function integer(value: Uint8Array): Buffer {
  const needsZero = value.length === 0 || (value[0] ?? 0) >= 0x80
  return element(0x02, needsZero ? [Buffer.of(0), value] : [value])
}

export function octetString(value: Uint8Array): Buffer {
  return element(0x04, [value])
}

export function bitString(value: Uint8Array): Buffer {
  return element(0x03, [Buffer.of(0), value])
}

/** OBJECT IDENTIFIER from its encoded content in hex. */
export function oid(hex: string): Buffer {
  return element(0x06, [Buffer.from(hex, 'hex')])
}

export function sequence(...items: Uint8Array[]): Buffer {
  return element(0x30, items)
}

/** `[number] EXPLICIT`. */
export function tagged(number: number, item: Uint8Array): Buffer {
  return element(0xa0 + number, [item])
}

function element(tag: number, content: Uint8Array[]): Buffer {
  const length = content.reduce((sum, part) => sum + part.length, 0)
  const head = length < 0x80 ? [tag, length] : [tag, 0x80 + bytesOf(length).length, ...bytesOf(length)]
  return Buffer.concat([Buffer.from(head), ...content])
}

function bytesOf(length: number): number[] {
  return length < 0x100 ? [length] : [...bytesOf(length >>> 8), length & 0xff]
}
