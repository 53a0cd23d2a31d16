import { appendFile, readdir, readFile, rename, rm, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { hashLine } from '../src/ledger/chain.js'
import { lineOf } from '../src/ledger/entry.js'
import { type Verification, verifyLedger } from '../src/ledger/verify.js'
import { linesOf, makeLedger, newFolder, openedLedger, readFolder, signed, writeFolder } from './ledger-support.js'
import { file, isSeen, joinLines, names, prepare, splitLines, whole } from './ledger-whole.js'
import { makeTemporary, until } from './support.js'

describe('what anybody does to the files shows', () => {
  test('files that take each other’s names', async () => {
    const folder = await prepare()
    const [a = '', b = '', c = '', d = ''] = names
    expect(await isSeen(folder, new Map(whole).set(a, file(b)).set(b, file(a)))).toBe(true)
    expect(await isSeen(folder, new Map(whole).set(c, file(d)).set(d, file(c)))).toBe(true)
    const renamed = new Map(whole).set('000000000099.jsonl', file(d))
    renamed.delete(d)
    expect(await isSeen(folder, renamed)).toBe(true)
  })

  test('a line forged with its chain made good, without the key', async () => {
    const folder = await prepare()
    const last = names.at(-1) ?? ''
    const lines = file(last).toString().split('\n').slice(0, -1)
    const { n, prev } = JSON.parse(lines[0] ?? '')
    let hash: string = prev
    const forged = lines.map((line, i) => {
      const { v, n: _, time, prev: __, ...facts } = JSON.parse(line)
      const made = lineOf({ ...facts, user: 'nobody' }, n + i, time, hash)
      hash = hashLine(made)
      return `${made}\n`
    })
    expect(await isSeen(folder, new Map(whole).set(last, Buffer.from(forged.join(''))))).toBe(true)
  })
})

describe('the place is named', () => {
  const verifyChanged = async (change: (lines: { name: string; line: string }[]) => void): Promise<Verification> => {
    const folder = await prepare()
    const lines = splitLines(whole)
    change(lines)
    await writeFolder(folder, joinLines(lines))
    return verifyLedger({ folder })
  }

  test('a changed line', async () => {
    const { problem } = await verifyChanged(lines => {
      const [, second] = lines
      if (second) second.line = second.line.replace('hana', 'mara')
    })
    const first = Number(names[0]?.slice(0, 12))
    expect(problem).toMatchObject({ file: names[0], line: 2, n: first + 1 })
    expect(problem?.what).toBe(
      `entry ${first + 1} is not the one that entry ${first + 2} was chained to: one of them was changed`,
    )
  })

  test('a removed line', async () => {
    const { problem } = await verifyChanged(lines => lines.splice(1, 1))
    const first = Number(names[0]?.slice(0, 12))
    expect(problem).toEqual({ file: names[0], line: 2, n: first + 1, what: `entry ${first + 1} is missing` })
  })

  test('the last line, changed and removed', async () => {
    const changed = await verifyChanged(lines => {
      const last = lines.at(-1)
      if (last) last.line = last.line.replace('hana', 'mara')
    })
    expect(changed.problem).toMatchObject({ n: 20, what: 'entry 20 is not the one that was sealed last' })
    const removed = await verifyChanged(lines => lines.pop())
    expect(removed.problem).toMatchObject({ file: names.at(-1), n: 20, what: 'entry 20 is missing: cut off' })
  })

  test('a missing file', async () => {
    const folder = await prepare()
    await writeFolder(folder, whole)
    await rm(join(folder, names[1] ?? ''))
    const [from, to] = [names[1], names[2]].map(name => Number(name?.slice(0, 12)))
    const { problem } = await verifyLedger({ folder })
    expect(problem).toMatchObject({ file: names[2], n: from })
    expect(problem?.what).toBe(
      to === (from ?? 0) + 1
        ? `entry ${from} is missing before this file`
        : `entries ${from} to ${(to ?? 0) - 1} are missing before this file`,
    )
  })

  test.each([
    ['head', 'the head is missing'],
    ['head.key', 'the key of the head is missing'],
  ])('%s gone', async (name, what) => {
    const folder = await prepare()
    await writeFolder(folder, whole)
    await rm(join(folder, name))
    expect((await verifyLedger({ folder })).problem).toEqual({ file: name, what })
  })
})

describe('what only the running agent knows', () => {
  test('an older state of everything, put back', async () => {
    const folder = await newFolder()
    const ledger = await openedLedger({ folder })
    for (let i = 0; i < 3; i++) ledger.write(signed(i))
    ledger.flush()
    const before = await readFolder(folder)
    ledger.write(signed(4))
    const { head } = ledger
    expect((await verifyLedger({ folder, expected: head })).problem).toBeUndefined()
    const copy = join(await makeTemporary(), 'copy')
    await writeFolder(copy, before)
    expect((await verifyLedger({ folder: copy })).problem).toBeUndefined()
    expect((await verifyLedger({ folder: copy, expected: head })).problem).toMatchObject({
      n: 4,
      what: 'entry 4 is missing',
    })
    await writeFolder(copy, new Map(await readFolder(folder)).set('head', before.get('head') ?? Buffer.alloc(0)))
    expect((await verifyLedger({ folder: copy })).unsealed).toBe(1)
    expect((await verifyLedger({ folder: copy, expected: head })).problem).toMatchObject({ file: 'head' })
  })

  test('another chain, sealed with its own key, and no ledger at all', async () => {
    const folder = await newFolder()
    const ledger = await openedLedger({ folder })
    for (let i = 0; i < 3; i++) ledger.write(signed(i))
    const { head } = ledger
    const forged = await newFolder()
    await makeLedger(forged, 3)
    expect((await verifyLedger({ folder: forged })).problem).toBeUndefined()
    expect((await verifyLedger({ folder: forged, expected: head })).problem).toMatchObject({ n: 3 })
    await rm(forged, { recursive: true })
    expect((await verifyLedger({ folder: forged, expected: head })).problem).toEqual({
      what: 'the running agent has written 3 entries, and none is there',
    })
  })

  test('lines added to a ledger that nobody else writes', async () => {
    const folder = await newFolder()
    const ledger = await openedLedger({ folder })
    ledger.write(signed(1))
    const { head } = ledger
    await appendFile(
      join(folder, '000000000001.jsonl'),
      `${lineOf(signed(2), 2, new Date().toISOString(), head.hash)}\n`,
    )
    expect(await verifyLedger({ folder, expected: head })).toMatchObject({
      problem: { line: 2, n: 2, what: 'the running agent did not write what follows entry 1' },
    })
  })
})

describe('an agent does not go on with what was changed', () => {
  const asides = async (folder: string) => (await readdir(folder)).filter(name => name.startsWith('broken-'))

  test.each<[string, (folder: string) => Promise<unknown>, RegExp]>([
    ['a cut tail', folder => truncate(join(folder, '000000000001.jsonl'), 300), /entry 2 is cut off|missing/],
    ['a changed line', folder => change(join(folder, '000000000001.jsonl')), /entry 2 is not the one/],
    ['no lines', folder => rm(join(folder, '000000000001.jsonl')), /entries 1 to 5 are missing/],
    ['no head', folder => rm(join(folder, 'head')), /the head is missing/],
    ['no key', folder => rm(join(folder, 'head.key')), /the key of the head is missing/],
    ['a changed head', folder => change(join(folder, 'head')), /seal does not fit/],
  ])('at its start: %s. It is kept, and the new chain says why', async (_, tamper, why) => {
    const folder = await newFolder()
    await makeLedger(folder, 5)
    await tamper(folder)
    const before = await readFolder(folder)
    await makeLedger(folder, 2)
    const { problem, entries, aside } = await verifyLedger({ folder })
    expect({ problem, entries }).toEqual({ problem: undefined, entries: 3 })
    expect(aside).toEqual(await asides(folder))
    expect(aside).toHaveLength(1)
    const { action, reason } = JSON.parse((await linesOf(folder))[0] ?? '')
    expect(action).toBe('begin')
    expect(reason).toMatch(why)
    expect(reason).toContain(aside[0])
    const kept = join(folder, aside[0] ?? '')
    expect(await readFolder(kept)).toEqual(before)
    expect((await verifyLedger({ folder: kept })).problem).toBeDefined()
  })

  test.each<[string, (folder: string) => Promise<unknown>]>([
    ['a cut tail', folder => truncate(join(folder, '000000000001.jsonl'), 300)],
    ['something added', folder => appendFile(join(folder, '000000000001.jsonl'), 'x\n')],
    ['no lines', folder => rm(join(folder, '000000000001.jsonl'))],
    ['no head', folder => rm(join(folder, 'head'))],
    ['an older state', folder => goBack(folder)],
    ['nothing left', folder => rm(folder, { recursive: true })],
  ])('while it runs: %s', async (_, tamper) => {
    const folder = await newFolder()
    const ledger = await openedLedger({ folder })
    for (let i = 0; i < 5; i++) ledger.write(signed(i))
    ledger.flush()
    await tamper(folder)
    ledger.write(signed(6))
    ledger.flush()
    await until(() => ledger.head.count === 2)
    expect(ledger.trouble).toBeUndefined()
    const { problem, entries } = await verifyLedger({ folder, expected: ledger.head })
    expect({ problem, entries }).toEqual({ problem: undefined, entries: 2 })
    const records = (await linesOf(folder)).map(line => JSON.parse(line))
    expect(records).toMatchObject([{ action: 'begin' }, { action: 'sign', key: 'SHA256:6' }])
  })

  test('two on the same second have names of their own', async () => {
    const folder = await newFolder()
    for (let i = 0; i < 3; i++) {
      const ledger = await openedLedger({ folder, now: () => 0 })
      ledger.write(signed(1))
      await ledger.close()
      await rm(join(folder, 'head'))
    }
    expect(await asides(folder)).toEqual(['broken-19700101T000000Z', 'broken-19700101T000000Z-2'])
  })

  async function change(path: string): Promise<void> {
    await writeFile(path, (await readFile(path, 'utf8')).replace(/SHA256:2|"count":"0/, '$&9'))
  }

  /** The file of an hour ago, under its name. */
  async function goBack(folder: string): Promise<void> {
    const path = join(folder, '000000000001.jsonl')
    const [first] = (await readFile(path, 'utf8')).split('\n')
    await writeFile(`${path}~`, `${first}\n`, { mode: 0o600 })
    await rename(`${path}~`, path)
  }
})
