import { type AuthorizedKeyLine, isKeytoolError, PublicKey } from '@keytool/keygen'

/** Types whose keys are numbers. A blob begins with its type (RFC 4253 section 6.6). */
const NUMBERS: readonly Buffer[] = ['ssh-rsa', 'ssh-dss'].map(name => Buffer.from(`\0\0\0\x07${name}`))

/**
 * Whether sshd takes a line's blob for this key: it reads numbers with any zeros in front of them (`sshbuf_get_bignum2`), so
 * that one key has many spellings.
 * @param blob foreign
 */
export function isSameKey(blob: Buffer, key: PublicKey): boolean {
  return blob.equals(key.blob) || respell(blob)?.equals(key.blob) === true
}

/** The line with the key that sshd finds in it, where only needless zeros keep it from being read. */
export function withSpelledKey(line: AuthorizedKeyLine): AuthorizedKeyLine {
  const { error, ...others } = line
  const blob = error && line.blob && respell(line.blob)
  if (!blob) return line
  try {
    return { ...others, blob, key: PublicKey.fromBlob(blob, line.comment) }
  } catch (trouble) {
    if (!isKeytoolError(trouble)) throw trouble
    return line
  }
}

/** The blob with its numbers as they should be (RFC 4251 section 5); `undefined` where they are, or it is no such blob. */
function respell(blob: Buffer): Buffer | undefined {
  if (!NUMBERS.some(name => blob.subarray(0, name.length).equals(name))) return undefined
  const parts: Buffer[] = []
  let isSpelled = true
  for (let at = 0; at < blob.length; ) {
    const length = blob.length - at < 4 ? Number.POSITIVE_INFINITY : blob.readUInt32BE(at)
    if (length > blob.length - at - 4) return undefined
    const field = blob.subarray(at + 4, at + 4 + length)
    const first = field.findIndex(byte => byte !== 0)
    const bare = field.subarray(first < 0 ? length : first)
    const sign = (bare[0] ?? 0) >= 0x80 && first > 0 ? Buffer.of(0) : Buffer.alloc(0)
    const size = Buffer.alloc(4)
    size.writeUInt32BE(sign.length + bare.length)
    isSpelled &&= sign.length + bare.length === length
    parts.push(size, sign, bare)
    at += 4 + length
  }
  return isSpelled ? undefined : Buffer.concat(parts)
}
