import { isKeytoolError, KeytoolError } from '@keytool/keygen'
import type { ExecOptions, ExecResult } from '../src/connection/connection.js'
import type { KeyFile } from '../src/servers/key-file.js'
import { openKeyFile } from '../src/servers/open-key-file.js'
import { readScript, replaceScript } from '../src/servers/scripts.js'
import { explainFailure } from '../src/servers/shell-failures.js'
import { readFindings } from '../src/servers/shell-findings.js'
import { MAX_FILE, readAnswer } from '../src/servers/shell-run.js'

const marker = 'keytool-0123'

/** A server whose shell answers what the test says; it is told the marker. No SFTP. */
function answering(answer: (marker: string, script: string) => Partial<ExecResult> | string) {
  return {
    async exec(script: string, { stdin = Buffer.alloc(0) }: ExecOptions = {}): Promise<ExecResult> {
      const told = Buffer.from(stdin).toString('latin1').split('\n')[0] ?? ''
      const said = answer(told, script)
      const result = typeof said === 'string' ? { stdout: Buffer.from(said, 'latin1') } : said
      return { status: 0, stdout: Buffer.alloc(0), stderr: Buffer.alloc(0), ...result }
    },
    openSubsystem: () => Promise.reject(new KeytoolError('refused', 'the server does not give the subsystem sftp')),
  }
}

const open = (answer: Parameters<typeof answering>[0]): Promise<KeyFile> =>
  openKeyFile(answering(answer), { way: 'shell' })

async function failureOf(work: Promise<unknown>): Promise<KeytoolError> {
  const error = await work.then(
    () => undefined,
    (caught: unknown) => caught,
  )
  if (!isKeytoolError(error)) throw new Error(`no failure of ours: ${error}`)
  expect(JSON.stringify(error)).not.toMatch(/\\u001b|\\u202e/)
  expect(`${error.message} ${error.reason}`.length).toBeLessThan(1000)
  expect(error.message).not.toContain('undefined')
  return error
}

describe('what stands between the marks', () => {
  test.each([
    ['nothing', '', 'none'],
    ['another marker', 'keytool-9999 begin\nfile x\n\nkeytool-9999 end\n', 'none'],
    ['the marker alone, as cat says it', `${marker}\nother\n`, 'none'],
    ['a begin without an end', `${marker} begin\nfile x\nabc`, 'cut'],
    ['an end without its newline', `${marker} begin\nfile x\nabc\n${marker} end`, 'cut'],
    ['an end before the begin', `\n${marker} end\n${marker} begin\n`, 'cut'],
  ])('%s is no answer', (_what, output, wanted) => {
    expect(readAnswer(Buffer.from(output), marker)).toBe(wanted)
  })

  test.each([
    ['greetings around it', `hello${marker} begin\nfile x y\nabc\n${marker} end\nbye`, 'file', 'x y', 'abc'],
    ['an empty file', `${marker} begin\nfile x\n\n${marker} end\n`, 'file', 'x', ''],
    ['a body with newlines', `${marker} begin\nfile x\n\n\na\n\n${marker} end\n`, 'file', 'x', '\n\na\n'],
    ['no body', `${marker} begin\ndone\n${marker} end\n`, 'done', '', ''],
    [
      'an end within the file',
      `${marker} begin\nfile x\n${marker} end\nb\n${marker} end\n`,
      'file',
      'x',
      `${marker} end\nb`,
    ],
  ])('%s', (_what, output, word, rest, body) => {
    expect(readAnswer(Buffer.from(output), marker)).toEqual({ word, rest, body: Buffer.from(body) })
  })
})

describe('a server that does not do as asked', () => {
  const colours = '\u001b[2J\u202e'
  const file = (told: string) => `${told} begin\nfile .ssh/authorized_keys\n# mine\n\n${told} end\n`

  test.each([
    ['runs no shell', () => ({ stdout: Buffer.from(`This account is for mail only.${colours}\n`) }), 'unsupported'],
    ['knows no exec', () => ({ status: 127, stderr: Buffer.from(`exec: not found ${colours}`) }), 'unsupported'],
    ['says a lot', () => ({ stderr: Buffer.from('x'.repeat(200_000)) }), 'unsupported'],
    ['stops in the middle', (m: string) => `${m} begin\nfile x\n`, 'failed'],
    ['answers something else', (m: string) => `${m} begin\n${colours}\n\n${m} end\n`, 'failed'],
    [
      'fails in words of its own',
      (m: string) => `${m} begin\nfail ${colours}\n${colours.repeat(500)}\n${m} end\n`,
      'failed',
    ],
    [
      'fails by the name of what every object has',
      (m: string) => `${m} begin\nfail constructor\n\n${m} end\n`,
      'failed',
    ],
    [
      'sends more than a file may hold',
      (m: string) => `${m} begin\nfile x\n${'#'.repeat(MAX_FILE + 1)}\n${m} end\n`,
      'damaged',
    ],
  ])('%s', async (_what, answer, code) => {
    expect(await failureOf(open(answer))).toMatchObject({ code })
  })

  test('one that answers without end has no shell', async () => {
    const connection = {
      ...answering(() => ''),
      exec: () => Promise.reject(new KeytoolError('damaged', 'the command says more than 1 bytes')),
    }
    expect(await failureOf(openKeyFile(connection))).toMatchObject({ code: 'unsupported' })
  })

  test('one that never answers has none either, and what both ways failed by is told', async () => {
    const connection = {
      ...answering(() => ''),
      exec: () => Promise.reject(new KeytoolError('unreachable', 'the command is not done after 20 s')),
    }
    expect(await failureOf(openKeyFile(connection))).toMatchObject({
      code: 'unsupported',
      reason: expect.stringContaining('not done after 20 s'),
    })
  })

  test('a replacement counts as done only when it says so', async () => {
    for (const word of ['', 'file x', 'Done', 'none']) {
      const opened = await open((told, script) =>
        script === readScript ? file(told) : `${told} begin\n${word}\n${told} end\n`,
      )
      expect(await failureOf(opened.replace(Buffer.from('a'), Buffer.from('b')))).toMatchObject({ code: 'failed' })
    }
  })

  test('nothing above a mebibyte is sent', async () => {
    const scripts: string[] = []
    const opened = await open((told, script) => {
      scripts.push(script)
      return file(told)
    })
    const large = Buffer.alloc(MAX_FILE + 1, '#')
    expect(await failureOf(opened.replace(Buffer.alloc(0), large))).toMatchObject({ code: 'damaged' })
    expect(scripts).toEqual([readScript])
  })

  test('what varies reaches it on its input only', async () => {
    const seen: { script: string; stdin: string }[] = []
    const connection = {
      ...answering(() => ''),
      async exec(script: string, { stdin = Buffer.alloc(0) }: ExecOptions = {}): Promise<ExecResult> {
        const text = Buffer.from(stdin).toString('latin1')
        seen.push({ script, stdin: text })
        const told = text.split('\n')[0]
        const word = script === readScript ? 'none .ssh/authorized_keys' : 'done'
        return { status: 0, stdout: Buffer.from(`${told} begin\n${word}\n${told} end\n`), stderr: Buffer.alloc(0) }
      },
      software: "dropbear'; rm -rf ~\n",
    }
    const opened = await openKeyFile(connection)
    const hostile = "'; touch /tmp/x; echo '$(id)`id`\n"
    expect(await opened.replace(Buffer.alloc(0), Buffer.from(hostile))).toBe(true)
    expect(seen.map(({ script }) => script)).toEqual([readScript, replaceScript])
    expect(seen[1]?.stdin.endsWith(`\n${hostile}`)).toBe(true)
    expect(seen[0]?.stdin).toMatch(/^keytool-[0-9a-f]{32}\ndropbear\n$/)
  })
})

describe('why it failed', () => {
  test.each([
    ['cat: write error: No space left on device', 'the disk is full'],
    ['cp: error writing .ssh/x: Disk quota exceeded', 'the quota of this user is used up'],
    ['sh: 1: cannot create .ssh/x: Read-only file system', 'its file system is read-only'],
    ['mv: cannot move a to b: Operation not permitted', 'it is kept from changes (an immutable file?)'],
    ['sh: 1: cannot create .ssh/x: Permission denied', 'no permission'],
    ['mv: cannot move a to b: Device or resource busy', 'it is mounted there by itself, as containers do it'],
    ['dd: fsync failed for x: Input/output error', 'the disk fails'],
    ['something else', 'something else'],
  ])('%s', (detail, reason) => {
    expect(explainFailure('unwritable', detail)).toMatchObject({
      code: 'failed',
      reason: `${reason}; nothing was changed`,
    })
  })
})

describe('what may keep sshd from heeding the file', () => {
  const ls = (...lines: string[]) =>
    readFindings('1000 1000', ['home drwx------ 1000 1000 /home/hana', ...lines].join('\n'))

  test.each([
    ['all in order', ['folder drwx------ 1000 1000 .ssh', 'file -rw-r--r--. 1000 1000 .ssh/authorized_keys'], []],
    [
      'root’s are as good as the user’s',
      ['folder drwxr-xr-x 0 0 .ssh', 'file -rw-r--r-- 0 0 .ssh/authorized_keys'],
      [],
    ],
    ['a link’s own modes mean nothing', ['file lrwxrwxrwx 1000 1000 .ssh/authorized_keys'], []],
    ['others may write', ['file -rw-rw-rw-+ 1000 1000 .ssh/authorized_keys'], ['chmod go-w ~/.ssh/authorized_keys']],
    ['the user’s own group may write', ['file -rw-rw-r-- 1000 1000 .ssh/authorized_keys', 'private 1000'], []],
    ['another group may', ['file -rw-rw-r-- 1000 100 .ssh/a', 'private 1000'], ['chmod go-w ~/.ssh/a']],
    ['everybody may, too', ['file -rw-rw-rw- 1000 1000 .ssh/a', 'private 1000'], ['chmod go-w ~/.ssh/a']],
    ['a folder above the file', ['above drwxrwxr-x 1000 1000 /home/hana/dot files'], ["chmod go-w ~/'dot files'"]],
    [
      'a name that would be a command',
      ["above drwxrwxr-x 1000 1000 /a'; rm -rf ~ #"],
      ["chmod go-w '/a'\\''; rm -rf ~ #'"],
    ],
    ['a folder outside the home', ['above drwxrwxrwx 0 0 /a'], ['sudo chmod go-w /a']],
    [
      'one where everybody puts things: it stays open',
      ['above drwxrwxrwt 0 0 /tmp'],
      ['cp -RL ~/.ssh ~/.ssh.new && mv ~/.ssh ~/.ssh.old && mv ~/.ssh.new ~/.ssh'],
    ],
    ['of somebody else', ['folder drwx------ 1001 1000 .ssh'], ['sudo chown 1000 ~/.ssh']],
    ['not to be entered', ['folder drw------- 1000 1000 .ssh'], ['chmod u+rwx ~/.ssh']],
    ['not to be read', ['file --w------- 1000 1000 .ssh/authorized_keys'], ['chmod u+rw ~/.ssh/authorized_keys']],
    ['not there', ['file missing 0 0 .ssh/authorized_keys'], ['keytool install-pubkey']],
    ['a folder in its place', ['file drwx------ 1000 1000 .ssh/authorized_keys'], ['ls -ld ~/.ssh/authorized_keys']],
    [
      'said twice',
      ['folder drwxrwx--- 1000 1000 .ssh', 'above drwxrwx--- 1000 1000 /home/hana/.ssh'],
      ['chmod go-w ~/.ssh'],
    ],
    [
      'a label',
      [
        'selinux Enforcing',
        '/home/hana/.ssh verified.',
        '/home/hana/.ssh/authorized_keys has context a:b:c, should be d:e:f',
      ],
      ['restorecon -RF ~/.ssh'],
    ],
    ['nonsense', ['', 'file', 'constructor x y', 'folder rwx', `file ${'x'.repeat(10_000)}`], []],
  ])('%s', (_what, lines, remedies) => {
    expect(ls(...lines).map(({ remedy }) => remedy)).toStrictEqual(remedies)
  })

  test('names of files are shown escaped, and an endless list is cut', () => {
    const [finding, ...others] = ls(...Array.from({ length: 5000 }, () => 'above drwxrwxrwx 0 0 /\u001b[2J'))
    expect(others).toEqual([])
    expect(finding?.text).not.toContain('\u001b')
  })
})
