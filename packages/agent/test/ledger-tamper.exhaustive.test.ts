import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { writeFolder } from './ledger-support.js'
import { file, isNoticed, isSeen, joinLines, names, prepare, splitLines, whole } from './ledger-whole.js'

/** The same with one file changed in a folder that is whole, and is again afterwards. */
async function isSeenIn(folder: string, name: string, changed: Buffer): Promise<boolean> {
  const path = join(folder, name)
  writeFileSync(path, changed)
  try {
    return await isNoticed(folder)
  } finally {
    writeFileSync(path, file(name))
  }
}

describe('what anybody does to the files shows', () => {
  test('every byte of every file, changed', async () => {
    const folder = await prepare()
    await writeFolder(folder, whole)
    for (const [name, bytes] of whole) {
      for (let at = 0; at < bytes.length; at++) {
        const changed = Buffer.from(bytes)
        changed[at] = (changed[at] ?? 0) ^ (1 + (at % 255))
        expect([name, at, await isSeenIn(folder, name, changed)]).toEqual([name, at, true])
      }
    }
  }, 240_000)

  test('any byte changed to any other, removed, or added', async () => {
    const folder = await prepare()
    const anywhere = fc.record({ i: fc.nat(whole.size - 1), at: fc.nat(), value: fc.integer({ min: 0, max: 255 }) })
    const how = fc.constantFrom('changed', 'removed', 'added')
    await fc.assert(
      fc.asyncProperty(anywhere, how, async ({ i, at, value }, how) => {
        const [name = '', bytes = Buffer.alloc(0)] = [...whole][i] ?? []
        const place = at % bytes.length
        if (how === 'changed') fc.pre(bytes[place] !== value)
        const middle = how === 'removed' ? Buffer.alloc(0) : Buffer.of(value)
        const rest = bytes.subarray(how === 'added' ? place : place + 1)
        const changed = Buffer.concat([bytes.subarray(0, place), middle, rest])
        return isSeen(folder, new Map(whole).set(name, changed))
      }),
      { numRuns: 300 },
    )
  }, 240_000)

  test('any line removed, doubled, or exchanged with another', async () => {
    const folder = await prepare()
    const lines = splitLines(whole)
    const all = lines.map((_, i) => i)
    for (const i of all) {
      expect(await isSeen(folder, joinLines(lines.filter((_, k) => k !== i)))).toBe(true)
      expect(await isSeen(folder, joinLines(lines.flatMap((each, k) => (k === i ? [each, each] : [each]))))).toBe(true)
      for (const k of all.slice(i + 1)) {
        const swapped = lines.map(({ name }, at) => ({
          name,
          line: lines[at === i ? k : at === k ? i : at]?.line ?? '',
        }))
        expect(await isSeen(folder, joinLines(swapped))).toBe(true)
      }
    }
  }, 240_000)

  test('the last file cut at any byte, any file cut, emptied or removed', async () => {
    const folder = await prepare()
    const last = names.at(-1) ?? ''
    await writeFolder(folder, whole)
    for (let at = 0; at < file(last).length; at++) {
      expect(await isSeenIn(folder, last, file(last).subarray(0, at))).toBe(true)
    }
    for (const [name, bytes] of whole) {
      for (const part of [bytes.subarray(0, -1), bytes.subarray(0, bytes.length / 2), Buffer.alloc(0)]) {
        expect(await isSeen(folder, new Map(whole).set(name, part))).toBe(true)
      }
      const without = new Map(whole)
      without.delete(name)
      expect(await isSeen(folder, without)).toBe(true)
    }
  }, 240_000)
})
