import { fingerprint, generate, type PublicKey } from '@keytool/keygen'
import { logScript, readLastUses } from '../src/servers/audit-log.js'
import { secondScript } from '../src/servers/audit-second.js'
import { findLastUses, readLogExcerpt } from '../src/servers/last-use.js'
import { readStamp, splitStamp } from '../src/servers/last-use-stamp.js'

const now = new Date('2026-11-30T12:00:00Z')
let key: PublicKey
let print: string

beforeAll(async () => {
  key = (await generate('ed25519')).publicKey
  print = fingerprint(key)
})

/** What the last uses of `hana` are by one log with these lines. */
function usesIn(lines: readonly string[], user = 'hana', first = lines[0] ?? '') {
  const source = { until: now, first, lines }
  return findLastUses({ clock: { now, offset: 60 }, sources: [source], unread: [] }, user)
}

const accepted = (shown: string, user = 'hana', tail = '') =>
  `2026-11-28T09:30:00+01:00 web1 sshd[4711]: Accepted publickey for ${user} from 192.0.2.7 port 4022 ssh2: ED25519 ${shown}${tail}`

test('the last login by a key, whatever the order of the lines', () => {
  const lines = [accepted(print), accepted(print).replace('2026-11-28', '2026-11-05').replace('192.0.2.7', '::1')]
  expect(usesIn(lines).of(key)).toEqual({ at: new Date('2026-11-28T08:30:00Z'), from: '192.0.2.7' })
  expect(usesIn(lines.toReversed()).of(key)).toEqual(usesIn(lines).of(key))
})

test('a key that no log tells of is unknown, and how far they reach is said', () => {
  const uses = usesIn([accepted('SHA256:another')])
  expect(uses.of(key)).toBeUndefined()
  expect(uses.since).toEqual(new Date('2026-11-28T08:30:00Z'))
})

describe('not this user’s login by this key', () => {
  test.each([
    ['a user whose name only begins so', () => accepted(print, 'hana2')],
    ['a user whose name only ends so', () => accepted(print, 'not hana')],
    ['in capitals', () => accepted(print, 'Hana')],
    ['another program’s line', () => accepted(print).replace('sshd[', 'cron[')],
    ['a line within a line', () => `2026-11-28T09:30:00Z web1 app[1]: x sshd[1]: ${accepted(print).split(': ')[1]}`],
    ['behind something', () => accepted(print).replace('Accepted', 'x Accepted')],
    ['another word', () => accepted(print).replace('Accepted', 'Failed')],
    ['an odd end', () => accepted(print, 'hana', ' and more')],
    ['no time', () => accepted(print).slice(26)],
    ['a month that is none', () => accepted(print).replace('2026-11', '2026-13')],
    ['the day after tomorrow', () => accepted(print).replace('2026-11-28', '2026-12-02')],
  ])('%s', (_what, line) => {
    expect(usesIn([line()]).of(key)).toBeUndefined()
  })
})

test('sshd-session’s and sshd-auth’s lines count, and MD5 as old servers write it', () => {
  for (const program of ['sshd-session', 'sshd-auth'])
    expect(usesIn([accepted(print).replace('sshd[', `${program}[`)]).of(key)).toBeDefined()
  const md5 = fingerprint(key, 'md5')
  for (const shown of [md5, md5.slice(4)]) expect(usesIn([accepted(shown)]).of(key)).toBeDefined()
})

test('by a certificate: its key’s use, and its authority’s, whatever its id says', async () => {
  const authority = (await generate('ed25519')).publicKey
  const id = ' ID x (serial 1) CA ED25519 SHA256:forged (serial 42) CA ED25519 '
  const uses = usesIn([accepted(print, 'hana', `${id}${fingerprint(authority)}`)])
  expect(uses.of(authority)?.at).toEqual(new Date('2026-11-28T08:30:00Z'))
  expect(uses.of(key)?.at).toEqual(new Date('2026-11-28T08:30:00Z'))
})

test('dropbear’s', () => {
  const line = `Sat Nov 28 09:30:00 2026 authpriv.notice dropbear[12]: Pubkey auth succeeded for 'hana' with ssh-ed25519 key ${print} from 192.0.2.7:4022`
  expect(usesIn([line]).of(key)).toEqual({ at: new Date('2026-11-28T08:30:00Z'), from: '192.0.2.7' })
  expect(usesIn([line], 'root').of(key)).toBeUndefined()
})

describe('times', () => {
  test.each([
    ['1798000000.123456 ', undefined],
    ['1795854600.123456 ', '2026-11-28T08:30:00.000Z'],
    ['2026-11-28T09:30:00.123+01:00 ', '2026-11-28T08:30:00.000Z'],
    ['2026-11-28T08:30:00Z ', '2026-11-28T08:30:00.000Z'],
    ['2026-11-28 09:30:00 ', '2026-11-28T08:30:00.000Z'],
    ['Nov 28 09:30:00 ', '2026-11-28T08:30:00.000Z'],
    ['Nov  8 09:30:00 ', '2026-11-08T08:30:00.000Z'],
    // Not yet this year: it was the last one.
    ['Dec 24 09:30:00 ', '2025-12-24T08:30:00.000Z'],
    ['Sat Nov 28 09:30:00 2026 ', '2026-11-28T08:30:00.000Z'],
    ['Nop 28 09:30:00 ', undefined],
    ['hello ', undefined],
  ])('%s', (text, time) => {
    const [stamp] = splitStamp(`${text}web1 sshd[1]: x`)
    expect(stamp && readStamp(stamp, now, { now, offset: 60 })?.toISOString()).toBe(time)
  })

  test('without a year, by when the log was last written', () => {
    const until = new Date('2024-02-10T00:00:00Z')
    expect(readStamp('Jan  2 00:00:00 ', until, { now, offset: 0 })).toEqual(new Date('2024-01-02T00:00:00Z'))
    expect(readStamp('Nov  2 00:00:00 ', until, { now, offset: 0 })).toEqual(new Date('2023-11-02T00:00:00Z'))
  })
})

describe('what the server sends', () => {
  const excerpt = (text: string) => readLogExcerpt(Buffer.from(text), 'M', now)

  test('its clock, then each log with its beginning and its lines', () => {
    const text =
      'noise\nl noise\nM now 1796000000 -0130\nM source 1795000000\nf first\nl one\nl two\nM source\nl three\nM unread 1794000000\n'
    expect(excerpt(text)).toEqual({
      clock: { now: new Date(1796000000e3), offset: -90 },
      sources: [
        { until: new Date(1795000000e3), first: 'first', lines: ['one', 'two'] },
        { until: new Date(1796000000e3), first: '', lines: ['three'] },
      ],
      unread: [new Date(1794000000e3)],
    })
  })

  test('a log in between that can’t be read is a hole: before it nothing is known', () => {
    const text = `M now 1796000000 +0000\nM source 1790000000\nf 2026-01-01T00:00:00Z x\nM unread 1793000000\n`
    expect(findLastUses(excerpt(text), 'hana').since).toEqual(new Date(1793000000e3))
    expect(findLastUses(excerpt('M now 1796000000 +0000\nM unread 1793000000\n'), 'hana').since).toBeUndefined()
  })

  test.each(['unread', 'source'])('logs without end (%s): more than there are, are passed over', word => {
    const many = excerpt(`M source 5\nf 1700000000 x\n${`M ${word} 5\nf 1700000000 x\n`.repeat(400_000)}`)
    expect(many.sources.length + many.unread.length).toBe(100)
    expect(findLastUses(many, 'hana').since).toBeDefined()
  })

  test('nonsense is passed over', () => {
    expect(excerpt('M now x y\nM source 99999999999999\nM\nM what\nf\n')).toMatchObject({
      clock: { now, offset: 0 },
      sources: [{ until: now, first: '', lines: [] }],
    })
  })
})

describe('the question', () => {
  test.each(['hana\nroot', 'a\u0000'])('is not asked for %j', async user => {
    const exec = () => Promise.reject(new Error('asked'))
    await expect(readLastUses({ exec }, { user, now })).rejects.toMatchObject({ code: 'usage' })
    await expect(readLastUses({ exec }, { user: 'hana', now, root: 'x' })).rejects.toMatchObject({ code: 'usage' })
  })

  test.each([
    ['logs', logScript],
    ['second file', secondScript],
  ])('its script is one line that sh, csh and fish pass on alike: %s', (_what, script) => {
    expect(script).toMatch(/^exec sh -c '[^'!\n]*'$/)
    expect(script).not.toContain('\\\\')
  })
})
