import { verifyLedger } from '../src/ledger/verify.js'
import { makeLedger, newFolder, readFolder, writeFolder } from './ledger-support.js'

// What an attacker has before him, and changes.

type Files = Map<string, Buffer>

const LIMITS = { fileSize: 500, files: 4 }

/** Its files, by name, once it was prepared. */
export let whole: Files
/** Of the files that hold lines, in order. */
export let names: string[]

/** A ledger of several files, the first of which are gone: made once, then changed in memory. */
export async function prepare(): Promise<string> {
  const folder = await newFolder()
  if (!whole) {
    await makeLedger(folder, 20, LIMITS)
    expect((await verifyLedger({ folder })).problem).toBeUndefined()
    whole = await readFolder(folder)
    names = [...whole.keys()].filter(name => name.endsWith('.jsonl'))
    expect(names).toHaveLength(4)
  }
  return folder
}

export const file = (name: string | undefined, files: Files = whole) => files.get(name ?? '') ?? Buffer.alloc(0)

/** Whether verify says something, without knowing anything but the folder. */
export async function isSeen(folder: string, files: Files): Promise<boolean> {
  await writeFolder(folder, files)
  return isNoticed(folder)
}

/** The same of what is there. */
export async function isNoticed(folder: string): Promise<boolean> {
  try {
    const { problem, unsealed, unfinished } = await verifyLedger({ folder })
    return problem !== undefined || unsealed > 0 || unfinished > 0
  } catch {
    return true
  }
}

export function splitLines(files: Files): { name: string; line: string }[] {
  return names.flatMap(name =>
    file(name, files)
      .toString('latin1')
      .split('\n')
      .slice(0, -1)
      .map(line => ({ name, line })),
  )
}

export function joinLines(lines: readonly { name: string; line: string }[]): Files {
  const files = new Map(whole)
  for (const name of names) {
    const own = lines.filter(each => each.name === name).map(({ line }) => `${line}\n`)
    files.set(name, Buffer.from(own.join(''), 'latin1'))
  }
  return files
}
