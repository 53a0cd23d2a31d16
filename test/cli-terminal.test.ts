import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { jest } from '@jest/globals'
import { succeed, takeSnapshot } from './cli-fixture.js'
import { type Home, temporaryHome } from './world/home.js'
import { peerPath } from './world/peers.js'
import { keytoolPath, runOrThrow } from './world/run.js'
import { openTerminal, type Terminal } from './world/terminal.js'

// What people see: questions, hidden passphrases, marks and colour, and Ctrl-C.

jest.setTimeout(120_000)

// Letters that nothing else on the screen has.
const SECRET = 'жщъ-ŵẑ-phrase'

let home: Home
let terminal: Terminal | undefined
const at = (name: string) => join(home.path, name)

beforeEach(async () => {
  home = await temporaryHome()
})
afterEach(async () => {
  await terminal?.close()
  terminal = undefined
  await home.dispose()
})

async function open(args: readonly string[], env: Record<string, string> = {}): Promise<Terminal> {
  const command = [process.execPath, keytoolPath, ...args]
  terminal = await openTerminal(command, { env: { ...home.env, ...env }, cwd: home.path, cols: 120 })
  return terminal
}

async function expectNeverShown(on: Terminal, secret = SECRET): Promise<void> {
  const written = await on.transcript()
  expect(written).not.toContain(secret)
  for (const letter of new Set(secret.match(/[^\x20-\x7e]/gu) ?? [])) expect(written).not.toContain(letter)
}

/** The questions of `gen`, in their order, and what answers each. */
const questions: readonly (readonly [asks: RegExp, answer: string])[] = [
  [/Kind of key/, '\r'],
  [/Where/, '\r'],
  [/Comment/, '\r'],
  [/passphrase for/i, `${SECRET}\r`],
  [/once more/i, `${SECRET}\r`],
]

describe('gen asks what it was not told', () => {
  test('and Enter is the right answer to all but the passphrase', async () => {
    const on = await open(['gen'])
    for (const [asks, answer] of questions) {
      await on.waitFor(asks)
      await on.type(answer)
    }
    expect(await on.exitStatus()).toBe(0)
    const screen = await on.screen()
    const made = /✓ private key {2}~\/\.ssh\/id_ed25519 +OpenSSH, aes256-ctr, bcrypt (\d+) rounds/.exec(screen)
    // How many, the machine's speed decides.
    expect(Number(made?.[1])).toBeGreaterThanOrEqual(24)
    expect(screen).toMatch(/✓ public key {3}~\/\.ssh\/id_ed25519\.pub/)
    expect(screen).toMatch(/256 SHA256:\S{43} \S+@\S+ \(ED25519\)/)
    expect(screen).toMatch(/Next: keytool install-pubkey/)
    await expectNeverShown(on)
    await runOrThrow(peerPath('ssh-keygen'), ['-y', '-P', SECRET, '-f', at('.ssh/id_ed25519')])
  })

  test('the kind by arrow keys, the rest as typed', async () => {
    const on = await open(['gen'])
    await on.waitFor(/Ed25519[\s\S]*RSA 3072[\s\S]*ECDSA 256/)
    await on.press('Down')
    await on.press('Down')
    await on.type('\r')
    await on.waitFor(/Where.*~\/\.ssh\/id_ecdsa/)
    await on.type('~/work key\r')
    await on.waitFor(/Comment/)
    await on.type('a label with spaces\r')
    await on.waitFor(/passphrase for ~\/work key/)
    await on.type(`${SECRET}\r`)
    await on.waitFor(/once more/)
    await on.type(`${SECRET}\r`)
    expect(await on.exitStatus()).toBe(0)
    expect(await readFile(at('work key.pub'), 'utf8')).toMatch(/^ecdsa-sha2-nistp256 \S+ a label with spaces\n$/)
    await expectNeverShown(on)
  })

  test('nothing but the passphrase with -t, and nothing at all with --no-passphrase as well', async () => {
    const on = await open(['gen', '-t', 'ed25519'])
    await on.waitFor(/passphrase for ~\/\.ssh\/id_ed25519/)
    expect(await on.screen()).not.toMatch(/Kind|Where|Comment/)
    await on.close()
    const other = await open(['gen', '-t', 'ed25519', '--no-passphrase'])
    expect(await other.exitStatus()).toBe(0)
  })

  test('two entries that differ are asked again', async () => {
    const on = await open(['gen', '-t', 'ed25519', '-f', 'key'])
    await on.waitFor(/passphrase for/)
    await on.type(`${SECRET}\r`)
    await on.waitFor(/once more/)
    await on.type('something else\r')
    await on.waitFor(/differ/)
    // The question stands there once more, below the answered one.
    await on.waitFor(/differ[\s\S]*passphrase for/)
    expect((await readdir(home.path)).sort()).toEqual(['.ssh', 'run'])
    await on.type(`${SECRET}\r`)
    await on.waitFor(/differ[\s\S]*once more/)
    await on.type(`${SECRET}\r`)
    expect(await on.exitStatus()).toBe(0)
    await runOrThrow(peerPath('ssh-keygen'), ['-y', '-P', SECRET, '-f', at('key')])
    await expectNeverShown(on)
  })

  test('an empty passphrase is asked for again, and refused the third time: 5', async () => {
    const before = await takeSnapshot(home.path)
    const on = await open(['gen', '-t', 'ed25519'])
    for (let tries = 1; tries <= 3; tries++) {
      await on.waitFor(new RegExp(`(passphrase for[^]*){${tries}}`))
      await on.type('\r')
    }
    expect(await on.exitStatus()).toBe(5)
    expect(await on.screen()).toMatch(/empty passphrase[\s\S]*--no-passphrase/)
    expect(await takeSnapshot(home.path)).toEqual(before)
  })

  test('corrections while typing count, and do not show', async () => {
    const on = await open(['gen', '-t', 'ed25519', '-f', 'key'])
    for (const asks of [/passphrase for/, /once more/]) {
      await on.waitFor(asks)
      await on.type(`${SECRET}я`)
      await on.press('BSpace')
      await on.type('\r')
    }
    expect(await on.exitStatus()).toBe(0)
    await runOrThrow(peerPath('ssh-keygen'), ['-y', '-P', SECRET, '-f', at('key')])
    await expectNeverShown(on, `${SECRET}я`)
  })

  test('Ctrl-T reveals nothing', async () => {
    const on = await open(['gen', '-t', 'ed25519'])
    await on.waitFor(/passphrase for/)
    await on.type(SECRET)
    await on.waitFor(/•{5}/)
    await on.press('C-t')
    await on.press('C-t')
    await on.type('\r')
    await on.waitFor(/once more/)
    await expectNeverShown(on)
  })
})

describe('how strong a passphrase is', () => {
  const gen = ['gen', '-t', 'ed25519', '-f', 'key']

  test('stands beside the input while it is typed, and changes with it', async () => {
    const on = await open(gen)
    await on.waitFor(/passphrase for/)
    await on.type('password')
    await on.waitFor(/passphrase for key •{8} {2}very weak$/m)
    await on.type(`-${SECRET}-${SECRET}`)
    await on.waitFor(/•{20,} {2}(strong|very strong)$/m)
    for (let n = 0; n < 60; n++) await on.press('BSpace')
    await on.waitFor(/passphrase for key$/m)
    await on.type(`${SECRET}\r`)
    await on.waitFor(/once more/)
    await on.type(SECRET)
    await on.waitFor(/once more •+$/m)
    await on.type('\r')
    expect(await on.exitStatus()).toBe(0)
    await expectNeverShown(on)
    expect(await on.transcript()).not.toContain('password')
    await runOrThrow(peerPath('ssh-keygen'), ['-y', '-P', SECRET, '-f', at('key')])
  })

  test('what the file tells about itself is weak', async () => {
    const on = await open(['gen', '-t', 'ed25519', '-f', 'rumpelstilzchen'])
    await on.waitFor(/passphrase for/)
    await on.type('rumpelstilzchen')
    await on.waitFor(/•{15} {2}(very weak|weak)$/m)
  })

  test('the length of an answer is not told afterwards', async () => {
    const on = await open(gen)
    await on.waitFor(/passphrase for/)
    await on.type('a long one, longer than most, that goes on and on\r')
    await on.waitFor(/passphrase for key •{12}(?!•)[\s\S]*once more/)
  })

  test('is not asked of a passphrase that is there already', async () => {
    await sealedKey()
    const on = await open(['convert', 'sealed', '--to', 'ppk', '-o', 'out'])
    await on.waitFor(/passphrase for/)
    await on.type('password')
    await on.waitFor(/•{8}/)
    expect(await on.screen()).not.toMatch(/weak|strong/)
  })
})

describe('a passphrase made up', () => {
  /** Goes through the questions of `gen` up to the offer, which Enter alone brings. */
  async function openOffer(): Promise<Terminal> {
    const on = await open(['gen'])
    for (const [asks, answer] of questions.slice(0, 3)) {
      await on.waitFor(asks)
      await on.type(answer)
    }
    await on.waitFor(/passphrase for .*Enter: make one up/)
    await on.type('\r')
    await on.waitFor(/Make one up for you\?/)
    return on
  }
  const words = /^ {4}((?:[a-z]{3,8}-){5}[a-z]{3,8})$[\s\S]*type it/m

  test('is shown once, and opens the key once it was typed back', async () => {
    const on = await openOffer()
    await on.type('\r')
    const [, made = ''] = await on.waitFor(words)
    expect(await on.screen()).toMatch(/66 bits; it is kept nowhere/)
    await on.type(`${made}\r`)
    expect(await on.exitStatus()).toBe(0)
    expect((await on.transcript()).split(made)).toHaveLength(2)
    await runOrThrow(peerPath('ssh-keygen'), ['-y', '-P', made, '-f', at('.ssh/id_ed25519')])
  })

  test('is never the same', async () => {
    const seen = new Set<string | undefined>()
    for (let n = 0; n < 2; n++) {
      const on = await openOffer()
      await on.type('y\r')
      seen.add((await on.waitFor(words))[1])
      await on.close()
    }
    expect(seen.size).toBe(2)
  })

  test('declined: asked for again, without a word that is not so', async () => {
    const on = await openOffer()
    await on.type('n\r')
    await on.waitFor(/Make one up for you\? No[\s\S]*passphrase for/)
    await on.type(`${SECRET}\r`)
    await on.waitFor(/once more/)
    await on.type(`${SECRET}\r`)
    expect(await on.exitStatus()).toBe(0)
    await runOrThrow(peerPath('ssh-keygen'), ['-y', '-P', SECRET, '-f', at('.ssh/id_ed25519')])
    await expectNeverShown(on)
  })

  test('mistyped twice, then right', async () => {
    const on = await openOffer()
    await on.type('\r')
    const [, made = ''] = await on.waitFor(words)
    await on.type('something-else\r')
    await on.waitFor(/that is not it, 2 tries left[\s\S]*type it/)
    await on.type('\r')
    await on.waitFor(/that is not it, one try left[\s\S]*type it/)
    await on.type(`${made}\r`)
    expect(await on.exitStatus()).toBe(0)
    await runOrThrow(peerPath('ssh-keygen'), ['-y', '-P', made, '-f', at('.ssh/id_ed25519')])
  })

  test('mistyped three times: it is not taken, and nobody is told of an empty one', async () => {
    const before = await takeSnapshot(home.path)
    const on = await openOffer()
    await on.type('\r')
    await on.waitFor(words)
    for (const left of [
      /2 tries left[\s\S]*type it/,
      /one try left[\s\S]*type it/,
      /one try left[\s\S]*that is not it/,
    ]) {
      await on.type('something-else\r')
      await on.waitFor(left)
    }
    await on.waitFor(/one try left[\s\S]*that is not it[\s\S]*passphrase for/)
    expect(await on.screen()).not.toMatch(/empty/)
    await on.type('\u0003')
    expect(await on.exitStatus()).toBe(130)
    expect(await takeSnapshot(home.path)).toEqual(before)
  })

  test.each([
    ['the offer', []],
    ['typing it back', ['\r']],
    ['typing it back again', ['\r', 'something-else\r']],
  ] as [string, string[]][])('Ctrl-C at %s: 130, nothing on disk', async (_, answers) => {
    const before = await takeSnapshot(home.path)
    const on = await openOffer()
    for (const answer of answers) {
      await on.type(answer)
      await on.waitFor(answer === '\r' ? /type it/ : /2 tries left[\s\S]*type it/)
    }
    await on.type('\u0003')
    expect(await on.exitStatus()).toBe(130)
    expect(await takeSnapshot(home.path)).toEqual(before)
  })

  test('is not offered to those who were not led: -t', async () => {
    const on = await open(['gen', '-t', 'ed25519'])
    await on.waitFor(/passphrase for/)
    await on.type('\r')
    await on.waitFor(/empty passphrase/)
    expect(await on.screen()).not.toMatch(/make one up/i)
  })
})

describe('work that takes its time', () => {
  const TRIES = 6

  test('is shown on a terminal, and gone afterwards', async () => {
    // Now and then two primes are found at once, and there is nothing to tell.
    for (let n = 1; ; n++) {
      const on = await open(['gen', '-t', 'rsa', '-b', '4096', '-f', `key${n}`, '--no-passphrase'])
      expect(await on.exitStatus(60_000)).toBe(0)
      expect(await on.screen()).toMatch(/^✓ private key/)
      expect(await on.screen()).not.toMatch(/making/)
      const shown = /[⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏] making the rsa 4096 key {2}\d+ s/.test(await on.transcript())
      await on.close()
      if (shown) return
      expect(n).toBeLessThan(TRIES)
    }
  })

  test('a fleet is counted', async () => {
    const on = await open(['gen', '-t', 'rsa', '--count', '6', '-f', 'key%d', '--no-passphrase'])
    expect(await on.exitStatus(60_000)).toBe(0)
    expect(await on.transcript()).toMatch(/making 6 keys/)
    expect(await on.screen()).toMatch(/^✓ 6 keys/)
  })

  test('not with --quiet', async () => {
    const on = await open(['gen', '-t', 'rsa', '--count', '3', '-f', 'key%d', '--no-passphrase', '--quiet'])
    expect(await on.exitStatus(60_000)).toBe(0)
    expect(await on.screen()).toBe('')
    expect(await on.transcript()).not.toMatch(/making/)
  })
})

describe('passphrase asks for the old one, then for the new one', () => {
  beforeEach(() => sealedKey())
  const NEW = 'ёюя another Ѭ one'
  const steps: readonly (readonly [asks: RegExp, answer: string])[] = [
    [/passphrase for sealed/, `${SECRET}\r`],
    [/new passphrase for sealed/, `${NEW}\r`],
    [/once more/, `${NEW}\r`],
  ]

  test('and each question says which', async () => {
    const on = await open(['passphrase', 'sealed'])
    for (const [asks, answer] of steps) {
      await on.waitFor(asks)
      await on.type(answer)
    }
    expect(await on.exitStatus()).toBe(0)
    expect(await on.screen()).toMatch(/✓ .*sealed {2}OpenSSH, aes256-ctr, bcrypt/)
    await runOrThrow(peerPath('ssh-keygen'), ['-y', '-P', NEW, '-f', at('sealed')])
    await expectNeverShown(on)
    await expectNeverShown(on, NEW)
  })

  test.each([0, 1, 2])('Ctrl-C at question %s: 130, and nothing has changed', async n => {
    const before = await takeSnapshot(home.path)
    const on = await open(['passphrase', 'sealed'])
    for (const [i, [, answer]] of steps.slice(0, n).entries()) {
      await on.waitFor(new RegExp(`(\\? .*){${i + 1}}`, 's'))
      await on.type(answer)
    }
    await on.waitFor(new RegExp(`(\\? .*){${n + 1}}`, 's'))
    await on.type('half\u0003')
    expect(await on.exitStatus()).toBe(130)
    expect(await takeSnapshot(home.path)).toEqual(before)
    await expectNeverShown(on)
  })

  test('three wrong old ones: 5, and nothing has changed', async () => {
    const before = await takeSnapshot(home.path)
    const on = await open(['passphrase', 'sealed'])
    for (const asks of [/passphrase for/, /2 tries left[\s\S]*passphrase for/, /one try left[\s\S]*passphrase for/]) {
      await on.waitFor(asks)
      await on.type('wrong\r')
    }
    expect(await on.exitStatus()).toBe(5)
    expect(await on.screen()).toMatch(/wrong passphrase for .*sealed/)
    expect(await takeSnapshot(home.path)).toEqual(before)
  })

  test('--remove asks for the old one only', async () => {
    const on = await open(['passphrase', 'sealed', '--remove'])
    await on.waitFor(/passphrase for sealed/)
    await on.type(`${SECRET}\r`)
    expect(await on.exitStatus()).toBe(0)
    await runOrThrow(peerPath('ssh-keygen'), ['-y', '-P', '', '-f', at('sealed')])
  })

  test('an empty new one three times: 5, with what takes a passphrase away', async () => {
    const before = await takeSnapshot(home.path)
    const on = await open(['passphrase', 'sealed'])
    await on.waitFor(/passphrase for/)
    await on.type(`${SECRET}\r`)
    for (let n = 2; n <= 4; n++) {
      await on.waitFor(new RegExp(`(passphrase for[\\s\\S]*){${n}}`))
      await on.type('\r')
    }
    expect(await on.exitStatus()).toBe(5)
    expect(await on.screen()).toMatch(/--remove/)
    expect(await takeSnapshot(home.path)).toEqual(before)
  })
})

describe('comment', () => {
  beforeEach(() => sealedKey())

  test('asks for the passphrase, and Ctrl-C leaves all as it was', async () => {
    const before = await takeSnapshot(home.path)
    const on = await open(['comment', 'sealed', 'another'])
    await on.waitFor(/passphrase for sealed/)
    await on.type('\u0003')
    expect(await on.exitStatus()).toBe(130)
    expect(await takeSnapshot(home.path)).toEqual(before)
    await on.close()
    const again = await open(['comment', 'sealed', 'another'])
    await again.waitFor(/passphrase for sealed/)
    await again.type(`${SECRET}\r`)
    expect(await again.exitStatus()).toBe(0)
    expect(await readFile(at('sealed.pub'), 'utf8')).toMatch(/ another\n$/)
    await expectNeverShown(again)
  })
})

describe('a file that hides its public half', () => {
  beforeEach(async () => {
    const args = ['-q', '-t', 'rsa', '-b', '2048', '-m', 'PEM', '-C', 'c', '-N', SECRET, '-f', at('hidden')]
    await runOrThrow(peerPath('ssh-keygen'), args, { env: home.env })
  })

  test.each([['public'], ['fingerprint']])('%s asks; stdout has nothing but the answer', async command => {
    const script = '"$@" >out'
    const words = ['/bin/sh', '-c', script, 'sh', process.execPath, keytoolPath, command, 'hidden']
    terminal = await openTerminal(words, { env: home.env, cwd: home.path })
    await terminal.waitFor(/passphrase for hidden/)
    await terminal.type(`${SECRET}\r`)
    expect(await terminal.exitStatus()).toBe(0)
    const theirs = command === 'public' ? ['-y', '-P', SECRET] : ['-l']
    const { stdout } = await runOrThrow(peerPath('ssh-keygen'), [...theirs, '-f', at('hidden.pub')]).catch(() =>
      runOrThrow(peerPath('ssh-keygen'), [...theirs, '-f', at('hidden')]),
    )
    expect((await readFile(at('out'), 'utf8')).split(' ').slice(0, 2)).toEqual(stdout.trim().split(' ').slice(0, 2))
    await expectNeverShown(terminal)
  })

  test('inspect does not ask', async () => {
    const on = await open(['inspect', 'hidden'])
    expect(await on.exitStatus()).toBe(0)
    expect(await on.screen()).toMatch(/its public half is encrypted, too/)
  })
})

test('a passphrase in the other Unicode form opens the file, with a note', async () => {
  const forms = { typed: 'caf\u00e9 \u0159e\u0159icha', sealed: 'cafe\u0301 r\u030cer\u030cicha' }
  const args = ['-q', '-t', 'ed25519', '-a', '1', '-C', 'c', '-N', forms.sealed, '-f', at('mac')]
  await runOrThrow(peerPath('ssh-keygen'), args, { env: home.env })
  const on = await open(['comment', 'mac', 'another'])
  await on.waitFor(/passphrase for mac/)
  await on.type(`${forms.typed}\r`)
  expect(await on.exitStatus()).toBe(0)
  expect(await on.screen()).toMatch(/^mac opens with the same passphrase in another Unicode form \(NFD: /m)
  await expectNeverShown(on, forms.typed)
  // The passphrase of the file stays what it was.
  await runOrThrow(peerPath('ssh-keygen'), ['-y', '-P', forms.sealed, '-f', at('mac')])
})

describe('Ctrl-C and Ctrl-D leave everything as it was: 130', () => {
  const stops = questions.flatMap(([asks], n) =>
    [
      ['Ctrl-C', '\u0003'],
      ['Ctrl-D', '\u0004'],
    ].map(([name, key]) => [name, String(asks), n, key] as [string, string, number, string]),
  )
  test.each(stops)('%s at %s', async (_name, _asks, n, key) => {
    const before = await takeSnapshot(home.path)
    const on = await open(['gen'])
    for (const [asks, answer] of questions.slice(0, n)) {
      await on.waitFor(asks)
      await on.type(answer)
    }
    await on.waitFor(questions[n]?.[0] ?? /never/)
    await on.type(key)
    expect(await on.exitStatus()).toBe(130)
    expect(await on.screen()).not.toMatch(/ExitPrompt|\n\s+at /)
    expect(await takeSnapshot(home.path)).toEqual(before)
    await expectNeverShown(on)
  })

  test('at the passphrase of a key', async () => {
    await sealedKey()
    const before = await takeSnapshot(home.path)
    const on = await open(['convert', 'sealed', '--to', 'ppk', '-o', 'out'])
    await on.waitFor(/passphrase for ~\/sealed|passphrase for sealed/)
    await on.type(`half${'\u0003'}`)
    expect(await on.exitStatus()).toBe(130)
    expect(await takeSnapshot(home.path)).toEqual(before)
  })
})

describe('gen over a file that is there', () => {
  beforeEach(async () => {
    await succeed(home, ['gen', '--no-passphrase', '-f', 'key', '-C', 'the old one'])
  })

  test.each([
    ['Enter', '\r', 4],
    ['n', 'n\r', 4],
    ['Ctrl-C', '\u0003', 130],
  ])('asks, and %s means no', async (_, answer, status) => {
    const before = await takeSnapshot(home.path)
    const on = await open(['gen', '-t', 'ed25519', '-f', 'key', '--no-passphrase'])
    await on.waitFor(/key is there already\. Replace it\?/)
    await on.type(answer)
    expect(await on.exitStatus()).toBe(status)
    expect(await takeSnapshot(home.path)).toEqual(before)
  })

  test('y replaces both files, asked once', async () => {
    const on = await open(['gen', '-t', 'ed25519', '-f', 'key', '--no-passphrase', '-C', 'the new one'])
    await on.waitFor(/Replace it\?/)
    await on.type('y\r')
    expect(await on.exitStatus()).toBe(0)
    const line = await readFile(at('key.pub'), 'utf8')
    expect(line).toContain('the new one')
    expect(await succeed(home, ['public', 'key'])).toBe(line)
  })
})

/** A key that ssh-keygen sealed with one round of bcrypt. */
async function sealedKey(): Promise<void> {
  const args = ['-q', '-t', 'ed25519', '-a', '1', '-C', 'c', '-N', SECRET, '-f', at('sealed')]
  await runOrThrow(peerPath('ssh-keygen'), args, { env: home.env })
}

describe('the passphrase of a key', () => {
  beforeEach(sealedKey)

  test('three wrong ones: 5, and nothing was written', async () => {
    const before = await takeSnapshot(home.path)
    const on = await open(['convert', 'sealed', '--to', 'ppk', '-o', 'out'])
    await on.waitFor(/passphrase for/)
    await on.type('wrong one\r')
    await on.waitFor(/2 tries left[\s\S]*passphrase for/)
    await on.type('wrong two\r')
    await on.waitFor(/one try left[\s\S]*passphrase for/)
    await on.type('wrong three\r')
    expect(await on.exitStatus()).toBe(5)
    expect(await on.screen()).toMatch(/keytool: wrong passphrase for .*sealed/)
    for (const wrong of ['wrong one', 'wrong two', 'wrong three']) expect(await on.transcript()).not.toContain(wrong)
    expect(await takeSnapshot(home.path)).toEqual(before)
  })

  test('a wrong one, then the right one; with stdout to a file it is asked on stderr', async () => {
    const script = '"$@" >out'
    terminal = await openTerminal(
      [
        '/bin/sh',
        '-c',
        script,
        'sh',
        process.execPath,
        keytoolPath,
        'convert',
        'sealed',
        '--to',
        'ppk',
        '--no-passphrase',
      ],
      { env: home.env, cwd: home.path },
    )
    await terminal.waitFor(/passphrase for/)
    await terminal.type('wrong\r')
    await terminal.waitFor(/2 tries left[\s\S]*passphrase for/)
    await terminal.type(`${SECRET}\r`)
    expect(await terminal.exitStatus()).toBe(0)
    expect(await readFile(at('out'), 'utf8')).toMatch(/^PuTTY-User-Key-File-3[\s\S]*Private-MAC: [0-9a-f]{64}\n$/)
    await expectNeverShown(terminal)
  })

  test('is not asked for where a file gives it, and a wrong file is not retried', async () => {
    await writeFile(at('wrong'), 'wrong\n')
    const on = await open(['convert', 'sealed', '--to', 'ppk', '--passphrase-file', 'wrong'])
    expect(await on.exitStatus()).toBe(5)
    expect(await on.screen()).not.toMatch(/tries|try left|\? /)
  })

  test('SSH_ASKPASS is not asked on a terminal, unless it is preferred', async () => {
    await writeFile(at('askpass'), `#!/bin/sh\necho '${SECRET}'\n`, { mode: 0o755 })
    const on = await open(['convert', 'sealed', '--to', 'ppk', '-o', 'out'], { SSH_ASKPASS: at('askpass') })
    await on.waitFor(/passphrase for/)
    await on.type('\u0003')
    expect(await on.exitStatus()).toBe(130)
    await on.close()
    const preferred = { SSH_ASKPASS: at('askpass'), SSH_ASKPASS_REQUIRE: 'prefer' }
    const other = await open(['convert', 'sealed', '--to', 'ppk', '-o', 'out'], preferred)
    expect(await other.exitStatus()).toBe(0)
  })

  test.each([['inspect'], ['fingerprint'], ['public']])('%s never asks', async command => {
    const on = await open([command, 'sealed'])
    expect(await on.exitStatus()).toBe(0)
  })
})

describe('marks and colour', () => {
  const gen = ['gen', '-t', 'ed25519', '--no-passphrase', '-f', 'key', '-C', 'c']
  /** SGR sequences that set a colour. */
  // biome-ignore lint/suspicious/noControlCharactersInRegex: it is what is looked for
  const coloured = /\u001b\[[0-9;]*3[0-7][0-9;]*m/

  test('a green ✓ and a red name of the program', async () => {
    const on = await open(gen)
    expect(await on.exitStatus()).toBe(0)
    expect(await on.transcript()).toContain('\u001b[32m✓')
    await on.close()
    const refused = await open(['inspect', 'absent'])
    expect(await refused.exitStatus()).toBe(3)
    expect(await refused.transcript()).toContain('\u001b[31mkeytool:')
  })

  test.each([
    ['NO_COLOR', [], { NO_COLOR: '1' }],
    ['--no-color', ['--no-color'], {}],
    ['a dumb terminal', [], { TERM: 'dumb' }],
  ] as [string, string[], Record<string, string>][])('no colour with %s', async (_, more, env) => {
    // tmux sets TERM itself, so env(1) has to.
    const command = ['/usr/bin/env', ...Object.entries(env).map(([name, value]) => `${name}=${value}`)]
    terminal = await openTerminal([...command, process.execPath, keytoolPath, ...gen, ...more], {
      env: home.env,
      cwd: home.path,
    })
    expect(await terminal.exitStatus()).toBe(0)
    expect(await terminal.transcript()).not.toMatch(coloured)
    expect(await terminal.screen()).toContain('✓')
    await terminal.close()
    terminal = await openTerminal([...command, process.execPath, keytoolPath, 'inspect', 'absent', ...more], {
      env: home.env,
      cwd: home.path,
    })
    expect(await terminal.exitStatus()).toBe(3)
    expect(await terminal.transcript()).not.toMatch(coloured)
  })

  test.each([
    ['NO_COLOR', [], { NO_COLOR: '1' }],
    ['--no-color', ['--no-color'], {}],
  ] as [string, string[], Record<string, string>][])('questions without colour, too, with %s', async (_, more, env) => {
    const on = await open(['gen', ...more], env)
    await on.waitFor(/Kind of key/)
    await on.type('\r')
    await on.waitFor(/Where/)
    expect(await on.transcript()).not.toMatch(coloured)
  })

  test('ok in place of ✓ where the locale has no such letter', async () => {
    const on = await open(gen, { LANG: 'C' })
    expect(await on.exitStatus()).toBe(0)
    expect(await on.screen()).toMatch(/^ok private key/)
  })
})
