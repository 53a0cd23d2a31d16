import { chmod, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { jest } from '@jest/globals'
import { expectRefused, runIn, succeed, takeSnapshot } from './cli-fixture.js'
import { type Home, temporaryHome } from './world/home.js'
import { peerPath } from './world/peers.js'
import { keytoolPath, type RunResult, run, runOrThrow } from './world/run.js'
import { startKeytool } from './world/start.js'

// Where a passphrase comes from: a file, standard input, SSH_ASKPASS; and that it goes nowhere else.

jest.setTimeout(90_000)

const SECRET = 'correct horse battery'

let home: Home
const at = (name: string) => join(home.path, name)

beforeEach(async () => {
  home = await temporaryHome()
})
afterEach(() => home.dispose())

/** A key in `sealed` with this passphrase, made by ssh-keygen with one round of bcrypt. */
async function seal(secret: string = SECRET): Promise<void> {
  const args = ['-q', '-t', 'ed25519', '-a', '1', '-C', 'c', '-N', secret, '-f', at('sealed')]
  await runOrThrow(peerPath('ssh-keygen'), args, { env: home.env })
}

const open = (source: string, input?: string | Uint8Array, ...more: string[]): Promise<RunResult> =>
  runIn(home, ['convert', 'sealed', '--to', 'openssh', '--no-passphrase', '--passphrase-file', source, ...more], {
    ...(input !== undefined && { input }),
  })
const opened = { status: 0, stderr: '', stdout: expect.stringMatching(/^-----BEGIN OPENSSH/) }

describe("a passphrase file's first line is the passphrase", () => {
  test.each([
    ['with a newline', SECRET, `${SECRET}\n`],
    ['without one', SECRET, SECRET],
    ['with CRLF', SECRET, `${SECRET}\r\n`],
    ['more lines after it', SECRET, `${SECRET}\nanother\n\n`],
    ['more lines after it, in CRLF', SECRET, `${SECRET}\r\nanother\r\n`],
    ['a NUL in a later line', SECRET, `${SECRET}\n\0\n`],
    ['spaces before and after', '  in the middle\t ', '  in the middle\t \n'],
    ['only spaces', '   ', '   \n'],
    ['UTF-8', 'ключ 鍵 clé 🔑', 'ключ 鍵 clé 🔑\n'],
    ['a word that looks like an option', '--no-passphrase', '--no-passphrase\n'],
    ['what a shell would take for more', '$(touch x)"\'\\', '$(touch x)"\'\\\n'],
    ['a thousand characters', 'x'.repeat(1000), `${'x'.repeat(1000)}\n`],
  ])('%s', async (_, secret, content) => {
    await seal(secret)
    await writeFile(at('secret'), content)
    expect(await open('secret')).toMatchObject(opened)
    expect(await open('-', content)).toMatchObject(opened)
  })

  test.each([
    ['no trimming', `${SECRET} \n`],
    ['a byte order mark is part of it', `\ufeff${SECRET}\n`],
    ['a later line is not tried', `another\n${SECRET}\n`],
    ['an empty first line is an empty passphrase', `\n${SECRET}\n`],
  ])('%s', async (_, content) => {
    await seal()
    expect(await open('-', content)).toMatchObject({ status: 5, stdout: '' })
  })

  test('bytes that are no UTF-8 are taken as they are', async () => {
    await seal('placeholder')
    const bytes = Buffer.from([0x63, 0x6c, 0xe9])
    await succeed(home, ['gen', '--passphrase-file', '-', '-f', 'latin', '--format', 'ppk'], { input: bytes })
    const args = ['convert', 'latin', '--to', 'openssh', '--no-passphrase', '--passphrase-file', '-']
    expect(await runIn(home, args, { input: bytes })).toMatchObject(opened)
    expect(await runIn(home, args, { input: 'cl\ufffd' })).toMatchObject({ status: 5 })
  })

  test('a lone carriage return at the end of the file is no line end', async () => {
    await seal(`${SECRET}\r`)
    expect(await open('-', `${SECRET}\r`)).toMatchObject(opened)
  })

  test('a pipe is as good as a file', async () => {
    await seal()
    const script = 'mkfifo fifo; printf "%s\\n" "$SECRET" >fifo & exec "$@"'
    const call = [process.execPath, keytoolPath, 'convert', 'sealed', '--to', 'ppk', '--passphrase-file', 'fifo']
    const env = { ...home.env, SECRET }
    expect(await run('/bin/sh', ['-c', script, 'sh', ...call], { env, cwd: home.path })).toMatchObject({ status: 0 })
  })
})

describe('standard input', () => {
  test('that stays open after the first line does not hold it up', async () => {
    await seal()
    const args = ['convert', 'sealed', '--to', 'ppk', '--no-passphrase', '--passphrase-file', '-']
    const running = await startKeytool(args, { env: home.env, cwd: home.path })
    // In two pieces, as a person types; what comes after is nobody's.
    running.write(SECRET.slice(0, 5))
    await sleep(200)
    running.write(`${SECRET.slice(5)}\nmore`)
    const ended = await Promise.race([running.exit, sleep(20_000, 'it waits', { ref: false })])
    await running.stop()
    expect(ended).toEqual({ status: 0, signal: null })
    expect(running.stdout.text).toMatch(/^PuTTY-User-Key-File-3/)
  })

  test('that never ends its line is given up', async () => {
    await seal()
    expect(await open('-', 'x'.repeat(100_000))).toMatchObject({ status: 6, stdout: '' })
  })

  test('gives the new passphrase, the file the old one', async () => {
    await seal()
    await writeFile(at('old'), SECRET)
    const secrets = ['--passphrase-file', 'old', '--new-passphrase-file', '-']
    await succeed(home, ['convert', 'sealed', '--to', 'openssh', '-o', 'out', ...secrets], { input: 'another\n' })
    await runOrThrow(peerPath('ssh-keygen'), ['-y', '-P', 'another', '-f', at('out')])
  })

  test('is not touched by a command that needs no secret', async () => {
    await seal()
    for (const args of [
      ['inspect', 'sealed'],
      ['fingerprint', 'sealed'],
      ['public', 'sealed'],
      ['gen', '--no-passphrase'],
    ]) {
      const running = await startKeytool(args, { env: home.env, cwd: home.path })
      const ended = await Promise.race([running.exit, sleep(20_000, 'it waits', { ref: false })])
      await running.stop()
      expect(ended).toEqual({ status: 0, signal: null })
    }
  })
})

describe('SSH_ASKPASS', () => {
  /** An askpass program that notes its arguments, one a line, and then does what the script says. */
  async function askpass(script: string, name = 'askpass'): Promise<string> {
    const lines = ['#!/bin/sh', `printf '%s\\n' "$#" "$@" >>'${at('asked')}'`, script, '']
    await writeFile(at(name), lines.join('\n'))
    await chmod(at(name), 0o755)
    return at(name)
  }

  const convert = ['convert', 'sealed', '--to', 'ppk', '--no-passphrase']
  const withAskpass = (program: string, require?: string) => ({
    env: { ...home.env, SSH_ASKPASS: program, ...(require !== undefined && { SSH_ASKPASS_REQUIRE: require }) },
  })

  test.each([undefined, 'force', 'prefer'])('is asked without a terminal (SSH_ASKPASS_REQUIRE %s)', async require => {
    await seal()
    const program = await askpass(`echo '${SECRET}'`)
    expect(await runIn(home, convert, withAskpass(program, require))).toMatchObject({ status: 0, stderr: '' })
    // The prompt is one argument, and names the key.
    expect(await readFile(at('asked'), 'utf8')).toMatch(/^1\n.*passphrase.*sealed.*\n$/)
  })

  test('is not asked with SSH_ASKPASS_REQUIRE=never', async () => {
    await seal()
    const program = await askpass(`echo '${SECRET}'`)
    await expectRefused(home, convert, { status: 5, code: 'secret-needed' }, withAskpass(program, 'never'))
  })

  test('is not asked when a file is named', async () => {
    await seal()
    const program = await askpass("echo 'not this one'")
    const options = { ...withAskpass(program, 'force'), input: `${SECRET}\n` }
    expect(await runIn(home, [...convert, '--passphrase-file', '-'], options)).toMatchObject({ status: 0 })
    await expect(readFile(at('asked'))).rejects.toMatchObject({ code: 'ENOENT' })
  })

  test('gives a new passphrase, asked twice', async () => {
    const program = await askpass(`echo '${SECRET}'`)
    await succeed(home, ['gen', '-f', 'made'], withAskpass(program))
    await runOrThrow(peerPath('ssh-keygen'), ['-y', '-P', SECRET, '-f', at('made')])
    expect((await readFile(at('asked'), 'utf8')).split('\n').filter(line => line === '1')).toHaveLength(2)
  })

  test('that answers differently each time is asked no more than three times', async () => {
    const program = await askpass('date +%N')
    const before = await readFile(program)
    const result = await runIn(home, ['gen', '-f', 'made'], withAskpass(program))
    expect(result).toMatchObject({ status: 5, stdout: '' })
    expect((await readFile(at('asked'), 'utf8')).split('\n').filter(line => line === '1')).toHaveLength(6)
    expect(await readFile(program)).toEqual(before)
    await expect(readFile(at('made'))).rejects.toMatchObject({ code: 'ENOENT' })
  })

  test('an answer in CRLF, in UTF-8, with spaces is taken as it is', async () => {
    await seal(' clé 鍵 ')
    const program = await askpass("printf ' clé 鍵 \\r\\nmore\\n'")
    expect(await runIn(home, convert, withAskpass(program))).toMatchObject({ status: 0 })
  })

  test.each([
    ['fails', 'echo nothing; exit 1', 'secret-needed'],
    ['was cancelled', 'exit 1', 'secret-needed'],
    ['is killed', 'kill -9 $$', 'secret-needed'],
    ['answers wrongly', 'echo another', 'secret-wrong'],
    ['answers with an empty line', 'echo', 'secret-wrong'],
  ])('one that %s: 5', async (_, script, code) => {
    await seal()
    // Not one that notes its arguments: nothing on disk may change.
    await writeFile(at('askpass'), `#!/bin/sh\n${script}\n`, { mode: 0o755 })
    await expectRefused(home, convert, { status: 5, code }, withAskpass(at('askpass'), 'force'))
  })

  test.each(['nothing', 'an empty line'])('one that prints %s is no new passphrase: 5', async what => {
    await writeFile(at('askpass'), `#!/bin/sh\n${what === 'nothing' ? 'true' : 'echo'}\n`, { mode: 0o755 })
    const refusal = { status: 5, code: 'secret-needed', says: /empty passphrase/ }
    await expectRefused(home, ['gen', '-f', 'made'], refusal, withAskpass(at('askpass'), 'force'))
  })

  test('one that is missing or no program: 5, named', async () => {
    await seal()
    await writeFile(at('no-program'), 'text', { mode: 0o644 })
    for (const name of ['absent', 'no-program']) {
      const refusal = { status: 5, code: 'secret-needed', says: new RegExp(name) }
      await expectRefused(home, convert, refusal, withAskpass(at(name), 'force'))
    }
  })

  test('one that writes without end is ended: 5', async () => {
    await seal()
    await writeFile(at('askpass'), '#!/bin/sh\nexec yes endless\n', { mode: 0o755 })
    await expectRefused(home, convert, { status: 5, code: 'secret-needed' }, withAskpass(at('askpass'), 'force'))
  })

  test('the name of a key stays one argument, and clean, whatever is in it', async () => {
    await seal()
    const name = `a $(touch x) "q" 'q' \u001b[31m`
    await writeFile(at(name), await readFile(at('sealed')))
    const program = await askpass(`echo '${SECRET}'`)
    const args = ['convert', name, '--to', 'ppk', '--no-passphrase']
    expect(await runIn(home, args, withAskpass(program))).toMatchObject({ status: 0 })
    const asked = await readFile(at('asked'), 'utf8')
    expect(asked).toMatch(/^1\n.*\$\(touch x\).*\n$/)
    expect(asked).not.toContain('\u001b')
    await expect(readFile(at('x'))).rejects.toMatchObject({ code: 'ENOENT' })
  })

  test('it is told no secret, by argument or environment', async () => {
    await seal()
    await writeFile(at('right'), `${SECRET}\n`)
    const program = await askpass(`tr '\\0' '\\n' </proc/$$/environ >'${at('environment')}'; echo 'new one'`)
    const before = (await takeSnapshot(home.path)).length
    const args = ['gen', '-f', 'made', '--format', 'ppk']
    await succeed(home, args, withAskpass(program, 'force'))
    expect((await takeSnapshot(home.path)).length).toBe(before + 4)
    for (const file of ['asked', 'environment']) expect(await readFile(at(file), 'utf8')).not.toMatch(/new one/)
    // The environment is the caller's own, nothing added.
    const names = (await readFile(at('environment'), 'utf8')).split('\n').map(line => line.split('=')[0])
    const own = Object.keys(withAskpass(program, 'force').env)
    expect(names.filter(name => name && ![...own, 'PWD', 'OLDPWD', 'SHLVL', '_'].includes(name))).toEqual([])
  })
})
