import { createHmac, timingSafeEqual } from 'node:crypto'
import { KeytoolError } from '@keytool/keygen'
import type { Link } from './chain.js'
import { VERSION } from './entry.js'

/**
 * Where the ledger ends and begins, as the agent last sealed it.
 *
 * The seal is an HMAC-SHA256 with a random key that lies beside it, 0600. It tells edits that were made without that key:
 * by hand, by another tool, by a disk. It can't hold off another program of the same user, which may read the key as the
 * agent does, and forge all of it, or put back an older head together with the older files. Therefore the running agent
 * holds the head in memory, too, and `verifyLedger` compares with that where it is handed in.
 */
export interface Head extends Link {
  /** The first line that is kept; older ones went with their files. `count` + 1 while there is none. */
  readonly first: number
  /** The hash of the line before that one. */
  readonly prev: string
  /** The last line that is known to be on the disk, rather than on its way: what a power cut can't take. */
  readonly synced: number
}

export const KEY_SIZE = 32

/**
 * The head as a record of a fixed size, so that it can be written over itself in one write that lies in one sector of a
 * disk: it is the old or the new one, whatever happens.
 */
export function sealHead({ count, hash, first, prev, synced }: Head, key: Buffer): Buffer {
  const facts =
    `{"version":${VERSION},"count":"${fixed(count)}","hash":"${hash}",` +
    `"first":"${fixed(first)}","prev":"${prev}","synced":"${fixed(synced)}"`
  const seal = createHmac('sha256', key).update(facts).digest('hex')
  return Buffer.from(`${facts},"seal":"${seal}"}\n`, 'latin1')
}

const RECORD =
  /^\{"version":1,"count":"(\d{15})","hash":"([0-9a-f]{64})","first":"(\d{15})","prev":"([0-9a-f]{64})","synced":"(\d{15})","seal":"[0-9a-f]{64}"\}\n$/

/** Larger than any head. In bytes. */
export const MAX_HEAD = 4096

/**
 * @returns the head, or undefined when it is damaged or the seal does not fit
 * @throws KeytoolError `unsupported` for a newer version
 */
export function openHead(bytes: Buffer, key: Buffer): Head | undefined {
  const text = bytes.toString('latin1')
  checkVersion(Number(/^\{"version":(\d{1,9}),/.exec(text)?.[1]))
  const [, count, hash, first, prev, synced] = RECORD.exec(text) ?? []
  if (hash === undefined || prev === undefined || key.length !== KEY_SIZE) return undefined
  const head = { count: Number(count), hash, first: Number(first), prev, synced: Number(synced) }
  const right = sealHead(head, key)
  return right.length === bytes.length && timingSafeEqual(right, bytes) ? head : undefined
}

/** What a newer version wrote is neither judged nor written on. Throws `unsupported`. */
export function checkVersion(version: number | undefined): void {
  if (version === undefined || !(version > VERSION)) return
  throw new KeytoolError('unsupported', `the ledger has version ${version}, and this program knows ${VERSION}`, {
    reason: 'a newer keytool wrote it; nothing was changed',
    hint: 'update keytool, or move the ledger away',
  })
}

function fixed(number: number): string {
  return String(number).padStart(15, '0')
}
