import { PassThrough } from 'node:stream'
import type { RunningTunnel } from '@keytool/tunnel'
import { showLive } from '../src/commands/tunnel/live.js'
import { renderTunnel, showSize, showTime } from '../src/commands/tunnel/render.js'
import { Say } from '../src/say.js'

const forward = {
  kind: 'local' as const,
  listen: '127.0.0.1:1110',
  to: 'localhost:110',
  state: 'up' as const,
  connections: 5,
  open: 2,
  bytesIn: 14_541,
  bytesOut: 1_127,
  lastError: null,
}
const now = Date.parse('2026-11-29T12:03:12Z')
const tunnel: RunningTunnel = {
  version: 1,
  name: 'mail',
  pid: 4711,
  state: 'up',
  since: '2026-11-29T12:00:00Z',
  until: null,
  reconnects: 2,
  lastError: 'the connection was lost',
  forwards: [forward, { ...forward, kind: 'remote', listen: 'localhost:8080', to: 'localhost:80', state: 'unknown' }],
}

test('a tunnel that is up: a line for itself, and one for each forward', () => {
  expect(renderTunnel(tunnel, { now, unicode: true })).toEqual(
    [
      'mail   up 00:03:12   reconnects 2   pid 4711',
      '  127.0.0.1:1110 -> localhost:110         alive  2 conns, 5 so far  14.2 KiB ↓  1.1 KiB ↑',
      '  server localhost:8080 -> localhost:80  -      2 conns, 5 so far  14.2 KiB ↓  1.1 KiB ↑',
    ].map(line => line.replace('localhost:110         ', 'localhost:110        ')),
  )
  expect(renderTunnel(tunnel, { now, unicode: false })[1]).toMatch(/14\.2 KiB in {2}1\.1 KiB out$/)
})

test('one that waits says why, and when it tries again; a dead forward says why', () => {
  const waiting: RunningTunnel = {
    ...tunnel,
    state: 'waiting',
    until: '2026-11-29T12:03:20Z',
    forwards: [{ ...forward, state: 'dead', lastError: "the server can't reach localhost:110" }],
  }
  expect(renderTunnel(waiting, { now, unicode: true, title: 'mail.example as hana' })).toEqual([
    'mail.example as hana   waiting 00:03:12, next try in 00:00:08   reconnects 2   pid 4711',
    "  127.0.0.1:1110 -> localhost:110  dead  2 conns, 5 so far  14.2 KiB ↓  1.1 KiB ↑  the server can't reach localhost:110",
    '  the connection was lost',
  ])
  expect(renderTunnel({ ...tunnel, state: 'stopped', pid: null }, { now, unicode: true })[0]).toBe(
    'mail   stopped 00:03:12   reconnects 2',
  )
})

test('times and sizes are short', () => {
  expect([0, 999, 61_000, 3_600_000, 90_061_000, -5].map(showTime)).toEqual([
    ...['00:00:00', '00:00:00', '00:01:01', '01:00:00', '1 d 01:01:01', '00:00:00'],
  ])
  expect([0, 1023, 1024, 14_541, 1 << 20, 3 * 2 ** 30, 2 ** 52].map(showSize)).toEqual([
    ...['0 B', '1023 B', '1.0 KiB', '14.2 KiB', '1.0 MiB', '3.0 GiB', '4096.0 TiB'],
  ])
})

test('what a server said reaches no terminal raw, and no line is longer than the terminal', () => {
  const evil = `\u001b]0;owned\u0007\u001b[2J\u009b31m\u202e\n\r${'漢字'.repeat(100)}`
  const stdout = Object.assign(new PassThrough(), { isTTY: true, columns: 40, rows: 5 })
  const say = new Say({ name: 'keytool', home: '', stdout, stderr: stdout, env: { LANG: 'C.UTF-8' } })
  const down: RunningTunnel = {
    ...tunnel,
    state: 'waiting',
    lastError: evil,
    forwards: Array.from({ length: 9 }, () => ({ ...forward, state: 'dead', lastError: evil, to: evil })),
  }
  const hide = showLive(() => down, evil, say)
  const shown = String(stdout.read())
  expect(shown.replaceAll('\n', '')).not.toMatch(/[\p{Cc}\p{Cf}]/u)
  const lines = shown.trimEnd().split('\n')
  expect(lines.length).toBeLessThan(5)
  // Each of these is two cells wide.
  for (const line of lines) expect(line.length + (line.match(/[漢字]/g)?.length ?? 0)).toBeLessThan(40)
  hide()
  expect(String(stdout.read())).toBe(`\u001b[${lines.length}F\u001b[J`)
})
