import { Reader, Writer } from '@keytool/keygen'
import { MAX_MESSAGE } from './frame.js'
import type { Row } from './messages.js'

/** A whole frame: length, number, fields. The buffer is fresh and the caller's own. */
export function encodeMessage<T>(row: Row<T>, value: T): Buffer {
  const writer = new Writer().uint32(0).byte(row.number)
  row.fields.write(writer, value)
  const frame = writer.done()
  frame.writeUInt32BE(frame.length - 4, 0)
  return frame
}

/**
 * The fields of a message whose number is known to be the row's. Buffers in the result are views of `body`.
 * @param body a frame without its length
 * @throws KeytoolError `damaged` when the fields do not fill the body exactly; `unsupported` for an unknown key type
 */
export function decodeMessage<T>(row: Row<T>, body: Buffer): T {
  const reader = new Reader(body)
  reader.byte()
  const value = row.fields.read(reader)
  reader.end()
  return value
}

/** True when the other end may close the connection over a frame of this size. */
export function isTooLong(frame: Buffer): boolean {
  return frame.length - 4 > MAX_MESSAGE
}
