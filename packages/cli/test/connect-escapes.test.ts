import { Escapes, escapeStream, helpOnEscapes, showEscape } from '../src/commands/connect/escapes.js'

const TILDE = 0x7e

/** What comes out: text, and commands in angles. */
function typed(pieces: readonly string[], character = TILDE): string {
  const escapes = new Escapes(character)
  const parts = pieces.flatMap(piece => escapes.read(Buffer.from(piece, 'latin1')))
  return [...parts, escapes.end()]
    .map(part => (typeof part === 'string' ? `<${part}>` : Buffer.from(part).toString('latin1')))
    .join('')
}

describe('escapes at the beginning of a line, as ssh has them', () => {
  test.each([
    ['~.', '<end>'],
    ['ls\r~.', 'ls\r<end>'],
    ['ls\n~.', 'ls\n<end>'],
    ['ls ~.', 'ls ~.'],
    ['ls ~/x\r', 'ls ~/x\r'],
    ['~/x\r', '~/x\r'],
    ['~~.\r', '~.\r'],
    ['~~~\r', '~~\r'],
    ['~?~#~\x1a~.', '<help><forwards><suspend><end>'],
    ['~?ls', '<help>ls'],
    ['a\r~?b\r~#c', 'a\r<help>b\r<forwards>c'],
    ['~\r~.', '~\r<end>'],
    ['~x~.', '~x~.'],
    ['~', '~'],
    ['~~', '~'],
    ['~constructor', '~constructor'],
    ['\x00\xff\r~\xff', '\x00\xff\r~\xff'],
  ])('%j', (keys, expected) => {
    expect(typed([keys])).toBe(expected)
    // Key by key it is the same.
    expect(typed([...keys])).toBe(expected)
  })

  test('another character', () => {
    expect(typed(['\x02.~.\r\x02\x02\r\x02?'], 2)).toBe('<end>~.\r\x02\r<help>')
  })

  test('as a stream, in order', async () => {
    const seen: string[] = []
    const stream = escapeStream(new Escapes(TILDE), command => seen.push(`<${command}>`))
    stream.on('data', part => seen.push(String(part)))
    stream.write('ls\r~')
    stream.write('?cd\r~x')
    stream.end('\r~')
    await new Promise(resolve => stream.on('end', resolve))
    expect(seen.join('')).toBe('ls\r<help>cd\r~x\r~')
  })

  test('help names the character in use', () => {
    expect(helpOnEscapes(showEscape(2))).toContain(' ^B.   end the connection')
    expect(helpOnEscapes(showEscape(TILDE))).toMatch(/^~\?\n(.*\n)* ~~ /)
  })
})
