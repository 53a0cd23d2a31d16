import { type DerReader, tags } from '../../der-reader.js'
import { plainComment } from './comment.js'

/** commonName, RFC 5280 appendix A.1: its encoded content in hex. */
const COMMON_NAME = '550403'
/** A name longer than this is cut. X.509 allows 64 characters (RFC 5280 appendix A.1). */
const MAX_NAME = 256

/** How the kinds of DirectoryString are encoded (RFC 5280 section 4.1.2.4). T61String is Latin-1 wherever it is met. */
const encodings: ReadonlyMap<number, string> = new Map([
  [tags.utf8String, 'utf-8'],
  [0x13, 'latin1'],
  [0x14, 'latin1'],
  [tags.bmpString, 'utf-16be'],
])

/**
 * The common name in a Name, RFC 5280 section 4.1.2.4, as a comment: the first where there are several. Empty where there
 * is none, or one that can't be read: it is a label. Throws `damaged` for what is no Name.
 */
export function readCommonName(name: DerReader): string {
  let found: string | undefined
  while (name.left > 0) {
    const set = name.nested(tags.set)
    while (set.left > 0) {
      const attribute = set.sequence()
      const id = attribute.oid()
      const tag = attribute.peek() ?? 0
      const value = attribute.element(tag)
      attribute.end()
      if (id === COMMON_NAME) found ??= decode(tag, value)
    }
  }
  return plainComment((found ?? '').slice(0, MAX_NAME))
}

function decode(tag: number, value: Buffer): string {
  const encoding = encodings.get(tag)
  if (encoding === undefined) return ''
  try {
    return new TextDecoder(encoding, { fatal: true, ignoreBOM: true }).decode(value)
  } catch {
    return ''
  }
}
