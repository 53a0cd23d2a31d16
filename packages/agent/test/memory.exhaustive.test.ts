import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdir, readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { build } from 'esbuild'
import { protectMemory } from '../src/platform/memory.js'
import { nodeArguments, SECURE_HEAP, secureHeapArguments } from '../src/platform/node-arguments.js'
import { later, makeTemporary } from './support.js'

const source = (name: string) => join(import.meta.dirname, '..', 'src', 'platform', name)

/** A script over our sources that an own process can run. */
async function bundle(text: string): Promise<string> {
  const outfile = join(await makeTemporary(), 'script.mjs')
  await build({
    stdin: { contents: text, resolveDir: import.meta.dirname, loader: 'ts' },
    bundle: true,
    format: 'esm',
    platform: 'node',
    conditions: ['@keytool/source'],
    external: ['@node-rs/argon2', 'hash-wasm'],
    outfile,
    plugins: [
      {
        name: 'koffi from where it is',
        setup: ({ onResolve }) =>
          onResolve({ filter: /^koffi$/ }, () => ({ path: import.meta.resolve('koffi'), external: true })),
      },
    ],
  })
  return outfile
}

/**
 * What both scripts begin with. Root is let see everything, so that they first become somebody else. Linux takes the
 * change of user for a reason not to be dumpable, which the next program to start would not be: hence the flag.
 */
const asAnybody = `
  import { openLibrary } from ${JSON.stringify(source('libc.ts'))}
  import { openSync } from 'node:fs'
  const library = await openLibrary()
  const prctl = library.bind('int prctl(int, ulong, ulong, ulong, ulong)')
  const setrlimit = library.bind('int setrlimit(int, void *)')
  const tell = value => process.stdout.write(JSON.stringify(value) + '\\n')
  setrlimit(4, Buffer.alloc(16, 0xff))
  if (process.getuid() === 0) {
    process.setgroups([])
    process.setgid(65534)
    process.setuid(65534)
    prctl(4, 1, 0, 0, 0)
  }
`

const victim = `${asAnybody}
  import { protectMemory } from ${JSON.stringify(source('memory.ts'))}
  import { isRunning, startOf } from ${JSON.stringify(source('running.ts'))}
  import { lookOnLinux } from ${JSON.stringify(source('programs-linux.ts'))}
  import { holdFolder } from ${JSON.stringify(source('folders.ts'))}
  process.stdin.once('data', async line => {
    const [mode] = String(line).split(' ')
    const protection = mode === 'protect' ? await protectMemory() : mode === 'spare' ? await protectMemory({ limitCore: false }) : {}
    const held = await holdFolder(process.cwd())
    openSync(held.at('.'), 'r')
    held.release()
    tell({ protection, start: startOf(process.pid), isRunning: isRunning(process.pid), rss: process.memoryUsage().rss,
      program: lookOnLinux(process.pid)?.program })
    process.stdin.once('data', () => process.abort())
  })
  tell('ready')
`

/** PTRACE_SEIZE, which stops nobody, and lets go when the attacker ends. */
const attacker = `${asAnybody}
  import { startOf, isRunning } from ${JSON.stringify(source('running.ts'))}
  import { lookOnLinux } from ${JSON.stringify(source('programs-linux.ts'))}
  const pid = Number(process.argv[2])
  const opens = name => { try { openSync('/proc/' + pid + '/' + name, 'r'); return true } catch { return false } }
  const ptrace = library.bind('long ptrace(long, int, void *, void *)')
  tell({
    mem: opens('mem'), environ: opens('environ'), maps: opens('maps'),
    attaches: ptrace(0x4206, pid, null, null) === 0,
    start: startOf(pid), isRunning: isRunning(pid), name: lookOnLinux(pid)?.program.name,
  })
`

interface Started {
  readonly child: ChildProcessWithoutNullStreams
  readonly folder: string
  /** The next thing it tells. */
  next(): Promise<unknown>
  say(word: string): void
}

/** By a shell, which says how it ended, in a folder where anybody may leave a core. */
async function start(script: string, argument = ''): Promise<Started> {
  const folder = join(await makeTemporary(), 'cores')
  await mkdir(folder)
  await chmod(join(folder, '..'), 0o755)
  await chmod(folder, 0o777)
  const command = '"$0" "$1" "$2"; echo "ended with $?" >&2'
  const child = spawn('sh', ['-c', command, process.execPath, script, argument], { cwd: folder })
  later(() => child.stdin.end())
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  return {
    child,
    folder,
    next: async () => JSON.parse(String((await lines.next()).value)),
    say: word => void child.stdin.write(`${word} \n`),
  }
}

interface Told {
  readonly protection: unknown
  readonly start: string
  readonly isRunning: boolean
  readonly rss: number
  readonly program: { readonly pid: number; readonly name: string; readonly path: string }
}

/** A process in one state, and what another one of its user's gets out of it. */
async function attack(mode: 'protect' | 'spare' | 'open'): Promise<{ victim: Started; told: Told; got: unknown }> {
  const started = await start(await bundle(victim))
  expect(await started.next()).toBe('ready')
  started.say(mode)
  const told = (await started.next()) as Told
  const got = await (await start(await bundle(attacker), String(told.program.pid))).next()
  return { victim: started, told, got }
}

/** Ends it as a crash would. */
async function crash({ child, folder, say }: Started): Promise<{ said: string; left: string[] }> {
  let said = ''
  child.stderr.on('data', chunk => {
    said += chunk
  })
  say('abort')
  await once(child, 'close')
  return { said, left: await readdir(folder) }
}

const limitsOf = (pid: number) => readFile(`/proc/${pid}/limits`, 'utf8')

describe('on Linux, to another program of the same user,', () => {
  test('a protected process is closed, and is still found', async () => {
    const { victim, told, got } = await attack('protect')
    expect(told).toEqual({
      protection: { dumpable: false, core: false, traceable: false, secureHeap: false },
      start: expect.any(String),
      isRunning: true,
      rss: expect.any(Number),
      program: expect.objectContaining({ path: process.execPath }),
    })
    expect(got).toEqual({
      mem: false,
      environ: false,
      maps: false,
      attaches: false,
      start: told.start,
      isRunning: true,
      name: 'script',
    })
    expect(await limitsOf(told.program.pid)).toMatch(/^Max core file size +0 +0 /m)
    const { said, left } = await crash(victim)
    expect(said).toMatch(/ended with 134/)
    expect(said).not.toMatch(/core dumped/)
    expect(left).toEqual([])
  })

  test('one that is not is open, and a crash leaves its memory', async () => {
    const { victim, told, got } = await attack('open')
    expect(got).toMatchObject({ mem: true, environ: true, maps: true, attaches: true, start: told.start })
    expect((await crash(victim)).said).toMatch(/core dumped.*ended with 134/s)
  })

  test('one that leaves the programs it starts their cores, leaves none of its own', async () => {
    const { victim, told, got } = await attack('spare')
    expect(told.protection).toEqual({ dumpable: false, core: false, traceable: false, secureHeap: false })
    expect(got).toMatchObject({ mem: false, attaches: false })
    expect(await limitsOf(told.program.pid)).toMatch(/^Max core file size +unlimited /m)
    const { said, left } = await crash(victim)
    expect(said).toMatch(/ended with 134/)
    expect(said).not.toMatch(/core dumped/)
    expect(left).toEqual([])
  })
})

describe('what can not be had is said', () => {
  const open = { dumpable: true, core: true, traceable: true, secureHeap: false }

  test('on a system that has nothing of the kind', async () => {
    const trouble = "win32 has no way to keep the user's other programs out"
    expect(await protectMemory({}, 'win32')).toEqual({ ...open, trouble })
  })

  test('without koffi', async () => {
    const trouble = 'koffi, which asks the system for protection, could not be used: no \\u{7}binary'
    const fail = () => Promise.reject(new Error('no \u0007binary'))
    expect(await protectMemory({}, 'linux', fail)).toEqual({ ...open, trouble })
  })

  /** A library where every function answers the same. */
  const answering = (value: number) => async () => ({ bind: () => () => value, error: () => 0 })

  test('where the system says no', async () => {
    expect(await protectMemory({}, 'linux', answering(1))).toEqual({
      ...open,
      trouble: 'Linux left the process dumpable; the limit on core files could not be set',
    })
    expect(await protectMemory({}, 'darwin', answering(-1))).toEqual({
      ...open,
      trouble: 'macOS did not refuse debuggers; the limit on core files could not be set',
    })
  })

  test('macOS keeps debuggers out and, where it may, cores', async () => {
    const kind = { dumpable: true, traceable: false, secureHeap: false }
    const found = (limit: number) => async () => ({
      error: () => 0,
      bind: (declaration: string) => (_resource: unknown, into: unknown) => {
        if (declaration.includes('getrlimit')) (into as Buffer).fill(limit)
        return 0
      },
    })
    expect(await protectMemory({}, 'darwin', found(0))).toEqual({ ...kind, core: false })
    expect(await protectMemory({ limitCore: false }, 'darwin', found(0))).toEqual({ ...kind, core: true })
    expect(await protectMemory({}, 'darwin', found(1))).toMatchObject({ ...kind, core: true })
  })
})

describe('the secure heap', () => {
  test.each<[string, number, boolean]>([
    ['linux', Number.POSITIVE_INFINITY, true],
    ['linux', SECURE_HEAP, true],
    ['linux', SECURE_HEAP - 1, false],
    ['linux', 65_536, false],
    ['darwin', Number.POSITIVE_INFINITY, true],
    ['win32', Number.POSITIVE_INFINITY, false],
  ])('on %s with %d bytes to lock: %s', (system, limit, has) => {
    expect(secureHeapArguments(system, limit)).toEqual(
      has ? [`--secure-heap=${SECURE_HEAP}`, '--secure-heap-min=32'] : [],
    )
  })

  const holdAndLetGo = `
    import { createPrivateKey, generateKeyPairSync, secureHeapUsed } from 'node:crypto'
    import { setTimeout } from 'node:timers/promises'
    import { collectKeys, trimMemory } from ${JSON.stringify(source('collect.ts'))}
    import { protectMemory } from ${JSON.stringify(source('memory.ts'))}
    const used = () => secureHeapUsed()?.used ?? 0
    /** Soon, but not at once, and not too often: so it is waited for. */
    async function collect(isDone) {
      const end = performance.now() + 15_000
      do {
        collectKeys()
        await setTimeout(50)
      } while (!isDone() && performance.now() < end)
    }
    const form = { type: 'pkcs8', format: 'der' }
    const kinds = [['ed25519'], ['ec', { namedCurve: 'P-256' }], ['rsa', { modulusLength: 2048 }]]
    const files = kinds.map(([type, options]) => generateKeyPairSync(type, options).privateKey.export(form))
    // OpenSSL's source of randomness stays. What has made the keys goes, in one collection or two.
    for (let i = 0; i < 3; i++) {
      await trimMemory()
      await setTimeout(20)
    }
    const before = used()
    let held = files.map(key => createPrivateKey({ key, ...form }))
    const taken = used() - before
    held = undefined
    await collect(() => used() === before)
    const left = used() - before
    const { secureHeap } = await protectMemory({}, 'none')
    process.stdout.write(JSON.stringify({ taken, left, secureHeap, hasProto: '__proto__' in {} }))
  `

  const look = `
    import { protectMemory } from ${JSON.stringify(source('memory.ts'))}
    const { secureHeap, trouble } = await protectMemory({}, 'none')
    process.stdout.write(JSON.stringify({ secureHeap, trouble }))
  `

  /** Runs a script with the kilobytes it may lock; as somebody whom that holds for. */
  async function runLocking(text: string, kilobytes: number, flags: readonly string[]): Promise<unknown> {
    const script = await bundle(text)
    await chmod(join(script, '..'), 0o755)
    const words = ['-c', 'ulimit -l "$0" && exec "$@"', String(kilobytes), process.execPath, ...flags, script]
    const child = spawn('sh', words, { cwd: '/', ...(process.getuid?.() === 0 && { uid: 65534, gid: 65534 }) })
    let told = ''
    child.stdout.on('data', chunk => {
      told += chunk
    })
    await once(child, 'close')
    return JSON.parse(told)
  }

  const flags = nodeArguments('linux', SECURE_HEAP)

  test('is locked, holds every private key, and gives it back once it was let go of', async () => {
    // Ed25519 and P-256 take 32 bytes each, and RSA-2048's numbers 896.
    const told = { taken: 960, left: 0, secureHeap: true, hasProto: false }
    expect(await runLocking(holdAndLetGo, SECURE_HEAP / 1024, flags)).toEqual(told)
  })

  test('is not there without the arguments', async () => {
    const told = { taken: 0, left: 0, secureHeap: false, hasProto: false }
    expect(await runLocking(holdAndLetGo, 0, nodeArguments('linux', 0))).toEqual(told)
  })

  test('is none where so much may not be locked, and says why', async () => {
    expect(await runLocking(look, 64, flags)).toEqual({
      secureHeap: false,
      trouble: expect.stringMatching(/; the memory for keys may be swapped: the limit on locked memory is too low$/),
    })
    expect(await runLocking(look, 64, [])).toEqual({ secureHeap: false, trouble: expect.not.stringMatching(/swapped/) })
  })
})
