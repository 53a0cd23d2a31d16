import { closeSync, openSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { ReadStream } from 'node:tty'
import koffi from 'koffi'
import { groupIsInFront } from '../src/unlock/foreground.js'
import { LineTyped } from '../src/unlock/line-typed.js'
import { createTerminal, type TerminalOptions } from '../src/unlock/terminal.js'
import { later, makeTemporary } from './support.js'

const never = new AbortController().signal
const O_RDWR_NOCTTY = process.platform === 'linux' ? 0o402 : 0x20002

/** A terminal of which the test holds the other end. */
class FakeTerminal {
  readonly path: string
  readonly #master: number
  #shown = ''

  constructor() {
    const libc = koffi.load(null)
    const call = (signature: string) => libc.func(signature)
    this.#master = call('int posix_openpt(int flags)')(O_RDWR_NOCTTY)
    call('int grantpt(int fd)')(this.#master)
    call('int unlockpt(int fd)')(this.#master)
    this.path = call('const char *ptsname(int fd)')(this.#master)
    // While nobody has the terminal open, its other end reads as broken.
    const keptOpen = openSync(this.path, O_RDWR_NOCTTY)
    const output = new ReadStream(this.#master)
    output.on('data', chunk => {
      this.#shown += chunk.toString('latin1')
    })
    output.on('error', () => undefined)
    later(async () => {
      await new Promise(resolve => output.once('close', resolve).destroy())
      closeSync(keptOpen)
    })
  }

  get shown(): string {
    return this.#shown
  }

  type(text: string): void {
    writeSync(this.#master, Buffer.from(text, 'latin1'))
  }

  async until(text: string): Promise<void> {
    for (let i = 0; i < 2000 && !this.#shown.includes(text); i++) await new Promise(resolve => setTimeout(resolve, 10))
    expect(this.#shown).toContain(text)
  }

  /** Whether it echoes and edits lines, as terminals do that no program has taken over. */
  async checkRestored(): Promise<void> {
    this.type('echo\x7f\x7f?\n')
    await this.until('echo\b \b\b \b?\r\n')
  }
}

function setUp(more: TerminalOptions = {}) {
  const screen = new FakeTerminal()
  const terminal = createTerminal({ path: screen.path, isOurs: async () => true, ...more })
  return { screen, terminal }
}

describe('a passphrase', () => {
  test('is not shown, and the terminal is as before', async () => {
    const { screen, terminal } = setUp()
    const answer = terminal.passphrase('git wants id_work\npassphrase for id_work', never)
    await screen.until('git wants id_work\r\npassphrase for id_work: ')
    screen.type('open sesame\r')
    expect((await answer)?.toString()).toBe('open sesame')
    expect(screen.shown).not.toMatch(/open|sesame/)
    await screen.checkRestored()
  })

  test.each([
    ['a key that erases', 'opex\x7fn', 'open'],
    ['one that erases what is not there', '\x7f\x7fopen', 'open'],
    ['one that erases a letter of two bytes', 'op\xc3\xa4\x7fen', 'open'],
    ['one that erases all', 'wrong\x15open', 'open'],
    ['other controls', 'o\x01p\x1ben\t', 'open\t'],
    ['bytes as they stand', '\xc3\xa4\xff', '\xc3\xa4\xff'],
    ['what comes in one piece with more', 'open\nmore', 'open'],
  ])('%s', async (_, typed, expected) => {
    const { screen, terminal } = setUp()
    const answer = terminal.passphrase('pw', never)
    await screen.until('pw: ')
    screen.type(typed.includes('\n') ? typed : `${typed}\n`)
    expect((await answer)?.toString('latin1')).toBe(expected)
  })

  test.each([
    ['Ctrl-C', '\x03'],
    ['Ctrl-D', 'half\x04'],
    ['Ctrl-\\', '\x1c'],
  ])('%s is a no', async (_, typed) => {
    const { screen, terminal } = setUp()
    const answer = terminal.passphrase('pw', never)
    answer.catch(() => undefined)
    await screen.until('pw: ')
    screen.type(typed)
    await expect(answer).rejects.toMatchObject({ code: 'cancelled', message: 'stopped at the prompt' })
    await screen.checkRestored()
  })
})

describe('yes or no', () => {
  test.each([
    ['yes', true],
    ['YES', true],
    [' yes ', true],
    ['', false],
    ['y', false],
    ['no', false],
    ['yes please', false],
  ])('%j', async (typed, expected) => {
    const { screen, terminal } = setUp()
    const answer = terminal.confirm('Allow?', never)
    await screen.until('Allow? [yes/NO] ')
    screen.type(`${typed}\r`)
    expect(await answer).toBe(expected)
    await screen.until(`[yes/NO] ${typed}`)
    await screen.checkRestored()
  })

  test('what was typed before the question is no answer to it', async () => {
    const { screen, terminal } = setUp()
    screen.type('yes\n')
    const answer = terminal.confirm('Allow?', never)
    await screen.until('Allow? [yes/NO] ')
    expect(await Promise.race([answer, new Promise(resolve => setTimeout(resolve, 100, 'still asked'))])).toBe(
      'still asked',
    )
    screen.type('\r')
    expect(await answer).toBe(false)
  })

  test('… also where the process is so busy that it reads late', async () => {
    const { screen, terminal } = setUp()
    screen.type('yes\n')
    const busy = setInterval(() => {
      for (const end = performance.now() + 50; performance.now() < end; );
    }, 1)
    later(() => clearInterval(busy))
    const answer = terminal.confirm('Allow?', never)
    await screen.until('Allow? [yes/NO] ')
    clearInterval(busy)
    screen.type('\r')
    expect(await answer).toBe(false)
  })
})

describe('an end', () => {
  test('a client that leaves takes its question along, and the terminal is as before', async () => {
    const { screen, terminal } = setUp()
    const leaver = new AbortController()
    const answer = terminal.passphrase('pw', leaver.signal)
    answer.catch(() => undefined)
    await screen.until('pw: ')
    screen.type('half')
    leaver.abort()
    await expect(answer).rejects.toMatchObject({ code: 'cancelled' })
    await screen.until('did not wait for the answer\r\n')
    await screen.checkRestored()
  })

  test('nobody who answers in time is a no', async () => {
    const { screen, terminal } = setUp({ patience: { confirm: 100, passphrase: 100 } })
    await expect(terminal.confirm('ok?', never)).rejects.toMatchObject({ message: 'nobody answered within 1 s' })
    await screen.checkRestored()
  })

  test('one question at a time; one whose client leaves is dropped from the line', async () => {
    const { screen, terminal } = setUp()
    const leaver = new AbortController()
    const first = terminal.passphrase('first', never)
    const second = terminal.passphrase('second', leaver.signal)
    const third = terminal.passphrase('third', never)
    await screen.until('first: ')
    leaver.abort()
    await expect(second).rejects.toMatchObject({ code: 'cancelled' })
    expect(screen.shown).not.toMatch(/second|third/)
    screen.type('1\r')
    expect((await first)?.toString()).toBe('1')
    await screen.until('third: ')
    screen.type('3\r')
    expect((await third)?.toString()).toBe('3')
    expect(screen.shown).not.toMatch(/second/)
    await screen.checkRestored()
  })
})

describe('nobody can be asked', () => {
  test('where there is no terminal', async () => {
    const path = join(await makeTemporary(), 'none')
    const terminal = createTerminal({ path, isOurs: async () => true })
    expect(await terminal.passphrase('pw', never)).toBeUndefined()
    expect(await terminal.confirm('ok?', never)).toBeUndefined()
  })

  test('where it is another program that has the terminal', async () => {
    const { screen, terminal } = setUp({ isOurs: async () => false })
    expect(await terminal.passphrase('pw', never)).toBeUndefined()
    expect(screen.shown).toBe('')
  })

  test('where it is no terminal but a file: a trouble', async () => {
    const path = join(await makeTemporary(), 'file')
    closeSync(openSync(path, 'w'))
    const terminal = createTerminal({ path, isOurs: async () => true })
    await expect(terminal.passphrase('pw', never)).rejects.toMatchObject({ code: 'failed' })
  })

  test.each([
    ['in front', '7 (node) S 1 7 7 34816 7 4194304 1', true],
    ['behind', '7 (node) S 1 7 7 34816 9 4194304 1', false],
    ['no terminal', '7 (node) S 1 7 7 0 -1 4194304 1', false],
    ['a name that looks like more', '7 (a) S 1 9 9 0 9) S 1 7 7 34816 9 4194304 1', false],
    ['nothing', '', false],
  ])('%s', (_, stat, expected) => {
    expect(groupIsInFront(stat)).toBe(expected)
  })
})

test('a line is no longer than its room, and wiped', () => {
  const line = new LineTyped()
  for (let i = 0; i < 5000; i++) line.push(0x61)
  expect(line.take()).toHaveLength(1024)
  line.wipe()
  expect(line.take()).toHaveLength(0)
})
