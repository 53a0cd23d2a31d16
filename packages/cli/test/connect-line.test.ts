import { Writable } from 'node:stream'
import { readCommandLine, readEscape } from '../src/commands/connect/command-line.js'
import type { Context } from '../src/context.js'
import { Say } from '../src/say.js'

function contextFor(written: string[] = []): Context {
  const sink = new Writable({
    write(text, _encoding, done) {
      written.push(String(text))
      done()
    },
  })
  const say = new Say({ name: 'keytool', home: '/home/hana', stdout: sink, stderr: sink, env: {} })
  return { name: 'keytool', env: {}, say, stdin: process.stdin, program: '' } as unknown as Context
}

const read = (...args: string[]) => readCommandLine(args, contextFor())

describe('a line is read as ssh reads it', () => {
  test.each<[string[], string, string | undefined, object]>([
    [['mail'], 'mail', undefined, {}],
    [['mail', 'ls'], 'mail', 'ls', {}],
    [['mail', 'ls', '-l', '--json', '-p', '1'], 'mail', 'ls -l --json -p 1', {}],
    [['-p', '229', 'hana@host', 'ls', '-p', '1'], 'hana@host', 'ls -p 1', { port: '229' }],
    [['host', '-p', '229', 'ls', '-p', '1'], 'host', 'ls -p 1', { port: '229' }],
    [['-l', 'hana', 'host', '--charset', 'euc-jp'], 'host', undefined, { login: 'hana', charset: 'euc-jp' }],
    [['host', '--charset=euc-jp', 'cat', 'a  b'], 'host', 'cat a  b', { charset: 'euc-jp' }],
    [['host', '--', '-x', 'y'], 'host', '-x y', {}],
    [['--', 'host', '-p', '1'], 'host', '-p 1', {}],
    [['-A', 'host', '-a'], 'host', undefined, { forwardAgent: false }],
    [['-t', 'host', 'top'], 'host', 'top', { tty: true }],
    [['-T', 'host'], 'host', undefined, { tty: false }],
    [['-tt', 'host', 'sh', '-tt'], 'host', 'sh -tt', { forceTty: true }],
    [['host', '-tt', 'sh'], 'host', 'sh', { forceTty: true }],
    [['-o', 'A=1', 'host', '-o', 'B=2', 'x'], 'host', 'x', { option: ['A=1', 'B=2'] }],
    [['-e', 'none', 'host'], 'host', undefined, { escape: 'none' }],
    [['host', '-', '-p'], 'host', '- -p', {}],
    [['host', ''], 'host', undefined, {}],
  ])('%j', (args, destination, command, options) => {
    const line = read(...args)
    expect(line).toMatchObject({ destination, options })
    expect(line?.command).toBe(command)
  })

  test.each([[[]], [['--charset']], [['--unknown', 'host']], [['host', '--unknown']], [['host', '-p']]])(
    'usage: %j',
    args => {
      expect(() => read(...args)).toThrow(expect.objectContaining({ code: 'usage' }))
    },
  )

  test('help, before the destination and behind it', () => {
    for (const args of [['--help'], ['host', '--help']]) {
      const written: string[] = []
      expect(readCommandLine(args, contextFor(written))).toBeUndefined()
      expect(written.join('')).toContain('--charset <charset>')
      expect(written.join('')).toContain('connect hana@example.com --charset euc-jp')
    }
  })
})

describe('the escape character', () => {
  test.each([
    [undefined, 0x7e],
    ['none', undefined],
    ['^B', 2],
    ['^b', 2],
    ['^[', 0x1b],
    ['%', 0x25],
    ['^', 0x5e],
  ])('%j', (text, byte) => {
    expect(readEscape(text)).toBe(byte)
  })

  test.each(['', 'ab', '^', 'é', ' ', '\n', '^^^'].filter(text => text !== '^'))('usage: %j', text => {
    expect(() => readEscape(text)).toThrow(expect.objectContaining({ code: 'usage' }))
  })
})
