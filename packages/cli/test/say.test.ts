import { PassThrough } from 'node:stream'
import { Say } from '../src/say.js'

function stage(isTTY: boolean): { say: Say; out: () => string; err: () => string } {
  const stdout = Object.assign(new PassThrough(), { isTTY })
  const stderr = Object.assign(new PassThrough(), { isTTY })
  const say = new Say({ name: 'keytool', home: '/home/hana', stdout, stderr, env: { LANG: 'C.UTF-8' } })
  return { say, out: () => String(stdout.read() ?? ''), err: () => String(stderr.read() ?? '') }
}

const hostile = 'a\u001b]0;pwned\u0007\u001b[2Jb\u009b31mc\u202ed\u001b[8me\rf'

describe.each([true, false])('on a terminal: %s', isTTY => {
  test('nothing that a terminal could act on passes, whoever forgot to escape it', () => {
    const { say, out, err } = stage(isTTY)
    say.line(hostile)
    say.done(hostile)
    say.note(hostile)
    say.prompt(hostile)
    const mark = isTTY ? '\u001b[32m✓\u001b[0m' : 'ok'
    const shown = 'a\\u{1b}]0;pwned\\u{7}\\u{1b}[2Jb\\u{9b}31mc\\u{202e}d\\u{1b}[8me\\u{d}f'
    expect(out()).toBe(`${shown}\n${mark} ${shown}\n`)
    expect(err()).toBe(`${shown}\n${shown}\n`)
  })

  test('our own colours and line ends do', () => {
    const { say, out } = stage(isTTY)
    say.line(`one ${say.paint('red', 'two')}\nthree`)
    expect(out()).toBe(isTTY ? 'one \u001b[31mtwo\u001b[0m\nthree\n' : 'one two\nthree\n')
  })

  test('a colour that is not ours passes on no pipe', () => {
    const { say, out } = stage(isTTY)
    say.line('\u001b[31mred')
    expect(out()).toBe(isTTY ? '\u001b[31mred\n' : '\\u{1b}[31mred\n')
  })
})
