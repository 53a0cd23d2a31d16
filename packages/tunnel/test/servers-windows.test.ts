import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { KeytoolError } from '@keytool/keygen'
import type { Connection, ExecResult } from '../src/connection/connection.js'
import { openWindowsKeyFile } from '../src/servers/windows-key-file.js'
import { windowsCommands } from '../src/servers/windows-server.js'
import { DiskServer } from './sftp-fake.js'

// A stand-in for Win32-OpenSSH: a folder laid out like its disk, and the answers of its programs. No Windows was asked.

const before = Buffer.from('ssh-ed25519 AAAA one\r\n')
const after = Buffer.from('ssh-ed25519 AAAA one\r\nssh-ed25519 BBBB two\r\n')

/** What `whoami /groups /fo csv /nh` says on a German and an English Windows. */
const administrator = [
  '"Jeder","Bekannte Gruppe","S-1-1-0","Verbindliche Gruppe, Standardm\u00e4\u00dfig aktiviert, Aktivierte Gruppe"',
  '"VORDEFINIERT\\Administratoren","Alias","S-1-5-32-544","Verbindliche Gruppe, Gruppenbesitzer"',
  '"VORDEFINIERT\\Benutzer","Alias","S-1-5-32-545","Verbindliche Gruppe"',
].join('\r\n')
const plain = [
  '"Everyone","Well-known group","S-1-1-0","Mandatory group, Enabled by default, Enabled group"',
  '"WEB\\almost S-1-5-32-5445","Alias","S-1-5-32-5445","Mandatory group"',
  '"BUILTIN\\Users","Alias","S-1-5-32-545","Mandatory group, Enabled by default, Enabled group"',
].join('\r\n')

let root: string
let ran: string[]

beforeEach(async () => {
  ran = []
  root = await mkdtemp(join(tmpdir(), 'kt-'))
  await mkdir(join(root, 'C:/ProgramData/ssh'), { recursive: true })
  await mkdir(join(root, 'C:/Users/hana'), { recursive: true })
  await config(
    'Match Group administrators\r\n       AuthorizedKeysFile __PROGRAMDATA__/ssh/administrators_authorized_keys',
  )
})

afterEach(() => rm(root, { recursive: true }))

const shared = () => join(root, 'C:/ProgramData/ssh/administrators_authorized_keys')
const own = () => join(root, 'C:/Users/hana/.ssh/authorized_keys')
const config = (text: string) => writeFile(join(root, 'C:/ProgramData/ssh/sshd_config'), `#Port 22\r\n${text}\r\n`)

type Says = Partial<Record<keyof typeof windowsCommands, Partial<Omit<ExecResult, 'stdout'>> & { stdout?: string }>>

/** The server. What its programs say, where that differs from what they mostly do. */
function connection(groups: string, says: Says = {}): Pick<Connection, 'exec' | 'openSubsystem'> {
  const usual: Says = {
    find: { stdout: 'keytool C:\\ProgramData keytool\r\n' },
    groups: { stdout: groups },
    protect: { stdout: 'processed file: C:\\ProgramData\\ssh\\...\r\n' },
  }
  const names = Object.keys(windowsCommands) as (keyof typeof windowsCommands)[]
  return {
    ...new DiskServer(root, { home: '/C:/Users/hana' }).connection,
    exec: async command => {
      const name = names.find(one => windowsCommands[one] === command)
      if (!name) throw new Error(`no such command: ${command}`)
      ran.push(name)
      if (name === 'protect') ran.push((await readdir(join(root, 'C:/ProgramData/ssh'))).sort().join(' '))
      const { stdout = '', ...more } = says[name] ?? usual[name] ?? {}
      return { status: 0, stderr: Buffer.alloc(0), ...more, stdout: Buffer.from(stdout, 'latin1') }
    },
  }
}

async function open(groups: string, says?: Says) {
  const file = await openWindowsKeyFile(connection(groups, says))
  if (!file) throw new Error('no Windows')
  return file
}

test('an administrator’s is the file of all of them; who may read it is set before it takes its place', async () => {
  await writeFile(shared(), before)
  const file = await open(administrator)
  expect([file.path, file.way]).toEqual(['C:\\ProgramData\\ssh\\administrators_authorized_keys', 'sftp'])
  expect(await file.read()).toEqual(before)
  expect(await file.replace(before, after)).toBe(true)
  expect(await readFile(shared())).toEqual(after)
  const lock = '.administrators_authorized_keys.keytool-lock'
  const made = '.administrators_authorized_keys.keytool-new'
  expect(ran).toEqual(['find', 'groups', 'protect', `${lock} ${made} administrators_authorized_keys sshd_config`])
  expect((await readdir(join(root, 'C:/ProgramData/ssh'))).sort()).toEqual([
    'administrators_authorized_keys',
    'sshd_config',
  ])
  expect(await file.examine()).toEqual([])
})

test('where there is none it is made', async () => {
  const file = await open(administrator)
  expect(await file.read()).toEqual(Buffer.alloc(0))
  expect(await file.examine()).toMatchObject([{ kind: 'missing' }])
  expect(await file.replace(Buffer.alloc(0), after)).toBe(true)
  expect(await readFile(shared())).toEqual(after)
})

test('icacls fails: the old file stays, nothing is left behind', async () => {
  await writeFile(shared(), before)
  const says = { protect: { status: 5, stdout: 'Access is denied.\u001b[2J\r\n' } }
  const file = await open(administrator, says)
  await expect(file.replace(before, after)).rejects.toMatchObject({
    code: 'failed',
    reason: 'it says: Access is denied.\\u{1b}[2J',
  })
  expect(await readFile(shared())).toEqual(before)
  expect((await readdir(join(root, 'C:/ProgramData/ssh'))).length).toBe(2)
})

describe('the user’s own file', () => {
  test('of whoever is no administrator', async () => {
    const file = await open(plain)
    expect(file.path).toBe('%USERPROFILE%\\.ssh\\authorized_keys')
    expect(await file.replace(Buffer.alloc(0), after)).toBe(true)
    expect(await readFile(own())).toEqual(after)
    expect(ran).toEqual(['find', 'groups'])
  })

  test('of an administrator whose sshd_config has the other one commented out', async () => {
    await config(
      '#Match Group administrators\r\n#       AuthorizedKeysFile __PROGRAMDATA__/ssh/administrators_authorized_keys',
    )
    expect((await open(administrator)).path).toBe('%USERPROFILE%\\.ssh\\authorized_keys')
  })

  test('not where that can not be read: then as it ships', async () => {
    await rm(join(root, 'C:/ProgramData/ssh/sshd_config'))
    expect((await open(administrator)).path).toBe('C:\\ProgramData\\ssh\\administrators_authorized_keys')
  })
})

test.each([
  ['whoami is not there', { status: 1, stdout: '' }],
  ['whoami says something else', { status: 0, stdout: 'hana' }],
])('%s: nobody is taken for an administrator, or for none', async (_name, groups) => {
  await expect(open(plain, { groups })).rejects.toMatchObject({
    code: 'failed',
    reason: expect.stringContaining('nothing was changed'),
  })
})

describe('another server', () => {
  test.each([
    ['a shell that does not know cmd', { status: 127, stderr: Buffer.from('sh: 1: cmd: not found\n') }],
    ['an echo', { stdout: 'keytool %PROGRAMDATA% keytool\r\n' }],
    ['a path that is none', { stdout: 'keytool C:\\Program&Data\\..%x keytool\r\n' }],
    ['a path on one line with more', { stdout: 'xkeytool C:\\ProgramData keytool\r\n' }],
    ['a path over two lines', { stdout: 'keytool C:\\Program\nData keytool\r\n' }],
    ['noise', { stdout: '\0'.repeat(1000) }],
  ])('%s', async (_name, find) => {
    expect(await openWindowsKeyFile(connection(plain, { find }))).toBeUndefined()
    expect(ran).toEqual(['find'])
  })

  test.each(['refused', 'damaged'] as const)('one that runs no commands (%s)', async code => {
    const fails = async () => {
      throw new KeytoolError(code, 'no')
    }
    expect(await openWindowsKeyFile({ ...connection(plain), exec: fails })).toBeUndefined()
  })
})

test('the commands hold nothing that cmd.exe and PowerShell would understand differently', () => {
  for (const command of Object.values(windowsCommands)) expect(command).toMatch(/^[a-z]+ [A-Za-z0-9 %\\./:*_-]+$/)
  // PowerShell leaves %…% alone: only cmd replaces it.
  for (const command of Object.values(windowsCommands))
    expect(command.includes('%')).toBe(command.startsWith('cmd /c '))
})
