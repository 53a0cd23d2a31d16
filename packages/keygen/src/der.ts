/**
 * Writes the few DER types (X.690) that keys are made of: for node:crypto, and for files. Buffers rather than JWK text,
 * because what is in a buffer can be wiped afterwards.
 */

/** INTEGER from an unsigned big-endian number. */
export function integer(value: Uint8Array): Buffer {
  const needsZero = value.length === 0 || (value[0] ?? 0) >= 0x80
  return element(0x02, needsZero ? [Buffer.of(0), value] : [value])
}

/** INTEGER from a number of 0 to 2^48 - 1. */
export function count(value: number): Buffer {
  const bytes = Buffer.alloc(6)
  bytes.writeUIntBE(value, 0, 6)
  const first = bytes.findIndex(byte => byte !== 0)
  return integer(first < 0 ? bytes.subarray(5) : bytes.subarray(first))
}

export function octetString(value: Uint8Array): Buffer {
  return element(0x04, [value])
}

export function bitString(value: Uint8Array): Buffer {
  return element(0x03, [Buffer.of(0), value])
}

/** NULL. */
export function nothing(): Buffer {
  return element(0x05, [])
}

/** OBJECT IDENTIFIER from its encoded content in hex. */
export function oid(hex: string): Buffer {
  return element(0x06, [Buffer.from(hex, 'hex')])
}

/** BMPString from UTF-16, big-endian. */
export function bmpString(value: Uint8Array): Buffer {
  return element(0x1e, [value])
}

export function sequence(...items: Uint8Array[]): Buffer {
  return element(0x30, items)
}

/** A {@link sequence} of copies that hold a secret: they are wiped once they are in it. */
export function secretSequence(...items: Uint8Array[]): Buffer {
  try {
    return sequence(...items)
  } finally {
    for (const item of items) item.fill(0)
  }
}

/** SET OF: in the order of their encodings (X.690 section 11.6). */
export function setOf(...items: Uint8Array[]): Buffer {
  return element(0x31, items.toSorted(Buffer.compare))
}

/** `[number] IMPLICIT SET OF`. */
export function taggedSetOf(number: number, ...items: Uint8Array[]): Buffer {
  return element(0xa0 + number, items.toSorted(Buffer.compare))
}

/** `[number] EXPLICIT`. */
export function tagged(number: number, item: Uint8Array): Buffer {
  return element(0xa0 + number, [item])
}

function element(tag: number, content: readonly Uint8Array[]): Buffer {
  const length = content.reduce((sum, part) => sum + part.length, 0)
  const head = length < 0x80 ? [tag, length] : [tag, 0x80 + bytesOf(length).length, ...bytesOf(length)]
  return Buffer.concat([Buffer.from(head), ...content])
}

function bytesOf(length: number): number[] {
  return length < 0x100 ? [length] : [...bytesOf(length >>> 8), length & 0xff]
}
