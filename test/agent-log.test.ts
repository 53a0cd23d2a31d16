import { appendFile, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { jest } from '@jest/globals'
import { createLedger, type LedgerEntry, ledgerFolder } from '@keytool/agent'
import { places } from '@keytool/agent/platform'
import { expectRefused, runIn, succeed } from './cli-fixture.js'
import { type Home, temporaryHome } from './world/home.js'

// `keytool log` over ledgers that the library wrote: no agent has to run for it.

jest.setTimeout(120_000)

let home: Home
let folder: string

beforeEach(async () => {
  home = await temporaryHome()
  folder = ledgerFolder(places(home.env, process.platform, home.path))
})
afterEach(() => home.dispose())

const signed: LedgerEntry = {
  action: 'sign',
  verdict: 'allowed',
  key: 'SHA256:abc',
  comment: 'hana@laptop',
  program: 'git',
  via: 'ssh',
  pid: 4242,
  uid: 1000,
  user: 'git',
  host: 'github.com',
  purpose: 'login',
}

/** One entry a minute from noon on, UTC, of a day that is over by any clock. */
const NOON = Date.UTC(2021, 6, 1, 12)

async function write(entries: readonly LedgerEntry[], where = folder): Promise<void> {
  let now = NOON
  const ledger = await createLedger({ folder: where, now: () => now })
  for (const entry of entries) {
    ledger.write(entry)
    now += 60_000
  }
  await ledger.close()
}

const log = (...args: string[]) => succeed(home, ['log', ...args], { env: { ...home.env, TZ: 'UTC' } })
const numbered = (count: number) => Array.from({ length: count }, (_, i) => ({ ...signed, reason: `number ${i + 1}` }))

describe('the table', () => {
  test('one row an entry: time, verdict, key, program, whom it was for, what for, why', async () => {
    await write([
      { action: 'start' },
      signed,
      { ...signed, verdict: 'refused', forwarded: true, reason: 'the agent is locked' },
      { action: 'sign', verdict: 'allowed', key: 'SHA256:abc', program: 'git', purpose: 'sshsig:git', pid: 7 },
      { action: 'gap', lost: 3, reason: 'the disk is full' },
    ])
    expect(await log()).toBe(
      [
        '2021-07-01 12:00:00  start         -            -          -',
        '2021-07-01 12:01:00  sign          hana@laptop  git (ssh)  git@github.com  login',
        '2021-07-01 12:02:00  sign refused  hana@laptop  git (ssh)  git@github.com  login, forwarded, the agent is locked',
        '2021-07-01 12:03:00  sign          SHA256:abc   git        -               sshsig:git',
        '2021-07-01 12:04:00  gap           -            -          -               3 lost, the disk is full',
        '',
      ].join('\n'),
    )
  })

  test('what is foreign is escaped', async () => {
    const evil = '\u001b[2J\u202eevil\nline'
    await write([{ ...signed, comment: evil, program: evil, user: evil, host: evil, reason: evil }])
    const text = await log()
    expect(text.trimEnd()).not.toMatch(/[\p{Cc}\p{Cf}]/u)
    expect(text.match(/\\u\{1b\}\[2J\\u\{202e\}evil\\u\{a\}line/g)).toHaveLength(5)
    expect(JSON.parse(await log('--json'))[0].comment).toBe(evil)
  })

  test('the last 20, as many as -n says, or all', async () => {
    await write(numbered(30))
    const last = (text: string) => text.match(/number \d+/g)?.map(each => Number(each.slice(7)))
    const all = numbered(30).map((_, i) => i + 1)
    expect(last(await log())).toEqual(all.slice(10))
    expect(last(await log('-n', '3'))).toEqual([28, 29, 30])
    expect(last(await log('-n', '0'))).toEqual(all)
    expect(JSON.parse(await log('--json'))).toHaveLength(30)
    expect(JSON.parse(await log('--json', '-n', '2')).map(({ n }: { n: number }) => n)).toEqual([29, 30])
  })

  test('--json gives every fact', async () => {
    await write([signed])
    const prev = '0'.repeat(64)
    expect(JSON.parse(await log('--json'))).toEqual([{ n: 1, time: '2021-07-01T12:00:00.000Z', ...signed, prev }])
  })

  test.each([
    [['--since', '2021-07-01T12:02Z'], 3],
    [['--since', '2021-07-01'], 5],
    [['--since', '2021-07-02'], 0],
    [['--since', '1h'], 0],
    [['--key', 'SHA256:other'], 1],
    [['--key', 'laptop'], 5],
    [['--host', 'a.example'], 2],
    [['--host', 'a.example', '--since', '2021-07-01T12:02Z', '-n', '1'], 1],
  ])('%j: %d of 5', async (args, count) => {
    const [a, b] = [
      { ...signed, host: 'a.example' },
      { ...signed, key: 'SHA256:other' },
    ]
    await write([a, signed, a, b, signed])
    const env = { ...home.env, TZ: 'UTC' }
    const { status, stdout } = await runIn(home, ['log', '--json', ...args], { env })
    expect({ status, count: JSON.parse(stdout).length }).toEqual({ status: 0, count })
  })

  test.each([
    ['--since', 'yesterday'],
    ['--since', '2021-13-01'],
    ['-n', 'x'],
    ['-n', '-1'],
  ])('%s %s makes no sense', async (...args) => {
    await write([signed])
    await expectRefused(home, ['log', ...args], { status: 2, code: 'usage' })
  })

  test('a line that can’t be read is said, the others shown', async () => {
    await write(numbered(3))
    const path = join(folder, '000000000001.jsonl')
    await writeFile(path, (await readFile(path, 'utf8')).replace('{"v":1,"n":2,', 'rubbish'))
    const { status, stdout, stderr } = await runIn(home, ['log'])
    expect({ status, rows: stdout.match(/number \d/g) }).toEqual({ status: 0, rows: ['number 1', 'number 3'] })
    expect(stderr).toBe("1 line can't be read; to see where: keytool log --verify\n")
  })

  test('of another agent, by its socket', async () => {
    const socket = join(home.path, 'other.sock')
    await write([{ ...signed, reason: 'mine' }])
    await write([{ ...signed, reason: 'other' }], ledgerFolder(places(home.env, process.platform, home.path), socket))
    expect(await log()).toMatch(/mine/)
    expect(await log('-a', 'other.sock')).toMatch(/other/)
  })
})

describe('--verify', () => {
  test('a whole one', async () => {
    await write(numbered(3))
    expect(await log('--verify')).toBe('ok the ledger is whole: 3 entries since 2021-07-01 12:00:00\n')
    expect(JSON.parse(await log('--verify', '--json'))).toMatchObject({
      whole: true,
      entries: 3,
      first: 1,
      since: '2021-07-01T12:00:00.000Z',
      compared: false,
    })
  })

  test.each<[string, (text: string) => string, RegExp]>([
    [
      'a changed line',
      text => text.replace('number 2', 'number 7'),
      /000000000001\.jsonl line 2\n.*entry 2 is not the one/,
    ],
    ['a removed line', text => text.replace(/.*number 2.*\n/, ''), /000000000001\.jsonl line 2\n.*entry 2 is missing/],
    ['a cut tail', text => text.replace(/.*number 3.*\n/, ''), /000000000001\.jsonl line 3\n.*entry 3 is missing/],
    ['a cut line', text => text.slice(0, -10), /000000000001\.jsonl line 3\n.*entry 3 is cut off/],
  ])('%s: 6, with the place', async (_, change, says) => {
    await write(numbered(3))
    const path = join(folder, '000000000001.jsonl')
    await writeFile(path, change(await readFile(path, 'utf8')))
    await expectRefused(home, ['log', '--verify'], { status: 6, code: 'damaged', says })
  })

  test('a head that is gone: 6', async () => {
    await write(numbered(3))
    await rm(join(folder, 'head'))
    await expectRefused(home, ['log', '--verify'], { status: 6, code: 'damaged', says: /the head is missing/ })
  })

  test('one that was found broken and set aside: 6 until it is moved away', async () => {
    await write(numbered(3))
    await writeFile(join(folder, 'head'), 'rubbish')
    await write(numbered(2))
    await expectRefused(home, ['log', '--verify'], {
      status: 6,
      code: 'damaged',
      says: /an earlier ledger .*broken-20210701T120000Z\/head: .*its seal does not fit.*\n.*3 entries/,
    })
    const [broken = ''] = (await readdir(folder)).filter(name => name.startsWith('broken-'))
    await rename(join(folder, broken), join(home.path, broken))
    expect(await log('--verify')).toMatch(/^ok the ledger is whole: 3 entries/)
  })

  test('an agent that was killed: 0, and said', async () => {
    await write(numbered(3))
    await appendFile(join(folder, '000000000001.jsonl'), '{"v":1,"n":4,"ti')
    const { status, stdout, stderr } = await runIn(home, ['log', '--verify'])
    expect({ status, stdout }).toEqual({ status: 0, stdout: expect.stringMatching(/^ok .* 3 entries/) })
    expect(stderr).toBe('the agent ended unexpectedly: 0 entries not sealed, and half a line is left\n')
  })
})

test('no ledger: 3', async () => {
  for (const args of [['log'], ['log', '--verify']]) {
    await expectRefused(home, args, { status: 3, code: 'not-found', says: /there is no ledger/ })
  }
})

test('a newer version: 6, and nothing is touched', async () => {
  await mkdir(folder, { recursive: true, mode: 0o700 })
  await writeFile(join(folder, 'head'), '{"version":2,"anything":"else"}\n', { mode: 0o600 })
  await expectRefused(home, ['log', '--verify'], { status: 6, code: 'unsupported' })
})
