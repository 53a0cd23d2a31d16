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

describe('lines at the foot', () => {
  const up = (rows: number) => `\u001b[${rows}F\u001b[J`

  function terminal(columns: number, rows = 24) {
    const stdout = Object.assign(new PassThrough(), { isTTY: true, columns, rows })
    const say = new Say({ name: 'keytool', home: '', stdout, stderr: stdout, env: { LANG: 'C.UTF-8' } })
    return { stdout, say, out: () => String(stdout.read() ?? '') }
  }

  test('stay below what else is said, and can be taken away', () => {
    const { say, out } = terminal(80)
    say.block(['one', 'two'])
    expect(out()).toBe('one\ntwo\n')
    say.note('a note')
    expect(out()).toBe(`${up(2)}a note\none\ntwo\n`)
    say.block(['three'])
    expect(out()).toBe(`${up(2)}three\n`)
    say.block([])
    expect(out()).toBe(up(1))
    say.line('after')
    expect(out()).toBe('after\n')
  })

  test('are cut to the terminal, and taken away whole after it broke them', () => {
    const { stdout, say, out } = terminal(21, 4)
    say.block(['x'.repeat(30), '漢'.repeat(15), 'e\u0301'.repeat(20), 'not', 'shown'])
    expect(out()).toBe(`${'x'.repeat(20)}\n${'漢'.repeat(10)}\n${'e\u0301'.repeat(20)}\n`)
    Object.assign(stdout, { columns: 10, rows: 24 })
    say.block(['gone'])
    expect(out()).toBe(`${up(6)}gone\n`)
  })

  test('make room for a question; what is said meanwhile is held back, but for what it is about and for errors', () => {
    const { say, out } = terminal(80)
    say.block(['one'])
    out()
    const show = say.hideBlock()
    expect(out()).toBe(up(1))
    for (let i = 0; i < 300; i++) say.note(`note ${i}`)
    say.block(['two'])
    expect(out()).toBe('')
    say.prompt('that was refused')
    say.error(new Error('x'))
    expect(out()).toMatch(/^that was refused\n.*keytool:/)
    show()
    const lines = out().trimEnd().split('\n')
    expect(lines).toHaveLength(201)
    expect(lines.slice(-2)).toEqual(['note 299', 'two'])
  })

  test.each(['json', 'quiet'])('there are none with --%s', flag => {
    const { say, out } = terminal(80)
    say.configure({ [flag]: true })
    say.block(['one'])
    expect(out()).toBe('')
  })
})
