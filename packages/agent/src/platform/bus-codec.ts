/** A message of a bus: the D-Bus specification, "Message Protocol". Fields that are not set are absent. */
export interface BusMessage {
  readonly type: number
  readonly path?: string
  readonly interface?: string
  readonly member?: string
  readonly errorName?: string
  readonly replySerial?: number
  /** The unique name of who sent it, as the bus itself says. */
  readonly sender?: string
  readonly signature?: string
  /** By the signature: a struct or an array is an array, a variant is `[its type, [value]]`. */
  readonly body: readonly unknown[]
}

/** Bytes of a message that say how long it is. */
export const HEADER = 16

/** The whole of a message, by its header: byte order, 3 bytes, length of the body, serial, length of the fields. */
export function sizeOf(header: Buffer): number {
  const isLittle = header[0] === 0x6c
  const read = (at: number) => (isLittle ? header.readUInt32LE(at) : header.readUInt32BE(at))
  return HEADER + 8 * Math.ceil(read(12) / 8) + read(4)
}

/** Messages as bytes and back. */
export interface BusCodec {
  marshall(message: object): Buffer
  unmarshall(frame: Buffer): BusMessage
}

interface BodyReader {
  read(signature: string): unknown[]
  align(power: number): void
}

/**
 * Only what turns messages into bytes and back is the library's. Its own connection lets a message that can't be read throw
 * out of the socket's event, which ends the process, takes messages of any size, and does not say whom a signal is from.
 */
export async function loadBusCodec(): Promise<BusCodec> {
  const [{ default: message }, { default: DBusBuffer }] = await Promise.all([
    // @ts-expect-error: it comes without types
    import('@homebridge/dbus-native/lib/message.js') as Promise<{ default: Pick<BusCodec, 'marshall'> }>,
    // @ts-expect-error: it comes without types
    import('@homebridge/dbus-native/lib/dbus-buffer.js') as Promise<{
      default: new (bytes: Buffer, start: number, options: object) => BodyReader
    }>,
  ])
  return {
    marshall: message.marshall,
    unmarshall: frame => readMessage(new DBusBuffer(frame, 0, { littleEndian: frame[0] === 0x6c })),
  }
}

/** The fields of a header, by their numbers. */
const fieldNames = [
  undefined,
  'path',
  'interface',
  'member',
  'errorName',
  'replySerial',
  'destination',
  'sender',
  'signature',
] as const

function readMessage(reader: BodyReader): BusMessage {
  const header = reader.read('yyyyuua(yv)')
  const fields: Record<string, unknown> = {}
  for (const [number, [, [value]]] of header[6] as [number, [unknown, unknown[]]][]) {
    const name = fieldNames[number]
    if (name) fields[name] = value
  }
  reader.align(3)
  const { signature } = fields
  const body = typeof signature === 'string' ? reader.read(signature) : []
  return { ...fields, type: header[1] as number, body }
}
