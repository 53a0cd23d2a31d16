import { readSaved } from '../src/config/putty/saved.js'
import { exported, ROOT } from './putty-files.js'

// Files as large as they may be, made to cost as much as they can.

const header = 'Windows Registry Editor Version 5.00\n'

test('100,000 sessions: refused as a whole, at once', () => {
  const lines = Array.from({ length: 100_000 }, (_, i) => `[${ROOT}\\Sessions\\${i}]`)
  expect(() => readSaved(exported(...lines), 'x')).toThrow(
    expect.objectContaining({ code: 'damaged', message: 'there are over 10000 sessions or host keys in it' }),
  )
})

test.each([
  ['blanks', `${header}[a]${' '.repeat(4_000_000)}x`],
  ['brackets', `${header}${'['.repeat(4_000_000)}`],
  ['closed brackets', `${header}[${'] '.repeat(2_000_000)}x`],
  ['escapes', `${header}[a]\n"b"="${'\\\\'.repeat(2_000_000)}`],
  ['equals', `HostName=a\n${'='.repeat(4_000_000)}`],
  ['a line without an end', `HostName=a\nx${'y'.repeat(4_000_000)}`],
  ['host keys', `HostName=a\n${'a@1:'.repeat(1_000_000)}`],
  ['host keys of a file', `a@1:b 0x1\n${'a@1:'.repeat(1_000_000)}`],
  ['sections', `[SshHostKeys]\n${'[\n'.repeat(1_000_000)}`],
])('4 MB of %s are read or refused without a detour', (_, text) => {
  let code = 'read'
  try {
    readSaved(Buffer.from(text), 'x')
  } catch (error) {
    code = (error as { code: string }).code
  }
  expect(['read', 'damaged']).toContain(code)
})
