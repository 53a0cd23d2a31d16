import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { chmod, lstat, mkdir, readdir, readFile, rename, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { GENESIS, hashLine } from '../src/ledger/chain.js'
import { type LedgerEntry, lineOf, readRecord } from '../src/ledger/entry.js'
import { createLedger } from '../src/ledger/ledger.js'
import { ledgerFolder } from '../src/ledger/place.js'
import { readLedger } from '../src/ledger/read.js'
import { verifyLedger } from '../src/ledger/verify.js'
import { places } from '../src/platform/places.js'
import { linesOf, makeLedger, newFolder, openedLedger, readFolder, signed } from './ledger-support.js'
import { giveAway, makeTemporary } from './support.js'

const NOW = Date.UTC(2026, 6, 1)
const full: LedgerEntry = {
  action: 'sign',
  verdict: 'refused',
  key: 'SHA256:abc',
  comment: '東京',
  program: 'git',
  via: 'ssh',
  pid: 4242,
  uid: 1000,
  user: 'git',
  host: 'github.com',
  forwarded: false,
  purpose: 'sshsig:git',
  reason: 'the agent is locked',
}

describe('a line', () => {
  test('is JSON with every fact, in a fixed order, and chained', async () => {
    const folder = await newFolder()
    const ledger = await openedLedger({ folder, now: () => NOW })
    ledger.write(full)
    ledger.write({ action: 'lock' })
    ledger.flush()
    const [first = '', second = ''] = await linesOf(folder)
    const time = '2026-07-01T00:00:00.000Z'
    expect(JSON.parse(first)).toEqual({ v: 1, n: 1, time, ...full, prev: '0'.repeat(64) })
    expect(second).toBe(`{"v":1,"n":2,"time":"${time}","action":"lock","prev":"${hashLine(first)}"}`)
    expect(ledger.head).toEqual({ count: 2, hash: hashLine(second) })
  })

  test('holds nothing but the facts that have a name', () => {
    const entry = { ...full, passphrase: 'secret', data: Buffer.from('secret') }
    expect(lineOf(entry, 1, 't', GENESIS.hash)).toBe(lineOf(full, 1, 't', GENESIS.hash))
  })

  test('is short, whatever its texts are', () => {
    const long = '\u{1f511}'.repeat(100_000)
    const texts = { key: long, comment: long, program: long, via: long, user: long, host: long, reason: long }
    const line = lineOf({ ...full, ...texts, purpose: `sshsig:${long}` }, 1, 't', GENESIS.hash)
    expect(Buffer.byteLength(line)).toBeLessThan(8192)
    expect(line).not.toMatch(/\\ud/)
  })

  test('shows a terminal nothing to act on, and reads back as it was', () => {
    const reason = '\u001b[31m\n\r\u009b2J\u202eabc\u2028\u{e0041}\ud800'
    const line = lineOf({ ...full, reason }, 1, 't', GENESIS.hash)
    expect(line).not.toMatch(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u)
    expect(readRecord(line)?.reason).toBe(reason)
  })

  test.each(['', '{', 'null', '[]', '{"v":1}', '{"v":2,"n":1,"time":"t","action":"sign","prev":""}'])(
    'that is none is not read: %j',
    line => expect(readRecord(line)).toBeUndefined(),
  )
})

describe('writing', () => {
  test('all of one turn goes out at its end', async () => {
    const folder = await newFolder()
    const ledger = await openedLedger({ folder })
    for (let i = 0; i < 50; i++) ledger.write(signed(i))
    const path = join(folder, '000000000001.jsonl')
    expect(existsSync(path)).toBe(false)
    await setImmediate()
    await setImmediate()
    expect(readFileSync(path, 'utf8').split('\n')).toHaveLength(51)
  })

  test('folder 0700, files 0600, whatever the umask', async () => {
    const folder = await newFolder()
    const before = process.umask(0)
    try {
      await makeLedger(folder, 3)
    } finally {
      process.umask(before)
    }
    expect((await stat(folder)).mode & 0o777).toBe(0o700)
    const names = await readdir(folder)
    expect(names).toEqual(['000000000001.jsonl', 'head', 'head.key'])
    for (const name of names) expect((await stat(join(folder, name))).mode & 0o777).toBe(0o600)
  })

  test('goes on where the last agent ended', async () => {
    const folder = await newFolder()
    for (let i = 0; i < 4; i++) await makeLedger(folder, 3)
    expect(await verifyLedger({ folder })).toMatchObject({ entries: 12, first: 1, unsealed: 0, aside: [] })
    expect((await verifyLedger({ folder })).problem).toBeUndefined()
    const { entries } = readLedger({ folder })
    expect(entries.map(({ n }) => n)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12])
  })

  test('after close nothing is written, and closing again does no harm', async () => {
    const folder = await newFolder()
    const ledger = await createLedger({ folder })
    ledger.write(signed(1))
    await Promise.all([ledger.close(), ledger.close()])
    ledger.write(signed(2))
    ledger.flush()
    expect(await linesOf(folder)).toHaveLength(1)
    expect(ledger.head.count).toBe(1)
  })
})

describe('rotation', () => {
  test('the chain goes on over files, the oldest go, and all that is kept verifies', async () => {
    const folder = await newFolder()
    await makeLedger(folder, 40, { fileSize: 500, files: 3 })
    const { problem, first, entries } = await verifyLedger({ folder })
    expect(problem).toBeUndefined()
    expect(first).toBeGreaterThan(20)
    expect(first + entries - 1).toBe(40)
    const names = (await readdir(folder)).filter(name => name.endsWith('.jsonl'))
    expect(names).toHaveLength(3)
    expect(names).toEqual([...names].sort())
    expect(JSON.parse((await linesOf(folder))[0] ?? '').n).toBe(first)
    for (const [, bytes] of await readFolder(folder)) expect(bytes.length).toBeLessThan(1000)
  })

  test('an agent that starts later goes on with the numbers, and with fewer files where fewer are wanted', async () => {
    const folder = await newFolder()
    await makeLedger(folder, 20, { fileSize: 500, files: 5 })
    for (let i = 0; i < 10; i++) await makeLedger(folder, 1, { fileSize: 500, files: 2 })
    const { problem, first, entries } = await verifyLedger({ folder })
    expect(problem).toBeUndefined()
    expect(first + entries - 1).toBe(30)
    expect((await readdir(folder)).filter(name => name.endsWith('.jsonl'))).toHaveLength(2)
  })

  test('verifying while the agent rotates finds nothing wrong', async () => {
    const folder = await newFolder()
    const ledger = await openedLedger({ folder, limits: { fileSize: 2000, files: 3 } })
    ledger.write(signed(0))
    ledger.flush()
    let isDone = false
    const work = async () => {
      for (let i = 0; !isDone && i < 100_000; i++) {
        ledger.write(signed(i))
        await setImmediate()
      }
    }
    const working = work()
    for (let i = 0; i < 20; i++) {
      const { problem } = await verifyLedger({ folder, expected: ledger.head })
      expect(problem).toBeUndefined()
    }
    isDone = true
    await working
  })
})

describe('where it stands', () => {
  test('one folder a socket', () => {
    const here = places({}, 'linux', '/home/hana')
    expect(ledgerFolder(here)).toBe('/home/hana/.local/state/keytool/ledger/agent')
    expect(ledgerFolder(here, here.agentSocket)).toBe(ledgerFolder(here))
    expect(ledgerFolder(here, '/tmp/a')).toMatch(/\/ledger\/socket-[0-9a-f]{16}$/)
    expect(ledgerFolder(here, '/tmp/a')).not.toBe(ledgerFolder(here, '/tmp/b'))
  })

  test('a folder that others can enter, a link and a file in its place are refused', async () => {
    const parent = await makeTemporary()
    const at = (name: string) => join(parent, name)
    await mkdir(at('open'))
    await chmod(at('open'), 0o755)
    await mkdir(at('real'), { mode: 0o700 })
    await symlink(at('real'), at('link'))
    for (const name of ['open', 'link']) {
      await expect(createLedger({ folder: at(name) })).rejects.toMatchObject({ code: 'refused' })
    }
    expect(await readdir(at('real'))).toEqual([])
    expect(await readdir(at('open'))).toEqual([])
  })

  test("another user's folder is refused", async () => {
    const folder = await newFolder()
    await mkdir(folder, { mode: 0o700 })
    await giveAway(folder)
    await expect(createLedger({ folder })).rejects.toMatchObject({ code: 'refused' })
  })

  test.each(['000000000001.jsonl', 'head', 'head.key'])(
    '%s as a link, a pipe, or open to others is refused, and what it leads to untouched',
    async name => {
      const folder = await newFolder()
      await makeLedger(folder, 2)
      const path = join(folder, name)
      const away = join(folder, '..', 'away')
      await rename(path, away)
      const before = await readFile(away)
      await symlink(away, path)
      const expectRefusals = async () => {
        await expect(createLedger({ folder })).rejects.toMatchObject({ code: 'refused' })
        await expect(verifyLedger({ folder })).rejects.toMatchObject({ code: 'refused' })
      }
      await expectRefusals()
      expect(await readFile(away)).toEqual(before)
      expect((await lstat(path)).isSymbolicLink()).toBe(true)
      await rm(path)
      execFileSync('mkfifo', ['-m', '600', path])
      await expectRefusals()
      await rm(path)
      await rename(away, path)
      await chmod(path, 0o644)
      await expectRefusals()
      await chmod(path, 0o600)
      expect((await verifyLedger({ folder })).problem).toBeUndefined()
    },
  )

  test('a newer version is refused and not touched', async () => {
    const folder = await newFolder()
    await makeLedger(folder, 2)
    const head = (await readFile(join(folder, 'head'), 'utf8')).replace('"version":1', '"version":2')
    await writeFile(join(folder, 'head'), head)
    const before = await readFolder(folder)
    await expect(createLedger({ folder })).rejects.toMatchObject({ code: 'unsupported' })
    await expect(verifyLedger({ folder })).rejects.toMatchObject({ code: 'unsupported' })
    await rm(join(folder, 'head'))
    await writeFile(join(folder, '000000000001.jsonl'), '{"v":2,"something":"else"}\n')
    await expect(createLedger({ folder })).rejects.toMatchObject({ code: 'unsupported' })
    before.delete('head')
    before.set('000000000001.jsonl', Buffer.from('{"v":2,"something":"else"}\n'))
    expect(await readFolder(folder)).toEqual(before)
  })
})

describe('reading', () => {
  test('the last ones that are wanted, oldest first, over files', async () => {
    const folder = await newFolder()
    await makeLedger(folder, 20, { fileSize: 500 })
    const keys = (options: Partial<Parameters<typeof readLedger>[0]>) =>
      readLedger({ folder, ...options }).entries.map(({ key }) => key)
    expect(keys({ count: 4 })).toEqual(['SHA256:17', 'SHA256:18', 'SHA256:19', 'SHA256:20'])
    expect(keys({ count: 0 })).toEqual([])
    expect(keys({ count: 2, matches: ({ n }) => n % 5 === 0 })).toEqual(['SHA256:15', 'SHA256:20'])
    expect(keys({})).toHaveLength(20)
  })

  test('a line that is damaged is passed over and counted', async () => {
    const folder = await newFolder()
    await makeLedger(folder, 3)
    const path = join(folder, '000000000001.jsonl')
    const [one, , three] = (await readFile(path, 'utf8')).split('\n')
    await writeFile(path, `${one}\nrubbish\n${three}\nhalf`)
    expect(readLedger({ folder })).toMatchObject({ entries: [{ n: 1 }, { n: 3 }], unreadable: 1 })
  })

  test('no ledger', async () => {
    const folder = await newFolder()
    expect(() => readLedger({ folder })).toThrow(expect.objectContaining({ code: 'not-found' }))
    await expect(verifyLedger({ folder })).rejects.toMatchObject({ code: 'not-found' })
  })
})
