import { type Field, KeytoolError } from '@keytool/keygen'

/** What a server says of a file, or is told to make of it; what is absent is not said, and stays as it is. */
export interface Attributes {
  /** In bytes. */
  readonly size?: bigint
  readonly uid?: number
  readonly gid?: number
  /** Type and mode, as in `st_mode`. */
  readonly permissions?: number
  /** Seconds since the epoch. */
  readonly accessed?: number
  readonly modified?: number
}

/** Which fields follow: draft-ietf-secsh-filexfer-02 section 5. */
const SIZE = 1
const OWNERS = 2
const PERMISSIONS = 4
const TIMES = 8
const EXTENDED = 0x80000000
const KNOWN = SIZE | OWNERS | PERMISSIONS | TIMES | EXTENDED
/** Far more than any server has of its own. */
const MAX_EXTENDED = 64

/** The type within `st_mode` (POSIX sys/stat.h). */
const TYPE = 0o170000
const types = { folder: 0o040000, file: 0o100000, link: 0o120000 } as const

/** Whether it is of that type; false also where the server says no type. */
export function isOfType({ permissions = 0 }: Attributes, type: keyof typeof types): boolean {
  return (permissions & TYPE) === types[type]
}

/** The twelve bits of its mode; `undefined` where the server says none. */
export function modeOf({ permissions }: Attributes): number | undefined {
  return permissions === undefined ? undefined : permissions & 0o7777
}

/** A mode as people write it: `0644`. */
export function showMode(mode: number): string {
  return mode.toString(8).padStart(4, '0')
}

export const attributes: Field<Attributes> = {
  read(r) {
    const flags = r.uint32()
    if ((flags & ~KNOWN) !== 0) throw new KeytoolError('damaged', 'attributes that protocol version 3 does not have')
    const size = flags & SIZE ? { size: r.uint64() } : {}
    const owners = flags & OWNERS ? { uid: r.uint32(), gid: r.uint32() } : {}
    const permissions = flags & PERMISSIONS ? { permissions: r.uint32() } : {}
    const times = flags & TIMES ? { accessed: r.uint32(), modified: r.uint32() } : {}
    if (flags & EXTENDED) {
      for (let left = r.count(MAX_EXTENDED); left > 0; left--) {
        r.string()
        r.string()
      }
    }
    return { ...size, ...owners, ...permissions, ...times }
  },
  write(w, { size, uid, gid, permissions, accessed, modified }) {
    const owners = uid === undefined || gid === undefined ? undefined : ([uid, gid] as const)
    const times = accessed === undefined || modified === undefined ? undefined : ([accessed, modified] as const)
    const has = (bit: number, value: unknown) => (value === undefined ? 0 : bit)
    w.uint32(has(SIZE, size) | has(OWNERS, owners) | has(PERMISSIONS, permissions) | has(TIMES, times))
    if (size !== undefined) w.uint64(size)
    for (const number of [...(owners ?? []), ...(permissions === undefined ? [] : [permissions]), ...(times ?? [])]) {
      w.uint32(number)
    }
  },
}
