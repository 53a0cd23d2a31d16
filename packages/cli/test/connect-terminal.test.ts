import { environmentFor } from '../src/commands/connect/environment.js'
import { openLocalTerminal } from '../src/commands/connect/local-terminal.js'
import { readModes } from '../src/commands/connect/terminal-modes.js'

const coreutils = `speed 38400 baud; rows 24; columns 80; line = 0;
intr = ^C; quit = ^\\; erase = ^H; kill = ^U; eof = ^D; eol = <undef>; eol2 = M-^?; swtch = <undef>; start = ^Q; stop = ;; susp = ^Z; rprnt = ^R; werase = ^W; lnext = ^V; discard = ^O; min = 1; time = 0;
-parenb -parodd -cmspar cs8 -hupcl -cstopb cread -clocal -crtscts
-ignbrk -brkint -ignpar -parmrk -inpck -istrip -inlcr -igncr icrnl -ixon -ixoff -iuclc -ixany -imaxbel iutf8
opost -olcuc -ocrnl onlcr -onocr -onlret -ofill -ofdel nl0 cr0 tab0 bs0 vt0 ff0
isig icanon iexten echo echoe echok -echonl -noflsh -xcase -tostop -echoprt echoctl echoke -flusho -extproc
`
const bsd = `speed 9600 baud; 24 rows; 80 columns;
lflags: icanon isig iexten echo echoe -echok echoke -echonl echoctl
	-echoprt -altwerase -noflsh -tostop -flusho pendin -nokerninfo -extproc
iflags: -istrip icrnl -inlcr -igncr ixon -ixoff ixany imaxbel -iutf8 -ignbrk brkint -inpck -ignpar -parmrk
oflags: opost onlcr -oxtabs -onocr -onlret
cflags: cread cs8 -parenb -parodd hupcl -clocal -cstopb -crtscts -dsrflow -dtrflow -mdmbuf
cchars: discard = ^O; dsusp = ^Y; eof = ^D; eol = <undef>; eol2 = <undef>; erase = ^?; intr = ^C; kill = ^U; lnext = ^V;
	min = 1; quit = ^\\; reprint = ^R; start = ^Q; status = ^T; stop = ^S; susp = ^Z; time = 0; werase = ^W;
`

describe('modes of a terminal', () => {
  test('as coreutils says them', () => {
    const modes = readModes(coreutils)
    expect(modes).toMatchObject({ VINTR: 3, VQUIT: 28, VERASE: 8, VEOL: 255, VEOL2: 255, VSTOP: 59, VREPRINT: 18 })
    expect(modes).toMatchObject({
      IXON: 0,
      ICRNL: 1,
      IUTF8: 1,
      OPOST: 1,
      ONLCR: 1,
      ISIG: 1,
      XCASE: 0,
      CS8: 1,
      PARENB: 0,
    })
    expect(modes).toMatchObject({ TTY_OP_ISPEED: 38400, TTY_OP_OSPEED: 38400 })
    expect(Object.keys(modes)).not.toContain('MIN')
  })

  test('as BSD and macOS say them', () => {
    const modes = readModes(bsd)
    expect(modes).toMatchObject({ VERASE: 127, VDSUSP: 25, VSTATUS: 20, VREPRINT: 18, VQUIT: 28 })
    expect(modes).toMatchObject({ ECHOK: 0, PENDIN: 1, IXANY: 1, IUTF8: 0, IMAXBEL: 1, TTY_OP_OSPEED: 9600 })
  })

  test.each(['', 'intr = ', 'intr = ^^^C;', 'speed 99999999 baud;', '\x00'.repeat(1000)])('nothing from %j', text => {
    expect(readModes(text)).toEqual({})
  })
})

describe('the terminal here', () => {
  function fake(isTTY = true) {
    const done: string[] = []
    const listeners = new Set<() => void>()
    const stdin = { isTTY, setRawMode: (raw: boolean) => done.push(raw ? 'raw' : 'cooked') }
    const stdout = {
      isTTY,
      columns: 100,
      rows: 30,
      write: (text: string) => done.push(text),
      on: (_event: 'resize', listener: () => void) => listeners.add(listener),
      off: (_event: 'resize', listener: () => void) => listeners.delete(listener),
    }
    const terminal = openLocalTerminal(stdin, [stdout], { TERM: 'vt100' }, (...args) => {
      done.push(`stty ${args.join(' ')}`)
      return args[0] === '-a' ? coreutils : ''
    })
    return { terminal, done, listeners, stdout }
  }

  test('is asked for its modes, made raw, and is as it was afterwards, once', () => {
    const before = process.listenerCount('exit')
    const { terminal, done, listeners } = fake()
    expect(terminal).toMatchObject({ type: 'vt100', modes: { VERASE: 8 } })
    terminal.enter()
    terminal.enter()
    expect(process.listenerCount('exit')).toBe(before + 1)
    terminal.leave()
    terminal.leave()
    expect(done).toEqual(['stty -a', 'raw', 'stty -opost', 'cooked'])
    expect(process.listenerCount('exit')).toBe(before)
    expect(listeners.size).toBe(0)
  })

  test('is as it was when the process ends meanwhile', () => {
    const { terminal, done } = fake()
    const before = process.listeners('exit')
    terminal.enter()
    const [restore] = process.listeners('exit').filter(listener => !before.includes(listener))
    restore?.call(process, 1)
    expect(done.at(-1)).toBe('cooked')
  })

  test('tells its size whenever that changes', () => {
    const { terminal, listeners, stdout } = fake()
    const sizes: object[] = []
    terminal.onResize(size => sizes.push(size))
    terminal.enter()
    stdout.columns = 80
    for (const listener of listeners) listener()
    terminal.leave()
    expect(sizes).toEqual([{ columns: 80, rows: 30 }])
    expect(terminal.size()).toEqual({ columns: 80, rows: 30 })
  })

  test('shows our own words from the left, raw or not', () => {
    const { terminal, done } = fake()
    terminal.tell('a\nb\n')
    terminal.enter()
    terminal.tell('a\nb\n')
    terminal.leave()
    expect(done).toEqual(['stty -a', 'a\nb\n', 'raw', 'stty -opost', 'a\r\nb\r\n', 'cooked'])
  })

  test('is left alone where there is none', () => {
    const { terminal, done } = fake(false)
    terminal.enter()
    terminal.leave()
    expect(done).toEqual([])
    expect(terminal.size()).toEqual({ columns: 80, rows: 24 })
  })
})

describe('variables for the server', () => {
  const env = { LANG: 'ja_JP.UTF-8', LC_TIME: 'C', LC_: 'x', EDITOR: 'vi', SECRET: 's', GIT_A: '1', GIT_BC: '2' }
  const nothing = { sendEnv: [], setEnv: {} }

  test('the locale, and what ssh_config names', () => {
    expect(environmentFor(nothing, false, env)).toEqual({ LANG: 'ja_JP.UTF-8', LC_TIME: 'C', LC_: 'x' })
    const settings = { sendEnv: ['GIT_?', 'E*R', 'S.CRET', '[A-Z]*'], setEnv: { LANG: 'C', A: 'b' } }
    expect(environmentFor(settings, false, env)).toEqual({
      LANG: 'C',
      LC_TIME: 'C',
      LC_: 'x',
      EDITOR: 'vi',
      GIT_A: '1',
      A: 'b',
    })
  })

  test('no locale where the far side’s charset is another', () => {
    expect(environmentFor({ sendEnv: ['LC_*', 'GIT_A'], setEnv: {} }, true, env)).toEqual({ GIT_A: '1' })
  })
})
