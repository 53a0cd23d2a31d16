import { PassThrough } from 'node:stream'
import { KeytoolError } from '@keytool/keygen'
import { parseForward, type TunnelEvent } from '@keytool/tunnel'
import { sayTroubles } from '../src/commands/tunnel/say-trouble.js'
import { Say } from '../src/say.js'

let now: number
let stderr: PassThrough
let tell: (event: TunnelEvent) => void

beforeEach(() => {
  now = 1_000_000
  stderr = new PassThrough()
  const say = new Say({ name: 'keytool', home: '', stdout: new PassThrough(), stderr, env: {} })
  tell = sayTroubles(say, false, { now: () => now })
})

const said = () => String(stderr.read() ?? '')
const forward = { spec: parseForward('local', '1110:a:110'), place: '127.0.0.1:1110' }
const trouble = (message: string, count = 1, isMixed = false): TunnelEvent => ({
  kind: 'trouble',
  forward,
  error: new KeytoolError('refused', message),
  count,
  isMixed,
  at: 0,
})

test('the same trouble once a minute, another at once', () => {
  tell(trouble('no a'))
  tell(trouble('no a', 99))
  tell(trouble('no b', 30, true))
  expect(said()).toBe('127.0.0.1:1110 -> a:110: no a\n127.0.0.1:1110 -> a:110: no b, and 29 like it\n')
  now += 60_000
  tell(trouble('no a'))
  expect(said()).toBe('127.0.0.1:1110 -> a:110: no a\n')
})

test('what was said is remembered up to a number: the oldest is forgotten first', () => {
  for (let i = 0; i < 257; i++) tell(trouble(`no ${i}`))
  said()
  tell(trouble('no 1'))
  expect(said()).toBe('')
  tell(trouble('no 0'))
  expect(said()).toBe('127.0.0.1:1110 -> a:110: no 0\n')
})

test('what stays behind is said; words from afar are escaped, and other news has its own place', () => {
  tell({ kind: 'leftover', forward, error: new KeytoolError('failed', "/run/x can't be removed: EACCES"), at: 0 })
  tell(trouble('no\n\u001b[31m'))
  tell({ kind: 'roused', why: 'wake', at: 0 })
  expect(said()).toBe(
    "127.0.0.1:1110 -> a:110: /run/x can't be removed: EACCES\n127.0.0.1:1110 -> a:110: no\\u{a}\\u{1b}[31m\n",
  )
})
