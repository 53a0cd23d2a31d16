import { Writable } from 'node:stream'
import { generate, inspectKeys, type PublicKey, writePublicLine } from '@keytool/keygen'
import { judgeFile, judgePlace, type Surroundings } from '../src/commands/audit/judge.js'
import type { KeyFileFound } from '../src/commands/audit/key-files.js'
import type { Context } from '../src/context.js'
import { Say } from '../src/say.js'

const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() })
const say = new Say({ name: 'keytool', home: '/home/hana', stdout: nowhere, stderr: nowhere, env: {} })
const now = new Date('2026-11-30T00:00:00Z')
let key: PublicKey

beforeAll(async () => {
  key = (await generate('ed25519')).publicKey
})

const around = (more: Partial<Surroundings> = {}): Surroundings => ({
  ...{ files: [], held: [key], lastUse: () => undefined, now, uid: 1000 },
  context: { name: 'keytool', say } as Context,
  ...more,
})

const privateFile = (): KeyFileFound => ({
  path: '/home/hana/.ssh/id',
  what: { kind: 'private', format: 'openssh', encrypted: true, public: key },
  stats: { mode: 0o600, uid: 1000 },
})

async function publicFile(): Promise<KeyFileFound> {
  const [what] = await inspectKeys(Buffer.from(writePublicLine(key)))
  return { path: '/home/hana/.ssh/id.pub', what: what as KeyFileFound['what'], stats: { mode: 0o644, uid: 1000 } }
}

test.each([
  ['2025-11-29', ['stale']],
  ['2025-12-01', []],
  [undefined, []],
])('a key that last signed on %s', async (day, codes) => {
  const lastUse = () => (day === undefined ? undefined : new Date(day))
  const found = await judgeFile(privateFile(), around({ lastUse }))
  expect(found.map(({ code }) => code)).toEqual(codes)
})

test('where systems have no such numbers, nothing is said of modes and owners', async () => {
  const stats = { mode: 0o666, uid: 0 }
  const nobody = around({ uid: undefined })
  expect(await judgeFile({ ...privateFile(), stats }, nobody)).toEqual([])
  expect(judgePlace({ path: '/home/hana/.ssh', kind: 'folder', stats }, nobody)).toEqual([])
  expect((await judgeFile({ ...privateFile(), stats }, around())).map(({ code }) => code)).toEqual([
    'exposed',
    'foreign-owner',
  ])
})

test('a public half whose private half is a file that hides it, or is anybody’s', async () => {
  const half = await publicFile()
  const { public: _, ...hidden } = privateFile().what as { public?: unknown }
  const file = (path: string) => ({ ...privateFile(), path, what: hidden as KeyFileFound['what'] })
  const codes = async (...files: KeyFileFound[]) =>
    (await judgeFile(half, around({ held: [], files: [half, ...files] }))).map(({ code }) => code)
  expect(await codes()).toEqual(['orphaned'])
  expect(await codes(file('/home/hana/.ssh/id'))).toEqual([])
  expect(await codes(file('/home/hana/.ssh/old'))).toEqual([])
})
