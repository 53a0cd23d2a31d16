import {
  appendFile,
  chmod,
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  symlink,
  utimes,
  writeFile,
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { KeytoolError } from '@keytool/keygen'
import { openSftpKeyFile } from '../src/servers/sftp-key-file.js'
import type { LockClock } from '../src/servers/sftp-lock.js'
import { status } from '../src/sftp/status.js'
import { type Asked, connectionTo, type DiskOptions, DiskServer, fakeSession, No } from './sftp-fake.js'

// Servers that are not OpenSSH's, and what happens between two of our steps.

const before = Buffer.from('one\r\ntwo')
const after = Buffer.from('one\r\ntwo\nthree\n')

let root: string
const servers: DiskServer[] = []

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'kt-'))
  await mkdir(join(root, 'home'), { mode: 0o700 })
})

afterEach(async () => {
  for (const server of servers.splice(0)) await server.dispose()
  await rm(root, { recursive: true })
})

const ssh = (name: string) => join(root, 'home', '.ssh', name)
const keys = () => ssh('authorized_keys')
const list = async () => (await readdir(join(root, 'home', '.ssh')).catch(() => ['none'])).sort()

async function prepare(content = before): Promise<void> {
  await mkdir(join(root, 'home', '.ssh'), { mode: 0o700 })
  await writeFile(keys(), content, { mode: 0o600 })
}

function serve(options: DiskOptions = {}): DiskServer {
  const server = new DiskServer(root, options)
  servers.push(server)
  return server
}

const open = (options: DiskOptions = {}, clock?: LockClock) =>
  openSftpKeyFile(serve(options).connection, clock && { clock })

/** Time that passes as it is slept. */
function quickClock(): LockClock {
  let now = 0
  return {
    now: () => now,
    sleep: async milliseconds => {
      now += milliseconds
    },
  }
}

const isRename = ({ name }: Asked) => name === 'posixRename' || name === 'rename'

describe('a server that can not exchange files in one go', () => {
  const poor: DiskOptions = { lacks: ['posixRename', 'fsync'] }

  test('one whose rename takes the place of what is there', async () => {
    await prepare()
    const file = await open({ ...poor, renames: 'over' })
    expect(await file.replace(before, after)).toBe(true)
    expect(await readFile(keys())).toEqual(after)
    expect(await list()).toEqual(['authorized_keys'])
  })

  test('one that knows it and does not say so', async () => {
    await prepare()
    const asked: string[] = []
    const file = await open({ lacks: ['fsync'], silent: true, before: ({ name }) => void asked.push(name) })
    expect(await file.replace(before, after)).toBe(true)
    expect(asked.filter(name => name.endsWith('ename'))).toEqual(['posixRename'])
  })

  test('the old file is set aside, and gone once the new one is there', async () => {
    await prepare()
    const file = await open(poor)
    expect(await file.replace(before, after)).toBe(true)
    expect(await readFile(keys())).toEqual(after)
    expect(await list()).toEqual(['authorized_keys'])
    expect(await file.replace(after, before)).toBe(true)
    expect(await readFile(keys())).toEqual(before)
  })

  test('the old file is put back when the new one does not get its place', async () => {
    await prepare()
    let renames = 0
    const refuse = (asked: Asked) => {
      // Onto what is there, aside, and then: no.
      if (asked.name === 'rename' && ++renames === 3) throw new No(status.failure)
    }
    const file = await open({ ...poor, before: refuse })
    await expect(file.replace(before, after)).rejects.toMatchObject({ code: 'failed', reason: 'it is left as it was' })
    expect(renames).toBe(4)
    expect(await readFile(keys())).toEqual(before)
    expect(await list()).toEqual(['authorized_keys'])
  })

  test('… also where the server’s folders are called like commands', async () => {
    const home = `/home/x'$(id)';y #`
    await mkdir(join(root, home, '.ssh'), { recursive: true })
    await writeFile(join(root, home, '.ssh', 'authorized_keys'), before)
    let renames = 0
    const refuse = (asked: Asked) => {
      if (asked.name === 'rename' && ++renames > 2) throw new No(status.failure)
    }
    const file = await open({ ...poor, home, before: refuse })
    const word = (name: string) => `'/home/x'\\''$(id)'\\'';y #/.ssh/${name}'`
    await expect(file.replace(before, after)).rejects.toMatchObject({
      hint: `at once, on the server: mv ${word('.authorized_keys.keytool-old')} ${word('authorized_keys')}`,
    })
  })

  test('when nothing gets into its place any more: where the old one is, and what to type', async () => {
    await prepare()
    let renames = 0
    const refuse = (asked: Asked) => {
      if (asked.name === 'rename' && ++renames > 2) throw new No(status.failure)
    }
    const file = await open({ ...poor, before: refuse })
    await expect(file.replace(before, after)).rejects.toMatchObject({
      code: 'failed',
      reason: expect.stringContaining('/home/.ssh/.authorized_keys.keytool-old'),
      hint: 'at once, on the server: mv /home/.ssh/.authorized_keys.keytool-old /home/.ssh/authorized_keys',
    })
    // Whoever comes next reads it, and puts it back.
    const next = await open(poor)
    expect(await next.read()).toEqual(before)
    expect(await next.replace(before, after)).toBe(true)
    expect(await readFile(keys())).toEqual(after)
    expect(await list()).toEqual(['authorized_keys'])
  })

  test.each([1, 2, 3, 4, 5, 6, 7, 8, 9])(
    'cut off after %i requests that may change something: nothing is lost',
    async stop => {
      await prepare()
      const changing = ['open', 'write', 'rename', 'posixRename', 'remove', 'fsetstat', 'mkdir']
      let count = 0
      let cut: (() => void) | undefined
      const server = serve({
        ...poor,
        before: ({ name }) => {
          if (changing.includes(name) && ++count > stop) {
            cut?.()
            throw new No(status.failure)
          }
        },
      })
      const session = server.session()
      cut = () => session.close()
      const file = await openSftpKeyFile(connectionTo(session))
      await expect(file.replace(before, after)).rejects.toMatchObject({ code: 'unreachable' })
      const next = await open(poor)
      const there = await next.read()
      expect(there).toEqual(stop < 9 ? before : after)
      expect(await list()).toContain(stop === 8 ? '.authorized_keys.keytool-old' : 'authorized_keys')
      const old = Date.now() / 1000 - 3600
      await utimes(ssh('.authorized_keys.keytool-lock'), old, old).catch(() => {})
      expect(await next.replace(there, after)).toBe(true)
      expect(await readFile(keys())).toEqual(after)
      expect(await list()).toEqual(['authorized_keys'])
    },
  )
})

describe('whoever reads while files that can not be exchanged are', () => {
  test('finds the old one or the new one at every step, never none', async () => {
    await prepare()
    const seen: string[] = []
    const reader = await open()
    const look = async () => void seen.push(String(await reader.read()))
    const file = await open({ lacks: ['posixRename'], before: look })
    expect(await file.replace(before, after)).toBe(true)
    expect(new Set(seen)).toEqual(new Set([String(before), String(after)]))
  })

  test('also when its own steps fall between theirs', async () => {
    await prepare()
    const aside = ssh('.authorized_keys.keytool-old')
    await rename(keys(), aside)
    let isOver = false
    const finish = async ({ name, value }: Asked) => {
      if (isOver || name !== 'lstat' || !('path' in value) || !value.path.endsWith('-old')) return
      isOver = true
      await writeFile(keys(), after)
      await rm(aside)
    }
    const reader = await open({ before: finish })
    expect(await reader.read()).toEqual(after)
    expect(isOver).toBe(true)
  })
})

describe('between two of our steps', () => {
  test('what another program appends in the last moment is carried over', async () => {
    await prepare()
    const late = async (asked: Asked) => {
      if (isRename(asked)) await appendFile(keys(), '\nlate\n')
    }
    const file = await open({ before: late })
    expect(await file.replace(before, after)).toBe(true)
    expect(await readFile(keys(), 'latin1')).toBe(`${after}\nlate\n`)
  })

  test('what it appends before is seen: nothing of ours is written', async () => {
    await prepare()
    const late = async (asked: Asked) => {
      if (asked.name === 'write') await appendFile(keys(), '\nlate\n')
    }
    const file = await open({ before: late })
    expect(await file.replace(before, after)).toBe(false)
    expect(await readFile(keys(), 'latin1')).toBe(`${before}\nlate\n`)
    expect(await list()).toEqual(['authorized_keys'])
  })

  test('a file that comes where there was none is not overwritten', async () => {
    const late = async (asked: Asked) => {
      if (isRename(asked)) await writeFile(keys(), 'late\n')
    }
    const file = await open({ before: late })
    expect(await file.replace(Buffer.alloc(0), after)).toBe(false)
    expect(await readFile(keys(), 'latin1')).toBe('late\n')
    expect(await list()).toEqual(['authorized_keys'])
  })

  test('a write that fails half way, and a close: the old file stays, a folder that was made goes', async () => {
    for (const name of ['write', 'close', 'fsync', 'fsetstat'] as const) {
      const refuse = (asked: Asked) => {
        if (asked.name === name) throw new No(status.failure)
      }
      await rm(join(root, 'home', '.ssh'), { recursive: true, force: true })
      const file = await open({ before: refuse })
      const replaced = file.replace(Buffer.alloc(0), after)
      if (name === 'fsetstat') expect(await replaced).toBe(true)
      else await expect(replaced).rejects.toMatchObject({ code: 'failed' })
      expect(await list()).toEqual(name === 'fsetstat' ? ['authorized_keys'] : ['none'])
    }
  })
})

describe('the lock', () => {
  test('one that is held all the time: what holds it, after a minute and a quarter', async () => {
    await prepare()
    await writeFile(ssh('.authorized_keys.keytool-lock'), '')
    const clock = quickClock()
    // Held by somebody who keeps at it.
    const file = await open({ before: () => touch(ssh('.authorized_keys.keytool-lock'), clock.now()) }, clock)
    await expect(file.replace(before, after)).rejects.toMatchObject({
      code: 'failed',
      message: expect.stringContaining('another program is changing the file all the time'),
      reason: '~/.ssh/.authorized_keys.keytool-lock is there',
    })
    expect(clock.now()).toBeGreaterThan(75_000)
    expect(clock.now()).toBeLessThan(80_000)
    expect(await readFile(keys())).toEqual(before)
    expect(await list()).toEqual(['.authorized_keys.keytool-lock', 'authorized_keys'])
  })

  test('one that was left goes after a minute, by the server’s clock, whatever ours says', async () => {
    await prepare()
    await writeFile(ssh('.authorized_keys.keytool-lock'), '')
    const clock = quickClock()
    expect(await (await open({}, clock)).replace(before, after)).toBe(true)
    expect(clock.now()).toBeGreaterThan(59_000)
    expect(clock.now()).toBeLessThan(62_000)
    expect(await list()).toEqual(['authorized_keys'])
  })

  test('several who find the same old one: one of them gets it, and nobody’s line is lost', async () => {
    await prepare(Buffer.from('first\n'))
    await writeFile(ssh('.authorized_keys.keytool-lock'), '')
    const old = Date.now() / 1000 - 3600
    await utimes(ssh('.authorized_keys.keytool-lock'), old, old)
    const lines = ['1\n', '2\n', '3\n', '4\n', '5\n']
    const append = async (line: string) => {
      const file = await open()
      for (let tries = 0; tries < 50; tries++) {
        const there = await file.read()
        if (await file.replace(there, Buffer.concat([there, Buffer.from(line)]))) return
      }
    }
    await Promise.all(lines.map(append))
    expect((await readFile(keys(), 'latin1')).split(/(?<=\n)/).sort()).toEqual([...lines, 'first\n'])
    expect(await list()).toEqual(['authorized_keys'])
  })

  test('whoever held it for too long changes nothing any more, and leaves it to others', async () => {
    await prepare()
    let now = 0
    const slow = ({ name }: Asked) => {
      if (name === 'write') now += 31_000
    }
    const file = await open({ before: slow }, { now: () => now, sleep: async () => {} })
    await expect(file.replace(before, after)).rejects.toMatchObject({ code: 'failed', hint: 'try again' })
    expect(await readFile(keys())).toEqual(before)
    expect(await list()).toEqual(['.authorized_keys.keytool-lock', 'authorized_keys'])
  })
})

/** As if it had been made `later` milliseconds from now. */
async function touch(path: string, later: number): Promise<void> {
  const time = (Date.now() + later) / 1000
  await utimes(path, time, time).catch(() => {})
}

describe('what a server does not say', () => {
  test('the same failure for all: "there is none" is not guessed', async () => {
    const file = await open({ vague: true })
    await expect(file.read()).rejects.toMatchObject({
      code: 'failed',
      message: expect.stringContaining('neither what is in it nor that there is none'),
      hint: 'make an empty ~/.ssh/authorized_keys on the server, then try again',
    })
    await expect(file.replace(Buffer.alloc(0), after)).rejects.toMatchObject({ code: 'failed' })
    expect(await list()).toEqual(['none'])
  })

  test('the same, and there is one: it is read', async () => {
    await prepare()
    const file = await open({ vague: true })
    expect(await file.read()).toEqual(before)
  })

  test('where one starts in /, nothing is made: it may be that there is no home', async () => {
    const file = await open({ home: '/' })
    expect(await file.read()).toEqual(Buffer.alloc(0))
    await expect(file.replace(Buffer.alloc(0), after)).rejects.toMatchObject({
      message: expect.stringContaining('the home folder is /, or there is none'),
    })
    expect(await readdir(root)).toEqual(['home'])
    await mkdir(join(root, '.ssh'))
    expect(await file.replace(Buffer.alloc(0), after)).toBe(true)
    expect(await readFile(join(root, '.ssh', 'authorized_keys'))).toEqual(after)
  })
})

describe('what sshd would object to', () => {
  test.each([
    ['the home', () => chmod(join(root, 'home'), 0o775), 'writable-by-others', 'chmod go-w ~'],
    ['.ssh', () => chmod(ssh(''), 0o707), 'writable-by-others', 'chmod go-w ~/.ssh'],
    ['the file', () => chmod(keys(), 0o622), 'writable-by-others', 'chmod go-w ~/.ssh/authorized_keys'],
    ['no reading', () => chmod(keys(), 0o200), 'unreadable', 'chmod u+r ~/.ssh/authorized_keys'],
    ['no entering', () => chmod(ssh(''), 0o600), 'unreadable', 'chmod u+rx ~/.ssh'],
    ['no file', () => rm(keys()), 'missing', 'keytool install-pubkey'],
  ])('%s', async (_name, make, kind, remedy) => {
    await prepare()
    expect(await (await open()).examine()).toEqual([])
    await make()
    const findings = await (await open()).examine()
    expect(findings.map(finding => [finding.kind, finding.remedy])).toEqual([[kind, remedy]])
  })

  test('folders above the file a link leads to', async () => {
    await mkdir(join(root, 'shared', 'keys'), { recursive: true })
    await chmod(join(root, 'shared'), 0o777)
    await mkdir(ssh(''))
    await writeFile(join(root, 'shared', 'keys', 'mine'), before)
    await symlink('../../shared/keys/mine', keys())
    const findings = await (await open()).examine()
    expect(findings).toEqual([
      {
        kind: 'writable-by-others',
        path: '/shared',
        text: '/shared may be written by its group and everybody (mode 0777)',
        remedy: 'chmod go-w /shared',
      },
    ])
  })

  test('folders above a .ssh that lies elsewhere; what a server calls them is quoted where it is typed', async () => {
    const odd = join(root, "it's; x")
    await mkdir(join(odd, 'ssh'), { recursive: true })
    await chmod(odd, 0o777)
    await writeFile(join(odd, 'ssh', 'authorized_keys'), before)
    await symlink("../it's; x/ssh", ssh(''))
    const findings = await (await open()).examine()
    expect(findings.map(({ path, remedy }) => [path, remedy])).toEqual([["/it's; x", "chmod go-w '/it'\\''s; x'"]])
  })
})

describe('where there is no SFTP', () => {
  test.each([
    ['a shell that lets nobody in', 'This account is currently not available.\n', /it says: This account is currently/],
    ['an escape sequence', '\u001b]0;owned\u0007\n', /it says: \\u\{1b\}\]0;owned\\u\{7\}/],
  ])('%s', async (_name, words, reason) => {
    const session = fakeSession((_chunk, say) => say(Buffer.from(words)))
    await expect(openSftpKeyFile(connectionTo(session), { reason: 'its shell says: go away' })).rejects.toMatchObject({
      code: 'unsupported',
      message: 'the server gives this user no shell and no SFTP',
      reason: expect.stringMatching(reason),
    })
  })

  test('a server that has none of that name', async () => {
    const openSubsystem = async () => {
      throw new KeytoolError('refused', 'the server does not give the subsystem sftp', { reason: 'failed' })
    }
    await expect(openSftpKeyFile({ openSubsystem }, { reason: 'no shell' })).rejects.toMatchObject({
      code: 'unsupported',
      message: 'the server gives this user no shell and no SFTP',
      reason: 'no shell',
    })
    const lost = async () => {
      throw new KeytoolError('unreachable', 'gone')
    }
    await expect(openSftpKeyFile({ openSubsystem: lost })).rejects.toMatchObject({ message: 'gone' })
  })

  test('one that says nothing', async () => {
    const session = fakeSession(() => {})
    await expect(openSftpKeyFile(connectionTo(session), { timeout: 20 })).rejects.toMatchObject({
      code: 'unsupported',
      message: 'the server gives this user no SFTP',
      reason: 'nothing answers there',
    })
  })
})

test('modes are those of the old file, links stay', async () => {
  await prepare()
  await chmod(keys(), 0o640)
  await mkdir(join(root, 'home', 'kept'))
  await rm(keys())
  await writeFile(join(root, 'home', 'kept', 'keys'), before)
  await chmod(join(root, 'home', 'kept', 'keys'), 0o604)
  await symlink('../kept/keys', keys())
  const file = await open({ lacks: ['posixRename'] })
  expect(await file.replace(before, after)).toBe(true)
  expect((await lstat(keys())).isSymbolicLink()).toBe(true)
  expect((await stat(keys())).mode & 0o777).toBe(0o604)
  expect(await readFile(join(root, 'home', 'kept', 'keys'))).toEqual(after)
  expect(await readdir(join(root, 'home', 'kept'))).toEqual(['keys'])
})
