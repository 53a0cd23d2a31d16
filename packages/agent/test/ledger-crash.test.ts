import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createLedger } from '../src/ledger/ledger.js'
import { verifyLedger } from '../src/ledger/verify.js'
import {
  faultyDisk,
  linesOf,
  makeLedger,
  newFolder,
  openedLedger,
  readFolder,
  signed,
  systemError,
  writeFolder,
} from './ledger-support.js'
import { until } from './support.js'

describe('a program that is killed leaves no broken ledger', () => {
  test('half a line and lines after the head are told from what was cut', async () => {
    const folder = await newFolder()
    await makeLedger(folder, 3)
    const { head, ...lines } = Object.fromEntries(await readFolder(folder))
    await makeLedger(folder, 3)
    const now = await readFolder(folder)
    const name = '000000000001.jsonl'
    const text = now.get(name)?.toString() ?? ''
    await writeFolder(
      folder,
      new Map(now).set('head', head ?? Buffer.alloc(0)).set(name, Buffer.from(text.slice(0, -9))),
    )
    expect(await verifyLedger({ folder })).toMatchObject({ entries: 5, unsealed: 2, unfinished: expect.any(Number) })
    expect((await verifyLedger({ folder })).problem).toBeUndefined()
    await writeFolder(folder, new Map(now).set(name, lines[name] ?? Buffer.alloc(0)))
    expect((await verifyLedger({ folder })).problem?.what).toBe('entries 4 to 6 are missing: cut off')
  })
})

describe('a disk that fails', () => {
  test.each([
    ['ENOSPC', 'the disk is full'],
    ['EDQUOT', 'the quota is used up'],
    ['EROFS', 'the file system is read-only'],
  ])('%s: what is lost is counted, said, and written down afterwards', async (code, words) => {
    const folder = await newFolder()
    let isFull = false
    let now = 0
    const disk = faultyDisk((call, args) => {
      // A head is written over the one before, and takes no room.
      if (!isFull || call !== 'writeSync' || args.length === 5) return undefined
      const [fd, bytes] = args as [number, Buffer]
      // Some of it still fits.
      faultyDisk(() => undefined).writeSync(fd, bytes.subarray(0, 40), 0)
      throw systemError(code)
    })
    const ledger = await openedLedger({ folder, disk, now: () => now })
    const sign = (i: number) => {
      ledger.write(signed(i))
      ledger.flush()
    }
    sign(1)
    isFull = true
    sign(2)
    sign(3)
    expect(ledger.trouble).toBe(`${folder} can't be written: ${words}; lost so far: 2 entries`)
    expect(ledger.head.count).toBe(1)
    now += 2000
    sign(4)
    expect(ledger.trouble).toMatch(/lost so far: 3 entries$/)
    expect((await verifyLedger({ folder, expected: ledger.head })).problem).toBeUndefined()
    isFull = false
    sign(5)
    expect(ledger.trouble).toMatch(/lost so far: 4 entries$/)
    now += 2000
    sign(6)
    expect(ledger.trouble).toBeUndefined()
    const records = (await linesOf(folder)).map(line => JSON.parse(line))
    expect(records).toMatchObject([
      { n: 1, key: 'SHA256:1' },
      { n: 2, action: 'gap', lost: 4, reason: expect.stringContaining(words) },
      { n: 3, key: 'SHA256:6' },
    ])
    expect(await verifyLedger({ folder, expected: ledger.head })).toMatchObject({ entries: 3, unfinished: 0 })
  })

  test('what was written before it failed is sealed', async () => {
    const folder = await newFolder()
    let isFull = false
    let failures = 0
    const disk = faultyDisk((call, args) => {
      if (!isFull || call !== 'writeSync' || args.length === 5) return undefined
      failures++
      throw systemError('ENOSPC')
    })
    const ledger = await openedLedger({ folder, disk })
    for (let i = 1; i <= 10; i++) ledger.write(signed(i))
    await until(async () => (await linesOf(folder)).length === 10)
    isFull = true
    for (let i = 11; i <= 20; i++) ledger.write(signed(i))
    await until(() => failures > 0)
    expect(failures).toBe(1)
    expect(ledger.head.count).toBe(10)
    expect(await verifyLedger({ folder, expected: ledger.head })).toMatchObject({ entries: 10, unsealed: 0 })
    expect((await verifyLedger({ folder, expected: ledger.head })).problem).toBeUndefined()
  })

  test('half a line that can’t be taken away yet is taken away later', async () => {
    const folder = await newFolder()
    let isFull = false
    let now = 0
    const disk = faultyDisk((call, args) => {
      if (isFull && call === 'ftruncateSync') throw systemError('EIO')
      // A head is written over the one before, and takes no room.
      if (!isFull || call !== 'writeSync' || args.length === 5) return undefined
      const [fd, bytes] = args as [number, Buffer]
      faultyDisk(() => undefined).writeSync(fd, bytes.subarray(0, 40), 0)
      throw systemError('ENOSPC')
    })
    const ledger = await openedLedger({ folder, disk, now: () => now })
    for (const i of [1, 2, 3]) {
      isFull = i === 2
      now += 2000
      ledger.write(signed(i))
      ledger.flush()
    }
    expect((await linesOf(folder)).map(line => JSON.parse(line).action)).toEqual(['sign', 'gap', 'sign'])
    expect((await verifyLedger({ folder, expected: ledger.head })).problem).toBeUndefined()
  })

  test('a head that can’t be written loses no line', async () => {
    const folder = await newFolder()
    let isFull = false
    let now = 0
    const disk = faultyDisk((call, args) => {
      if (isFull && call === 'writeSync' && args.length === 5) throw systemError('EIO')
      return undefined
    })
    const ledger = await openedLedger({ folder, disk, now: () => now })
    for (const i of [1, 2, 3]) {
      isFull = i === 2
      now += 2000
      ledger.write(signed(i))
      ledger.flush()
      expect(ledger.trouble !== undefined).toBe(isFull)
    }
    expect(await verifyLedger({ folder, expected: ledger.head })).toMatchObject({ entries: 3, unsealed: 0 })
  })

  test('a folder that can’t be made: it runs, says so, and begins when it can', async () => {
    const folder = await newFolder()
    let isBroken = true
    let now = 0
    const disk = faultyDisk(call => {
      if (isBroken && call === 'openSync') throw systemError('EROFS')
      return undefined
    })
    const ledger = await openedLedger({ folder, disk, now: () => now })
    expect(ledger.trouble).toBe(`${folder} can't be written: the file system is read-only`)
    ledger.write(signed(1))
    ledger.flush()
    expect(ledger.trouble).toMatch(/lost so far: 1 entry$/)
    expect(ledger.head.count).toBe(0)
    isBroken = false
    now += 2000
    ledger.write(signed(2))
    await until(() => ledger.head.count > 0)
    const records = (await linesOf(folder)).map(line => JSON.parse(line))
    expect(records).toMatchObject([
      { action: 'gap', lost: 1 },
      { action: 'sign', key: 'SHA256:2' },
    ])
    expect(ledger.trouble).toBeUndefined()
  })

  test('what is left is written when it closes', async () => {
    const folder = await newFolder()
    const ledger = await createLedger({ folder })
    ledger.write(signed(1))
    await ledger.close()
    expect(await linesOf(folder)).toHaveLength(1)
    const head = JSON.parse(await readFile(join(folder, 'head'), 'utf8'))
    expect([head.count, head.synced].map(Number)).toEqual([1, 1])
  })
})
