import { createHash } from 'node:crypto'
import { stat, unlink } from 'node:fs/promises'
import { type FileIdentity, readIfThere, readToRewrite, writeWhole } from '@keytool/agent/platform'
import { isKeytoolError, KeytoolError } from '@keytool/keygen'
import type { Facts, Made } from './record.js'

/** A file is put back only as long as it is what was made of it: other changes are somebody's own. */
export type PutBack = 'back' | 'changed'

/** A file as it is before it is changed, small enough to stand in the record; no member where there is none. */
export async function factsBefore(path: string): Promise<Facts> {
  const bytes = await readIfThere(path)
  if (!bytes) return { path }
  return { path, was: bytes.toString('base64'), mode: (await stat(path)).mode & 0o7777 }
}

/** The same, with what was made of it. */
export async function factsAfter(facts: Facts): Promise<Facts> {
  const bytes = await readIfThere(String(facts['path']))
  return { ...facts, ...(bytes && { now: hashOf(bytes) }) }
}

/**
 * Puts the file back byte for byte, or removes it where there was none.
 * @param path the only file that it may be
 * @throws KeytoolError `damaged` for a record that is about another one
 */
export async function putBack(path: string, { facts }: Made): Promise<PutBack> {
  const { was, now, mode } = facts
  if (facts['path'] !== path) throw new KeytoolError('damaged', `the record of setup is not about ${path}`)
  const before = typeof was === 'string' ? Buffer.from(was, 'base64') : undefined
  const found = await readOriginal(path)
  if (!found) return before === undefined ? 'back' : 'changed'
  const isAsBefore = before?.equals(found.bytes) === true
  if (!isAsBefore && hashOf(found.bytes) !== now) return 'changed'
  if (before === undefined) await unlink(path)
  else {
    const kept = typeof mode === 'number' ? { mode } : {}
    await writeWhole(path, before, { replace: true, expects: found.identity, ...kept })
  }
  return 'back'
}

export function hashOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}

/** The facts by which bytes are known again without being kept. */
export function sumOf(bytes: Buffer): { readonly size: number; readonly sha256: string } {
  return { size: bytes.length, sha256: hashOf(bytes) }
}

/**
 * Bytes from which lines were taken out again: the line end goes, too, that had to be added before the first of them, if
 * they are then what there was.
 */
export function withoutAddedEnd(bytes: Buffer, { facts }: Made): Buffer {
  const { size, sha256 } = facts
  if (typeof size !== 'number' || !/^\r?\n$/.test(bytes.subarray(size).toString('latin1'))) return bytes
  const shorter = bytes.subarray(0, size)
  return hashOf(shorter) === sha256 ? shorter : bytes
}

async function readOriginal(path: string): Promise<{ bytes: Buffer; identity: FileIdentity } | undefined> {
  try {
    return await readToRewrite(path)
  } catch (error) {
    if (isKeytoolError(error) && error.code === 'not-found') return undefined
    throw error
  }
}
