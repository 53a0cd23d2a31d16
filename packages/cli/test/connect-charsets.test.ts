import type { Transform } from 'node:stream'
import { type Terminals, turnCharset } from '../src/commands/connect/charsets.js'

const japanese = { LANG: 'ja_JP.eucJP' }
const all: Terminals = { stdin: true, stdout: true, stderr: true }
const none: Terminals = { stdin: false, stdout: false, stderr: false }

async function through(stream: Transform | undefined, hex: string): Promise<string> {
  const parts: Buffer[] = []
  stream?.on('data', part => parts.push(part))
  stream?.end(Buffer.from(hex, 'hex'))
  await new Promise(resolve => stream?.on('end', resolve))
  return Buffer.concat(parts).toString('hex')
}

const utf8 = Buffer.from('表示').toString('hex')
const eucJp = 'c9bdbca8'
const shiftJis = '955c8ea6'

test.each([
  ['terminals that are EUC-JP', all, japanese, eucJp],
  ['pipes, whatever the locale says', none, japanese, utf8],
  ['terminals that are UTF-8', all, { LANG: 'C.UTF-8' }, utf8],
] as const)('a far side in Shift_JIS, here %s', async (_what, terminals, env, here) => {
  const turning = await turnCharset('SJIS', terminals, env, () => {})
  expect(turning?.far.name).toBe('shift_jis')
  expect(await through(turning?.output, shiftJis)).toBe(here)
  expect(await through(turning?.errors, shiftJis)).toBe(here)
  expect(await through(turning?.input, here)).toBe(shiftJis)
})

test('a terminal to type at, and a file for what comes', async () => {
  const turning = await turnCharset('shift_jis', { ...all, stdout: false }, japanese, () => {})
  expect(await through(turning?.output, shiftJis)).toBe(utf8)
  expect(await through(turning?.errors, shiftJis)).toBe(eucJp)
})

test('what the far side lacks is told once', async () => {
  const told: string[] = []
  const turning = await turnCharset('euc-jp', none, {}, ({ name }) => told.push(name))
  expect(await through(turning?.input, Buffer.from('😀あ😀').toString('hex'))).toBe('3fa4a23f')
  expect(told).toEqual(['euc-jp'])
})

test.each([undefined, 'none'])('%s: bytes are left as they are', async name => {
  expect(await turnCharset(name, all, japanese, () => {})).toBeUndefined()
})

test('a charset that is none', async () => {
  await expect(turnCharset('euc-pj', all, {}, () => {})).rejects.toMatchObject({ code: 'usage' })
})
