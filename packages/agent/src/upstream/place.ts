import { realpathSync, statSync } from 'node:fs'
import { realpath } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { KeytoolError } from '@keytool/keygen'
import { connectAgent } from '../client/client.js'
import { checkPlace } from '../platform/place-check.js'
import type { UpstreamConnection } from './source.js'

export async function dialAgent(path: string): Promise<UpstreamConnection> {
  // A link may lead to it: what counts is who can answer where it ends.
  const end = isPipe(path) ? path : await realpath(path).catch(() => path)
  if (await checkPlace(end, { named: true })) return connectAgent(end)
  throw new KeytoolError('unreachable', `no agent answers at ${path}`, { reason: 'there is no socket' })
}

export function isSamePlace(one: string, other: string): boolean {
  if (isPipe(one) || isPipe(other)) return pipeName(one) === pipeName(other)
  if (endOf(one) === endOf(other)) return true
  const [a, b] = [one, other].map(path => statSync(path, { bigint: true, throwIfNoEntry: false }))
  return a !== undefined && a.dev === b?.dev && a.ino === b.ino
}

/** Where the links of a path end, also of one that is not there yet. */
function endOf(path: string): string {
  try {
    return realpathSync(path)
  } catch {
    const folder = dirname(resolve(path))
    return folder === resolve(path) ? folder : join(endOf(folder), basename(path))
  }
}

export function isPipe(path: string): boolean {
  return process.platform === 'win32' && /^[\\/]{2}[.?][\\/]pipe[\\/]/i.test(path)
}

/** Windows tells neither case nor slashes apart. */
function pipeName(path: string): string {
  return path.replaceAll('/', '\\').toLowerCase()
}
