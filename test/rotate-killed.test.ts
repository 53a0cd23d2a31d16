import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { jest } from '@jest/globals'
import { openRotateWorld, type RotateWorld } from './rotate-world.js'
import { keytoolPath, type RunResult, run } from './world/run.js'

// A rotation over five servers, ended by SIGKILL before and after every step that any of them takes, there and back: at each
// of these moments the old key or the new one lets the user in on every server, and the next call goes on.

jest.setTimeout(600_000)

const killer = fileURLToPath(new URL('./rotate-killer.mjs', import.meta.url))

// What is between two that stand side by side is looked at only: ended there, nothing differs from having been ended before.
const there = [
  'start after',
  'adding after',
  'new-added before',
  'new-added after',
  'new-verified after',
  'removing after',
  'old-removed before',
  'old-removed after',
  'done after',
  'followed before',
  'followed after',
  'finished after',
]
const back = [
  'restoring after',
  'old-restored before',
  'old-restored after',
  'old-verified after',
  'taking-back after',
  'new-removed before',
  'new-removed after',
  'rolled-back after',
]
/** More would mean that a call gets nowhere. */
const MAX_CALLS = 40

let world: RotateWorld
let seenFile: string
let wantedFile: string

beforeAll(async () => {
  world = await openRotateWorld(5)
  seenFile = join(world.home.path, 'seen')
  wantedFile = join(world.home.path, 'wanted')
  await writeFile(wantedFile, [...there, ...back].join('\n'))
})

afterAll(() => world.dispose())

/** The program in a process of its own, with what ends it. */
function rotate(...args: string[]): Promise<RunResult> {
  const line = ['--import', killer, keytoolPath, 'rotate', ...args]
  return run(process.execPath, line, {
    env: { ...world.home.env, WANTED_MOMENTS: wantedFile, SEEN_MOMENTS: seenFile },
    timeoutMs: 60_000,
  })
}

async function expectOpen(moment: string): Promise<void> {
  const open = world.users.map(user => world.logsIn(user, world.new, world.old))
  expect({ moment, open: await Promise.all(open) }).toEqual({ moment, open: world.users.map(() => true) })
}

/** Calls again and again, each call killed at the first moment that none before was killed at. Returns these moments. */
async function killEverywhere(lines: readonly (readonly string[])[]): Promise<string[]> {
  await writeFile(seenFile, '')
  for (let calls = 0; calls < MAX_CALLS; calls++) {
    const { status, signal, stderr } = await rotate(...(lines[calls % lines.length] ?? []))
    const seen = (await readFile(seenFile, 'utf8')).split('\n').slice(0, -1)
    await expectOpen(seen.at(-1) ?? '')
    if (signal === null) {
      expect([status, stderr]).toEqual([0, expect.any(String)])
      return seen
    }
    expect(signal).toBe('SIGKILL')
  }
  throw new Error('it never came to its end')
}

test('killed between any two steps on five servers, there and back: nobody is ever locked out', async () => {
  const texts = ['', '# end\n', '', 'cert-authority X\r\n', '# no end'].map((after, index) => {
    const options = index % 2 === 1 ? 'no-pty,from="127.0.0.*" ' : ''
    return `# ${index}\n${options}${world.oldLine}${index === 2 ? '' : '\n'}${after}`
  })
  const sessions = join(world.home.path, '.config', 'keytool', 'sessions')
  await mkdir(sessions, { recursive: true })
  for (const [index, user] of world.users.entries()) {
    await world.write(user, texts[index] ?? '')
    const session = { version: 1, name: `s${index}`, host: '127.0.0.1', port: world.sshd.port, user: user.name }
    const forwards = { local: [], remote: [], dynamic: [] }
    await writeFile(join(sessions, `s${index}.json`), JSON.stringify({ ...session, key: world.old, forwards }))
  }
  const keys = async () => {
    const names = (await readdir(sessions)).sort()
    return Promise.all(names.map(async name => JSON.parse(await readFile(join(sessions, name), 'utf8')).key))
  }
  const files = () => Promise.all(world.users.map(user => world.read(user)))

  // The same call, and --resume, by turns.
  const same = [world.old, world.new, '--all']
  const seen = await killEverywhere([same, same, ['--resume', world.old, world.new]])
  expect(seen.sort()).toEqual([...there].sort())
  expect(await files()).toEqual(
    texts
      .map(text => text.replace(world.oldLine, world.newLine))
      .map((text, index) => (index === 2 ? `${text}\n` : text)),
  )
  expect(await keys()).toEqual(world.users.map(() => world.new))
  for (const user of world.users) expect(await world.logsIn(user, world.old)).toBe(false)

  const seenBack = await killEverywhere([['--rollback', world.old, world.new]])
  expect(seenBack.filter(moment => !/^(followed|finished) /.test(moment)).sort()).toEqual([...back].sort())
  expect(await files()).toEqual(texts)
  expect(await keys()).toEqual(world.users.map(() => world.old))
})
