const POLYNOMIAL = 0x04c11db7

const table: Uint32Array = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte << 24
  for (let bit = 0; bit < 8; bit++) value = value & 0x8000_0000 ? (value << 1) ^ POLYNOMIAL : value << 1
  return value >>> 0
})

/** What `cksum` of POSIX says of these bytes: its CRC, a blank, and how many they are. */
export function cksum(bytes: Uint8Array): string {
  let crc = 0
  const add = (byte: number) => {
    crc = ((crc << 8) ^ (table[((crc >>> 24) ^ byte) & 0xff] ?? 0)) >>> 0
  }
  for (const byte of bytes) add(byte)
  for (let rest = bytes.length; rest > 0; rest = Math.floor(rest / 256)) add(rest & 0xff)
  return `${~crc >>> 0} ${bytes.length}`
}
