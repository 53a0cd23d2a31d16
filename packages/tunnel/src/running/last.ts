import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { makeFolder, readIfThere, writeWhole } from '@keytool/agent/platform'
import type { KeytoolError } from '@keytool/keygen'
import type { RunningPlaces } from './place.js'
import { isRunningTunnel, MAX_ANSWER, type RunningTunnel } from './words.js'

/** Notes how a tunnel ended that nobody had asked to, so that `tunnel status` can say it. */
export async function noteStopped(
  places: RunningPlaces,
  key: string,
  last: RunningTunnel,
  error: KeytoolError,
): Promise<void> {
  const folder = folderOf(places)
  await makeFolder(folder)
  const stopped = {
    ...last,
    pid: null,
    state: 'stopped',
    until: null,
    lastError: [error.message, error.reason].filter(Boolean).join(': '),
  }
  await writeWhole(join(folder, `${key}.json`), Buffer.from(`${JSON.stringify(stopped, null, 2)}\n`), { replace: true })
}

/** Forgets it: the tunnel runs again, or was stopped. Returns whether anything was noted. */
export async function forgetStopped(places: RunningPlaces, key: string): Promise<boolean> {
  return rm(join(folderOf(places), `${key}.json`)).then(
    () => true,
    () => false,
  )
}

/** All that stopped by themselves, by key. What can't be read is left out: it only says what was. */
export async function listStopped(places: RunningPlaces): Promise<{ key: string; tunnel: RunningTunnel }[]> {
  const names = await readdir(folderOf(places)).catch(() => [])
  const found = await Promise.all(
    names.map(async name => {
      const key = /^([0-9a-f]{16})\.json$/.exec(name)?.[1]
      const tunnel = key === undefined ? undefined : await readStopped(join(folderOf(places), name))
      return key !== undefined && tunnel ? [{ key, tunnel }] : []
    }),
  )
  return found.flat().sort((a, b) => a.tunnel.name.localeCompare(b.tunnel.name))
}

async function readStopped(path: string): Promise<RunningTunnel | undefined> {
  try {
    const bytes = await readIfThere(path, MAX_ANSWER)
    const value: unknown = bytes && JSON.parse(bytes.toString('utf8'))
    return isRunningTunnel(value) ? value : undefined
  } catch {
    return undefined
  }
}

function folderOf({ state }: RunningPlaces): string {
  return join(state, 'tunnels')
}
