import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { createLedger } from '../src/ledger/ledger.js'
import { verifyLedger } from '../src/ledger/verify.js'
import {
  faultyDisk,
  linesOf,
  makeLedger,
  newFolder,
  readFolder,
  signed,
  systemError,
  writeFolder,
} from './ledger-support.js'

/** A program that ends at one of its calls: that one and all later ones never happen. */
function endAt(last: number, half = false) {
  let calls = 0
  let isDead = false
  const disk = faultyDisk((call, args) => {
    if (call === 'fdatasync') {
      const done = args.at(-1) as (error: unknown) => void
      done(isDead ? systemError('EIO') : null)
      return true
    }
    if (isDead) throw systemError('EIO')
    if (++calls <= last) return undefined
    isDead = true
    const [fd, bytes] = args as [number, Buffer]
    // Of a write, half may have got there; not of a head, which is written as one sector.
    if (half && call === 'writeSync' && args.length < 5) return realWrite(fd, bytes.subarray(0, bytes.length / 2))
    throw systemError('EIO')
  })
  return { disk, isDead: () => isDead, calls: () => calls }
}

function realWrite(fd: number, bytes: Buffer): never {
  faultyDisk(() => undefined).writeSync(fd, bytes)
  throw systemError('EIO')
}

const LIMITS = { fileSize: 500, files: 2 }

/** An agent's life over several files: each entry is written and sealed by itself. */
async function live(folder: string, disk: ReturnType<typeof endAt>): Promise<void> {
  const ledger = await createLedger({ folder, limits: LIMITS, disk: disk.disk })
  for (let i = 0; i < 12 && !disk.isDead(); i++) {
    ledger.write(signed(i))
    ledger.flush()
  }
  if (!disk.isDead()) await ledger.close()
}

describe('a program that is killed leaves no broken ledger', () => {
  async function expectUnbroken(files: ReadonlyMap<string, Buffer>, last: number, half: boolean): Promise<void> {
    const folder = await newFolder()
    await writeFolder(folder, files)
    await live(folder, endAt(last, half))
    const left = await verifyLedger({ folder }).catch(error => {
      // Nothing was begun yet.
      expect(error).toMatchObject({ code: 'not-found' })
      return undefined
    })
    expect([last, left?.problem]).toEqual([last, undefined])
    await makeLedger(folder, 2, LIMITS)
    const { problem, aside, unsealed, unfinished } = await verifyLedger({ folder })
    expect([last, problem, aside, unsealed, unfinished]).toEqual([last, undefined, [], 0, 0])
    const actions = (await linesOf(folder)).map(line => JSON.parse(line).action)
    const isRecovered = (left?.unsealed ?? 0) > 0 || (left?.unfinished ?? 0) > 0
    expect([last, actions.includes('recover')]).toEqual([last, isRecovered])
    expect((await readdir(folder)).filter(name => name.endsWith('.jsonl')).length).toBeLessThanOrEqual(2)
  }

  test.each([false, true])(
    'at each of its calls, writes stopped halfway: %s',
    async half => {
      const folder = await newFolder()
      const whole = endAt(Number.POSITIVE_INFINITY)
      await live(folder, whole)
      const calls = whole.calls()
      expect(calls).toBeGreaterThan(30)
      await writeFolder(folder, new Map())
      await makeLedger(folder, 7, LIMITS)
      for (const files of [new Map<string, Buffer>(), await readFolder(folder)]) {
        // Side by side: most of the time goes by in waiting for the disk.
        await Promise.all(Array.from({ length: calls }, (_, last) => expectUnbroken(files, last, half)))
      }
    },
    240_000,
  )

  test('killed while it sets a broken one aside', async () => {
    const folder = await newFolder()
    await makeLedger(folder, 7, LIMITS)
    const files = await readFolder(folder)
    files.set('head', Buffer.from('rubbish'))
    for (let last = 0; last < 8; last++) {
      await writeFolder(folder, files)
      await live(folder, endAt(last))
      await makeLedger(folder, 2)
      const { problem, aside } = await verifyLedger({ folder })
      expect(problem).toBeUndefined()
      const kept = await Promise.all(aside.map(name => readFolder(join(folder, name))))
      const all = new Map(kept.flatMap(each => [...each]))
      for (const [name, bytes] of files) expect([last, name, all.get(name)]).toEqual([last, name, bytes])
    }
  })
})
