import { randomBytes } from 'node:crypto'
import { chmod, chown, cp, mkdir, open, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { jest } from '@jest/globals'
import { type Askpass, makeAskpass, until } from './agent-askpass.js'
import {
  during,
  evaluate,
  expectNothingLeft,
  findProcesses,
  leaveHome,
  type OurAgent,
  startOurAgent,
  untilWritten,
} from './agent-fixture.js'
import { connectRaw, string, uint32 } from './agent-wire.js'
import { type Folder, temporaryFolder } from './world/folder.js'
import { type Environment, type Home, homeless, temporaryHome } from './world/home.js'
import { peerPath } from './world/peers.js'
import { keytool, keytoolPath, type RunResult, run, runOrThrow } from './world/run.js'
import { start, startKeytool } from './world/start.js'
import { createUser, type SystemUser } from './world/system-user.js'

// The agent's process: what other programs of its user can do to it, and what lies in its memory.

jest.setTimeout(120_000)

const SIGN = 13
const SIGNATURE = 14
/** Neither root's nor anybody's of this system. */
const STRANGER = 54321

describe('as an ordinary user', () => {
  let user: SystemUser
  let home: Home
  let folder: Folder
  let program: string

  beforeAll(async () => {
    user = await createUser()
    folder = await temporaryFolder()
    await chmod(folder.path, 0o755)
    // A copy that this user can read, wherever the program itself may lie; and what it loads that is not in it.
    await cp(dirname(keytoolPath), join(folder.path, 'program'), { recursive: true })
    program = join(folder.path, 'program', 'keytool.cjs')
    const modules = fileURLToPath(new URL('../node_modules', import.meta.url))
    for (const name of ['koffi', '@koromix']) {
      await cp(join(modules, name), join(folder.path, 'node_modules', name), { recursive: true, dereference: true })
    }
    const runtime = join(user.home, 'run')
    await mkdir(runtime, { mode: 0o700 })
    await chown(runtime, user.uid, user.gid)
    const { PATH = '', LANG = '' } = homeless
    home = {
      path: user.home,
      ssh: join(user.home, '.ssh'),
      runtime,
      env: { PATH, LANG, HOME: user.home, XDG_RUNTIME_DIR: runtime },
      dispose: async () => undefined,
    }
  })

  afterAll(async () => {
    await user.dispose()
    await folder.dispose()
  })

  const asUser = () => ['--reuid', String(user.uid), '--regid', String(user.gid), '--clear-groups']

  /** Runs our program as the user. */
  function ours(args: readonly string[], env: Environment = home.env): Promise<RunResult> {
    return run('/usr/bin/setpriv', [...asUser(), process.execPath, program, ...args], { env, cwd: user.home })
  }

  async function ok(...args: string[]): Promise<string> {
    const { status, stdout, stderr } = await ours(args, { ...home.env, SSH_AUTH_SOCK: socket })
    expect({ args, status, stderr }).toEqual({ args, status: 0, stderr: '' })
    return stdout
  }

  let socket: string

  /** Works beside an agent of the user's in the background. */
  async function withAgent(work: (pid: number) => Promise<void>, more: Environment = {}): Promise<void> {
    const { status, stdout, stderr } = await ours(['agent', '-s'], { ...home.env, ...more })
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
    const place = await evaluate(stdout)
    socket = place.socket
    try {
      await work(place.pid)
    } finally {
      await ours(['agent', 'stop'])
    }
    await expectNothingLeft(home)
  }

  /** What a program of the same user can do to a process: for each way in whether it is open, or the error. */
  async function attack(pid: number): Promise<Record<string, string>> {
    const script = `
import ctypes, errno, json, os, sys
pid = int(sys.argv[1])
libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.restype = libc.syscall.restype = libc.process_vm_readv.restype = ctypes.c_long
def name(number): return errno.errorcode.get(number, str(number))
def opens(path):
    try:
        os.close(os.open(path, os.O_RDONLY))
        return 'open'
    except OSError as error: return name(error.errno)
def lists(path):
    try: return 'open' if os.listdir(path) and [os.readlink(path + '/' + each) for each in os.listdir(path)] else 'empty'
    except OSError as error: return name(error.errno)
def called(result): return 'open' if result >= 0 else name(ctypes.get_errno())
found = {each: opens(f'/proc/{pid}/{each}') for each in ['mem', 'environ', 'maps', 'smaps', 'pagemap', 'auxv', 'syscall']}
found['fd'] = lists(f'/proc/{pid}/fd')
pidfd = libc.syscall(434, pid, 0)
found['pidfd_getfd'] = called(libc.syscall(438, pidfd, 0, 0))
buffer = ctypes.create_string_buffer(8)
class iovec(ctypes.Structure): _fields_ = [('base', ctypes.c_void_p), ('length', ctypes.c_size_t)]
local, remote = iovec(ctypes.addressof(buffer), 8), iovec(4096, 8)
found['process_vm_readv'] = called(libc.process_vm_readv(pid, ctypes.byref(local), 1, ctypes.byref(remote), 1, 0))
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
# PTRACE_SEIZE, which stops nobody, and lets go when this one ends.
found['ptrace'] = called(libc.ptrace(0x4206, pid, None, None))
print(json.dumps(found))
`
    const words = [...asUser(), peerPath('paramiko'), '-c', script, String(pid)]
    const { stdout } = await runOrThrow('/usr/bin/setpriv', words, { env: home.env })
    return JSON.parse(stdout)
  }

  test('its memory, environment, descriptors: closed to the programs of the same user, which cannot attach either', async () => {
    // What they could do to any other process of the user's: else the refusals below would prove nothing. Nothing lies at
    // 4096, which is said only to whoever may read. Where Yama lets none but a parent attach, this one asks to be let.
    const victim = `
import ctypes, time
ctypes.CDLL(None).prctl(0x59616d61, ctypes.c_ulong(-1 & (2**64 - 1)), 0, 0, 0)
print('up', flush=True)
time.sleep(60)
`
    const words = [...asUser(), peerPath('paramiko'), '-c', victim]
    await during(start('/usr/bin/setpriv', words, { env: home.env }), async ({ pid, waitFor }) => {
      await waitFor(/up/)
      const found = await attack(pid)
      const { process_vm_readv: read, ...others } = found
      expect(read).toBe('EFAULT')
      expect(new Set(Object.values(others))).toEqual(new Set(['open']))
    })

    await withAgent(async pid => {
      const found = await attack(pid)
      expect(Object.keys(found)).toHaveLength(11)
      for (const [way, answer] of Object.entries(found)) {
        expect({ way, answer }).toEqual({ way, answer: expect.stringMatching(/^(EACCES|EPERM)$/) })
      }
      // It says so itself.
      expect(JSON.parse(await ok('agent', 'status', '--json'))).toMatchObject({
        protection: { dumpable: false, traceable: false, core: false },
        troubles: [],
      })
      expect(await ok('agent', 'status')).toMatch(/^memory +closed to the user's other programs, no core files/m)
      // Set for good, and for whatever it starts.
      expect(await readFile(`/proc/${pid}/limits`, 'utf8')).toMatch(/^Max core file size +0 +0 /m)
    })
  })

  test('the secure heap is in use where it can be locked, and not claimed where it cannot', async () => {
    const limited = async (limit: string) => {
      const words = [`--memlock=${limit}`, '/usr/bin/setpriv', ...asUser(), process.execPath, program, 'agent', '-s']
      const { status, stdout } = await run('/usr/bin/prlimit', words, { env: home.env })
      expect(status).toBe(0)
      socket = (await evaluate(stdout)).socket
      const found = [JSON.parse(await ok('agent', 'status', '--json')).protection, await ok('agent', 'status')]
      await ok('agent', 'stop')
      return found
    }
    expect(await limited('8388608:8388608')).toEqual([
      expect.objectContaining({ secureHeap: true }),
      expect.stringMatching(/^memory .*keys in locked pages$/m),
    ])
    expect(await limited('65536:65536')).toEqual([
      expect.objectContaining({ secureHeap: false }),
      expect.not.stringMatching(/locked pages/),
    ])
    await expectNothingLeft(home)
  })

  test.each([['SIGSEGV'], ['SIGABRT']])('%s leaves no core, whatever the limit says', async signal => {
    const work = join(user.home, `work-${signal}`)
    await mkdir(work)
    await chown(work, user.uid, user.gid)
    const script = `
import json, os, resource, signal, subprocess, sys, time
uid, gid, cwd, name, waits = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4], sys.argv[5]
limit = lambda: resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
null = subprocess.DEVNULL
child = subprocess.Popen(sys.argv[6:], user=uid, group=gid, extra_groups=[], cwd=cwd, preexec_fn=limit, stdout=null, stderr=null)
for _ in range(3000):
    if not waits or os.path.exists(waits): break
    time.sleep(0.01)
os.kill(child.pid, getattr(signal, name))
_, status = os.waitpid(child.pid, 0)
print(json.dumps({'signal': signal.Signals(os.WTERMSIG(status)).name, 'dumped': os.WCOREDUMP(status)}))
`
    const crash = async (waits: string, ...command: string[]) => {
      const words = ['-c', script, String(user.uid), String(user.gid), work, signal, waits, ...command]
      const { stdout } = await runOrThrow(peerPath('paramiko'), words, { env: home.env, timeoutMs: 50_000 })
      return JSON.parse(stdout)
    }
    // Any other program leaves one.
    expect(await crash('', '/bin/sleep', '60')).toEqual({ signal, dumped: true })
    for (const name of await readdir(work)) await rm(join(work, name))

    const place = join(work, 'agent.sock')
    const agent = [process.execPath, program, 'agent', '-D', '-a', place]
    expect(await crash(place, ...agent)).toEqual({ signal, dumped: false })
    expect((await readdir(work)).filter(name => name.includes('core'))).toEqual([])
    await rm(work, { recursive: true })
  })

  test('another user who can reach the socket gets nothing, and the ledger names them', async () => {
    await withAgent(async () => {
      const opened = [user.home, home.runtime, dirname(socket), socket]
      for (const path of opened) await chmod(path, 0o777)
      const stranger = `process.setgroups([]); process.setgid(${STRANGER}); process.setuid(${STRANGER})
        const socket = require('net').connect(process.argv[1])
        let got = 0
        socket.on('connect', () => { console.log('connected'); socket.write(Buffer.from('000000010b', 'hex')) })
        socket.on('data', chunk => { got += chunk.length })
        socket.on('error', error => console.log(error.code))
        socket.on('close', () => console.log('closed with', got))`
      const { stdout } = await runOrThrow(process.execPath, ['-e', stranger, socket])
      // What it wrote may reach a connection that is closed already.
      expect(stdout.replace(/^(EPIPE|ECONNRESET)\n/m, '')).toBe('connected\nclosed with 0\n')

      for (const path of opened.slice(0, -1)) await chmod(path, 0o700)
      await chmod(socket, 0o600)
      await untilWritten(socket)
      const entries: { action: string }[] = JSON.parse(await ok('log', '--json'))
      expect(entries.filter(({ action }) => action === 'connect')).toEqual([
        expect.objectContaining({ verdict: 'refused', uid: STRANGER, reason: 'another user', pid: expect.any(Number) }),
      ])
      // Its own user is served.
      const listed = await ours(['list', '--json'], { ...home.env, SSH_AUTH_SOCK: socket })
      expect({ ...listed, stderr: '' }).toMatchObject({ status: 0, stdout: '[]\n' })
    })
  })
})

describe('two agents never serve one socket', () => {
  let home: Home

  beforeEach(async () => {
    home = await temporaryHome()
  })
  afterEach(() => leaveHome(home))

  test('one in the foreground is refused where another one answers, which goes on', async () => {
    const first = await startOurAgent(home)
    for (const args of [
      ['agent', '-D'],
      ['agent', '-D', '-a', first.socket],
      ['agent', '-a', first.socket, '--', 'true'],
    ]) {
      const { status, stdout, stderr } = await keytool(args, { env: home.env })
      expect({ args, status, stdout }).toEqual({ args, status: 4, stdout: '' })
      expect(stderr).toContain('answers')
    }
    expect((await run(peerPath('ssh-add'), ['-l'], { env: first.env })).status).toBe(1)
    await first.stop()
  })

  test('of six that start in the foreground at the same instant one stays', async () => {
    const started = await Promise.all(
      Array.from({ length: 6 }, () => startKeytool(['agent', '-D', '-s'], { env: home.env })),
    )
    try {
      const said = await Promise.all(started.map(each => each.waitFor(/SSH_AUTH_SOCK=|keytool: .*/, 40_000)))
      expect(said.filter(([text]) => text.startsWith('SSH_AUTH_SOCK='))).toHaveLength(1)
      await until('five ends', async () => (await findProcesses(home)).length === 1)
    } finally {
      await Promise.all(started.map(each => each.stop()))
    }
  })
})

describe('what lies in its memory, as far as root can see', () => {
  let home: Home
  let askpass: Askpass
  let agent: OurAgent
  /** The key's file, open and encrypted, and its secret. */
  let plain: string
  let locked: string
  let seed: Buffer
  let blob: Buffer
  /** By themselves, so that nothing else is taken for them. */
  let passphrase: string
  let passFile: string

  beforeEach(async () => {
    home = await temporaryHome()
    plain = join(home.ssh, 'plain')
    locked = join(home.ssh, 'locked')
    passphrase = randomBytes(24).toString('base64url')
    passFile = join(home.path, 'passphrase')
    await writeFile(passFile, `${passphrase}\n`)
    await runOrThrow(peerPath('ssh-keygen'), ['-q', '-t', 'ed25519', '-N', '', '-C', 'k', '-f', plain])
    await cp(plain, locked)
    await runOrThrow(peerPath('ssh-keygen'), ['-q', '-p', '-a', '1', '-P', '', '-N', passphrase, '-f', locked])
    blob = Buffer.from((await readFile(`${plain}.pub`, 'utf8')).split(' ')[1] ?? '', 'base64')
    const bytes = Buffer.from((await readFile(plain, 'latin1')).split('\n').slice(1, -2).join(''), 'base64')
    // The private part is the seed, and the public key behind it.
    const at = bytes.lastIndexOf(blob.subarray(-32))
    seed = bytes.subarray(at - 32, at)

    const folder = join(home.path, 'askpass')
    await mkdir(folder)
    askpass = await makeAskpass(folder)
    const started = await startOurAgent({ ...home, env: { ...home.env, ...askpass.env } })
    agent = { ...started, env: { ...home.env, SSH_AUTH_SOCK: started.socket } }
  })

  afterEach(() => leaveHome(home))

  async function ok(...args: string[]): Promise<void> {
    const { status, stderr } = await keytool(args, { env: agent.env })
    expect({ args, status, stderr }).toEqual({ args, status: 0, stderr: '' })
  }

  const search = () => findInMemory(agent.pid, { seed, passphrase: Buffer.from(passphrase) })

  /** Nothing is to be found, a moment after: what node has let go of is collected at most a second later. */
  async function expectClean(): Promise<void> {
    let found: string[] = []
    await until('the end of the secrets', async () => {
      found = await search()
      return found.length === 0
    }).catch(() => undefined)
    expect(found).toEqual([])
  }

  async function signOnce(answerTo?: number, ...answers: string[]): Promise<void> {
    const client = await connectRaw(agent.socket)
    try {
      client.send(string(Buffer.concat([Buffer.from([SIGN]), string(blob), string('data'), uint32(0)])))
      for (const [index, answer] of answers.entries()) {
        await askpass.waitFor((answerTo ?? 1) + index)
        await askpass.answer((answerTo ?? 1) + index, answer)
      }
      expect((await client.answer())[0]).toBe(SIGNATURE)
    } finally {
      client.destroy()
    }
  }

  test('the secret of an open key is there, and gone when it is removed', async () => {
    for (const remove of [
      () => ok('remove', plain),
      () => ok('remove', '--all'),
      () => runOrThrow(peerPath('ssh-add'), ['-q', '-d', plain], { env: agent.env }),
      async () => void process.kill(agent.pid, 'SIGUSR1'),
    ]) {
      await runOrThrow(peerPath('ssh-add'), ['-q', plain], { env: agent.env })
      await signOnce()
      // So the search can find it.
      expect(await search()).toEqual(['seed'])
      await remove()
      await expectClean()
    }
    await agent.stop()
  })

  test('and gone when its time is over', async () => {
    // Long enough to be searched for meanwhile, all of the memory through.
    await ok('add', '-t', '8', plain)
    await signOnce()
    expect(await search()).toEqual(['seed'])
    await expectClean()
    await agent.stop()
  })

  test.each<[string, () => Promise<void>]>([
    ['keytool reencrypt', () => ok('reencrypt', '--all')],
    ['a lock', () => ok('lock', '--passphrase-file', passFile)],
  ])('of a key that was added open, and of its passphrase, nothing is there after %s', async (_, seal) => {
    await ok('add', locked, '--passphrase-file', passFile)
    await signOnce()
    expect(await search()).toEqual(['seed'])
    await seal()
    await expectClean()
    await agent.stop()
  })

  test('of a key that was opened at a prompt its passphrase goes at once, its secret when it is sealed', async () => {
    await ok('add', '--sealed', locked)
    expect(await search()).toEqual([])
    await signOnce(1, 'not this one', passphrase)
    await until('the end of the passphrase', async () => !(await search()).includes('passphrase'))
    expect(await search()).toEqual(['seed'])
    await ok('reencrypt', '--all')
    await expectClean()
    await agent.stop()
  })

  test('the same where keytool unlock opened it', async () => {
    await ok('add', '--sealed', locked)
    await ok('unlock', locked, '--passphrase-file', passFile)
    await until('the end of the passphrase', async () => !(await search()).includes('passphrase'))
    await signOnce()
    expect(await search()).toEqual(['seed'])
    await ok('reencrypt', '--all')
    await expectClean()
    await agent.stop()
  })

  test('the passphrase that locks the agent', async () => {
    await ok('lock', '--passphrase-file', passFile)
    await expectClean()
    await ok('unlock', '--passphrase-file', passFile)
    await expectClean()
    await agent.stop()
  })
})

const CHUNK = 1024 * 1024
const PAGE = 4096

/** Which of these bytes stand anywhere in the memory that a process may write to. Needs root. */
async function findInMemory(pid: number, needles: Readonly<Record<string, Buffer>>): Promise<string[]> {
  const maps = (await readFile(`/proc/${pid}/maps`, 'latin1')).split('\n')
  const longest = Math.max(...Object.values(needles).map(({ length }) => length))
  const found = new Set<string>()
  const memory = await open(`/proc/${pid}/mem`, 'r')
  const chunk = Buffer.alloc(CHUNK)
  const look = async (from: number, size: number): Promise<void> => {
    const read = await memory.read(chunk, 0, size, from).catch(() => undefined)
    if (read) {
      const bytes = chunk.subarray(0, read.bytesRead)
      for (const [name, needle] of Object.entries(needles)) if (bytes.includes(needle)) found.add(name)
    } else if (size > PAGE) {
      // Somewhere in it is a page that can't be read.
      for (let at = from; at < from + size; at += PAGE) await look(at, PAGE)
    }
  }
  try {
    for (const line of maps) {
      const [, from = '', to = ''] = /^([\da-f]+)-([\da-f]+) rw/.exec(line) ?? []
      const end = Number.parseInt(to, 16)
      for (let at = Number.parseInt(from, 16); at < end; at += CHUNK - longest) {
        await look(at, Math.min(CHUNK, end - at))
      }
    }
  } finally {
    chunk.fill(0)
    await memory.close()
  }
  return [...found]
}
