import { isKeytoolError, KeytoolError } from '@keytool/keygen'
import { readIfThere } from '../platform/read.js'

const VERSION = 1
/** 1000 hosts with 4 keys each take a tenth of it. In bytes. */
const MAX_FILE = 1024 * 1024
/** As short as hashes may be that are told apart in a list of thousands: 12 bytes in base64url. */
const ID = /^[A-Za-z0-9_-]{16}$/
const SALT = 32

export const MAX_HOSTS = 1000
export const MAX_KEYS = 4

/** What was learnt. Hosts, programs and keys are hashes under the salt, so that the file names none. */
export interface Learnt {
  /** 32 bytes. */
  readonly salt: Buffer
  /** Keys that got in, the last one first; hosts in the order in which they were last used. */
  readonly hosts: ReadonlyMap<string, readonly string[]>
}

/**
 * What the file holds; `undefined` where there is none.
 * @throws KeytoolError `damaged`, `unsupported` for a newer version, `failed`
 */
export async function readLearnt(path: string): Promise<Learnt | undefined> {
  const bytes = await readIfThere(path, MAX_FILE)
  if (!bytes) return undefined
  try {
    return parse(JSON.parse(bytes.toString('utf8')), path)
  } catch (cause) {
    if (isKeytoolError(cause)) throw cause
    throw damaged(path, cause)
  }
}

export function writeLearnt({ salt, hosts }: Learnt): Buffer {
  const json = {
    version: VERSION,
    salt: salt.toString('base64'),
    hosts: Array.from(hosts, ([id, keys]) => [id, ...keys]),
  }
  return Buffer.from(`${JSON.stringify(json)}\n`)
}

function parse(value: unknown, path: string): Learnt {
  if (typeof value !== 'object' || value === null) throw damaged(path)
  const { version, salt, hosts } = value as Readonly<Record<string, unknown>>
  if (typeof version === 'number' && Number.isInteger(version) && version > VERSION) {
    throw new KeytoolError('unsupported', `${path} has version ${version}, made by a newer program`, {
      reason: 'it is left as it is, and nothing is learnt beyond this run',
    })
  }
  if (version !== VERSION || typeof salt !== 'string' || !Array.isArray(hosts)) throw damaged(path)
  const bytes = Buffer.from(salt, 'base64')
  if (bytes.length !== SALT || hosts.length > MAX_HOSTS) throw damaged(path)
  return { salt: bytes, hosts: new Map(hosts.map(row => parseRow(row, path))) }
}

function parseRow(row: unknown, path: string): [string, readonly string[]] {
  if (!Array.isArray(row) || row.length < 2 || row.length > 1 + MAX_KEYS) throw damaged(path)
  const [id, ...keys] = row.filter(each => typeof each === 'string' && ID.test(each)) as string[]
  if (id === undefined || keys.length !== row.length - 1) throw damaged(path)
  return [id, keys]
}

function damaged(path: string, cause?: unknown): KeytoolError {
  return new KeytoolError('damaged', `${path} is not what was written there`, {
    reason: 'the order of keys is learnt anew',
    ...(cause !== undefined && { cause }),
  })
}
