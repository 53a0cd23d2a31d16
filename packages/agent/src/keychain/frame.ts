import { KeytoolError } from '@keytool/keygen'

/** Longest passphrase that is kept, in bytes. */
export const MAX_PASSPHRASE: number = 64 * 1024
/** Longest index, as JSON in bytes. */
export const MAX_INDEX: number = 512 * 1024
/** What goes between agent and child in one direction, in bytes. */
export const MAX_FRAME: number = 1024 * 1024
const MAX_FIELDS = 8

/**
 * What agent and child send each other, one frame each way: a uint32 of the bytes that follow, then byte strings, a uint32
 * of its length before each. Passphrases travel as bytes, so that whoever holds the frame can wipe it.
 */
export function packFrame(fields: readonly Uint8Array[]): Buffer {
  const size = fields.reduce((sum, { length }) => sum + 4 + length, 0)
  const frame = Buffer.allocUnsafeSlow(4 + size)
  let at = frame.writeUInt32BE(size)
  for (const field of fields) {
    at = frame.writeUInt32BE(field.length, at)
    frame.set(field, at)
    at += field.length
  }
  return frame
}

/**
 * The fields of a frame, as views of it; `undefined` while bytes are missing.
 * @throws KeytoolError `damaged` for what is no frame, or has something behind it
 */
export function unpackFrame(bytes: Buffer): Buffer[] | undefined {
  if (bytes.length < 4) return undefined
  const size = bytes.readUInt32BE()
  if (size > MAX_FRAME) throw damaged('it is too long')
  if (bytes.length < 4 + size) return undefined
  if (bytes.length > 4 + size) throw damaged('something stands behind it')
  const fields: Buffer[] = []
  for (let at = 4; at < bytes.length; ) {
    if (at + 4 > bytes.length || fields.length === MAX_FIELDS) throw damaged('a field is cut short')
    const end = at + 4 + bytes.readUInt32BE(at)
    if (end > bytes.length) throw damaged('a field is cut short')
    fields.push(bytes.subarray(at + 4, end))
    at = end
  }
  return fields
}

/** Bytes as they come, to one piece. Every part is wiped. */
export class Gathering {
  #bytes: Buffer = Buffer.alloc(0)

  /** Throws as {@link unpackFrame}. */
  add(part: Buffer): Buffer[] | undefined {
    const bytes = Buffer.allocUnsafeSlow(this.#bytes.length + part.length)
    this.#bytes.copy(bytes)
    part.copy(bytes, this.#bytes.length)
    part.fill(0)
    this.wipe()
    this.#bytes = bytes
    return unpackFrame(bytes)
  }

  wipe(): void {
    this.#bytes.fill(0)
  }
}

function damaged(reason: string): KeytoolError {
  return new KeytoolError('damaged', 'what the keychain was asked or has answered is no message', { reason })
}
