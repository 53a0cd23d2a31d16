import { chmod, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createKeychain, type KeychainEntry } from '../src/index.js'
import { type AnswerOptions, answer, INDEX } from '../src/keychain/answer.js'
import { isLocked } from '../src/keychain/answers.js'
import { Gathering, MAX_FRAME, packFrame, unpackFrame } from '../src/keychain/frame.js'
import { whileLocked } from '../src/keychain/index-lock.js'
import { openStore, type SystemStore } from '../src/keychain/system-store.js'
import { places } from '../src/platform/places.js'
import { makeTemporary } from './support.js'

// The keychain's two sides, each against a stand-in of the other. Against a real one: test/keychain-agent.test.ts.

const print = (letter: string) => `SHA256:${letter.repeat(43)}`
const entry = (letter: string): KeychainEntry => ({ fingerprint: print(letter), comment: letter, file: `/k/${letter}` })

describe('frames', () => {
  const fields = ['', 'x', 'ü'.repeat(100)].map(text => Buffer.from(text))

  test('what is packed is unpacked, in pieces of any size', () => {
    const frame = packFrame(fields)
    for (const size of [1, 3, frame.length]) {
      const gathering = new Gathering()
      const found: Buffer[][] = []
      for (let at = 0; at < frame.length; at += size) {
        const part = Buffer.from(frame.subarray(at, at + size))
        const whole = gathering.add(part)
        if (whole) found.push(whole.map(field => Buffer.from(field)))
        expect(part.every(byte => byte === 0)).toBe(true)
      }
      expect(found).toEqual([fields])
    }
  })

  test('a frame that is cut short is waited for; every other fault is told', () => {
    const frame = packFrame(fields)
    for (let end = 0; end < frame.length; end++) expect(unpackFrame(frame.subarray(0, end))).toBeUndefined()
    const wrong = [
      Buffer.concat([frame, Buffer.alloc(1)]),
      Buffer.from([0xff, 0xff, 0xff, 0xff]),
      Buffer.concat([Buffer.from([0, 0, 0, 5]), Buffer.from([0, 0, 0, 2, 1])]),
      Buffer.concat([Buffer.from([0, 0, 0, 3]), Buffer.from([0, 0, 0])]),
      packFrame(new Array(9).fill(Buffer.alloc(0))),
    ]
    for (const bytes of wrong) expect(() => unpackFrame(bytes)).toThrow(expect.objectContaining({ code: 'damaged' }))
    expect(MAX_FRAME).toBeGreaterThan(64 * 1024)
  })
})

describe('the side of the agent', () => {
  /** A child that has its request in `fields`, and runs this; `say` sends an answer, `send` bytes as they are. */
  async function keychain(body: string, more: { timeout?: number; env?: Record<string, string> } = {}) {
    const folder = await makeTemporary()
    const program = join(folder, 'child.cjs')
    await writeFile(
      program,
      `const fs = require('node:fs')
const here = ${JSON.stringify(folder)}
const log = text => fs.appendFileSync(here + '/log', text + '\\n')
const pack = list => {
  const all = list.map(each => Buffer.from(each))
  const body = Buffer.concat(all.flatMap(each => [u32(each.length), each]))
  return Buffer.concat([u32(body.length), body])
}
const u32 = value => { const bytes = Buffer.alloc(4); bytes.writeUInt32BE(value); return bytes }
const send = bytes => process.stdout.write(bytes)
const say = (...list) => send(pack(list))
setTimeout(() => process.exit(7), 20000)
log('start ' + process.pid)
let held = Buffer.alloc(0)
process.stdin.on('data', part => {
  held = Buffer.concat([held, part])
  if (held.length < 4 || held.length < 4 + held.readUInt32BE()) return
  const fields = []
  for (let at = 4; at < held.length; ) {
    const size = held.readUInt32BE(at)
    fields.push(held.subarray(at + 4, at + 4 + size).toString())
    at += 4 + size
  }
  log('asked ' + fields[0])
  ${body}
})
`,
    )
    const lines = async () => (await readFile(join(folder, 'log'), 'utf8').catch(() => '')).split('\n').slice(0, -1)
    const { env = { PATH: '/usr/bin' }, ...rest } = more
    return { program, lines, keychain: createKeychain({ program, env, ...rest }) }
  }

  const isThere = (pid: number) => {
    try {
      return process.kill(pid, 0)
    } catch {
      return false
    }
  }

  async function untilGone(lines: readonly string[]): Promise<void> {
    const pids = lines.flatMap(line => (line.startsWith('start ') ? [Number(line.slice(6))] : []))
    for (let i = 0; i < 2000 && pids.some(isThere); i++) await new Promise(resolve => setTimeout(resolve, 10))
    expect(pids.filter(isThere)).toEqual([])
  }

  test('asks what it is asked, and understands each answer', async () => {
    const answers = await keychain(
      `
      const [name, first, second] = fields
      const table = {
        state: ['locked'],
        find: first.endsWith('a') ? ['p\\u00e4ss\\n'] : [],
        store: [],
        forget: first?.endsWith('a') ? [''] : [],
        list: [JSON.stringify([{ fingerprint: '${print('a')}', comment: 'x', file: 'relative', more: 1 }, 5])],
      }
      log(JSON.stringify([first, second]))
      say('ok', ...table[name])`.replace('first.endsWith', 'first?.endsWith'),
    )
    const { keychain: ours } = answers
    expect(await ours.state()).toBe('locked')
    expect((await ours.find(print('a')))?.toString()).toBe('päss\n')
    expect(await ours.find(print('b'))).toBeUndefined()
    await ours.store(entry('a'), Buffer.from('zwölf'))
    expect(await ours.forget(print('a'))).toBe(true)
    expect(await ours.forget(print('b'))).toBe(false)
    expect(await ours.list()).toEqual([{ fingerprint: print('a'), comment: 'x' }])
    expect(await answers.lines()).toContain(JSON.stringify([JSON.stringify(entry('a')), 'zwölf']))
    await untilGone(await answers.lines())
  })

  test('one after the other', async () => {
    const slow = await keychain("setTimeout(() => { log('done'); say('ok') }, 60)")
    await Promise.all(['a', 'b', 'c'].map(letter => slow.keychain.find(print(letter))))
    const words = (await slow.lines()).map(line => line.split(' ')[0])
    expect(words).toEqual(new Array(3).fill(['start', 'asked', 'done']).flat())
  })

  test('of the environment the child has only what a keychain needs', async () => {
    const env = { PATH: '/usr/bin', HOME: '/h', DBUS_SESSION_BUS_ADDRESS: 'unix:', SECRET: 'x', NODE_OPTIONS: '--x' }
    const seen = await keychain("log(Object.keys(process.env).sort().join()); say('ok')", { env })
    await seen.keychain.find(print('a'))
    expect((await seen.lines()).at(-1)).toBe('DBUS_SESSION_BUS_ADDRESS,HOME,PATH')
  })

  test('a child that hangs is ended, and all who wait are told together', async () => {
    const { keychain: ours, lines } = await keychain('', { timeout: 600 })
    const all = await Promise.allSettled(['a', 'b', 'c'].map(letter => ours.find(print(letter))))
    const reason = {
      code: 'unreachable',
      message: 'the keychain does not answer',
      reason: 'it gave no answer in 0.6 s',
    }
    expect(all).toEqual(new Array(3).fill({ status: 'rejected', reason: expect.objectContaining(reason) }))
    // None but the first was asked for.
    expect((await lines()).filter(line => line.startsWith('start')).length).toBeLessThanOrEqual(1)
    expect(await ours.state()).toBe('none')
    await untilGone(await lines())
  })

  test('who leaves takes the child along; the next one is asked for', async () => {
    const { keychain: ours, lines } = await keychain("if (fields[1].endsWith('b')) say('ok', 'yes')")
    const [first, second] = [new AbortController(), new AbortController()]
    const waiting = [ours.find(print('a'), first.signal), ours.find(print('c'), second.signal), ours.find(print('b'))]
    const settled = Promise.allSettled(waiting)
    for (let i = 0; i < 2000 && !(await lines()).includes('asked find'); i++)
      await new Promise(resolve => setTimeout(resolve, 10))
    second.abort()
    await expect(waiting[1]).rejects.toMatchObject({ code: 'cancelled' })
    first.abort()
    await expect(waiting[0]).rejects.toMatchObject({ code: 'cancelled' })
    expect((await waiting[2])?.toString()).toBe('yes')
    await settled
    await expect(ours.find(print('a'), AbortSignal.abort())).rejects.toMatchObject({ code: 'cancelled' })
    expect((await lines()).filter(line => line.startsWith('start'))).toHaveLength(2)
    await untilGone(await lines())
  })

  test('one that is ready is asked; one that has ended since is not', async () => {
    const { keychain: ours, lines } = await keychain("say('ok')")
    const started = async (count: number) => {
      for (let i = 0; i < 2000 && (await lines()).length < count; i++)
        await new Promise(resolve => setTimeout(resolve, 10))
      return lines()
    }
    ours.prepare()
    ours.prepare()
    expect(await started(1)).toHaveLength(1)
    await ours.find(print('a'))
    expect(await lines()).toHaveLength(2)
    ours.prepare()
    const [, , third = ''] = await started(3)
    process.kill(Number(third.slice(6)), 'SIGKILL')
    await untilGone([third])
    await new Promise(resolve => setTimeout(resolve, 50))
    await ours.find(print('a'))
    expect((await lines()).map(line => line.split(' ')[0])).toEqual(['start', 'asked', 'start', 'start', 'asked'])
  })

  test.each([
    ['nothing', 'process.exit(0)', 'what asks it ended with 0'],
    ['nothing, and crashes', "process.kill(process.pid, 'SIGABRT')", 'what asks it ended with SIGABRT'],
    ['a part', 'send(pack(["ok", "x"]).subarray(0, 8)); setTimeout(() => process.exit(3), 50)', /ended with 3/],
    ['no frame', "send('some warning that is no frame')", 'its answer makes no sense'],
    ['too much', 'send(Buffer.alloc(40, 0xff))', 'its answer makes no sense'],
    ['more than a frame', 'send(Buffer.concat([pack(["ok"]), Buffer.alloc(1)]))', 'its answer makes no sense'],
    ['something else', "say('well', 'x')", 'its answer makes no sense'],
    ['an error of its own', `say('error', '{"code":"host-key-changed","message":"x"}')`, 'its answer makes no sense'],
    ['an error that is none', "say('error', '[')", 'its answer makes no sense'],
    ['no error', "say('error')", 'its answer makes no sense'],
  ])('a child that says %s is no answer', async (_what, body, reason) => {
    const { keychain: ours } = await keychain(body)
    await expect(ours.find(print('a'))).rejects.toMatchObject({
      code: 'unreachable',
      message: 'the keychain does not answer',
      reason: typeof reason === 'string' ? reason : expect.stringMatching(reason),
    })
  })

  test('an error is told as it was told', async () => {
    const error = { code: 'refused', message: 'the keychain is locked', hint: 'unlock it' }
    const { keychain: ours } = await keychain(`say('error', ${JSON.stringify(JSON.stringify(error))})`)
    await expect(ours.list()).rejects.toMatchObject({ ...error, reason: undefined })
  })

  test('without its program there is no answer', async () => {
    const ours = createKeychain({ program: '/nowhere/child.cjs', env: {} })
    await expect(ours.find(print('a'))).rejects.toMatchObject({ code: 'unreachable' })
    expect(await ours.state()).toBe('none')
  })

  test.each([
    ['nothing', Buffer.alloc(0)],
    ['a zero byte', Buffer.from('a\0b')],
    ['no UTF-8', Buffer.from([0x61, 0xe4])],
    ['too much', Buffer.alloc(64 * 1024 + 1, 0x61)],
  ])('a passphrase of %s can not be kept', async (_what, passphrase) => {
    const ours = createKeychain({ program: '/nowhere/child.cjs', env: {} })
    await expect(ours.store(entry('a'), passphrase)).rejects.toMatchObject({ code: 'unsupported' })
  })

  test.each(['', 'index', 'SHA256:abc', `${print('a')}x`, 'MD5:00'])('%j is no key', async text => {
    const ours = createKeychain({ program: '/nowhere/child.cjs', env: {} })
    await expect(ours.find(text)).rejects.toMatchObject({ code: 'usage' })
    await expect(ours.forget(text)).rejects.toMatchObject({ code: 'usage' })
    const wrong = { fingerprint: text, comment: '' }
    await expect(ours.store(wrong, Buffer.from('x'))).rejects.toMatchObject({ code: 'usage' })
  })
})

describe('the side of the child', () => {
  /** A keychain in memory. */
  function memory(change: Partial<SystemStore> = {}) {
    const held = new Map<string, string>()
    let closed = 0
    const store: SystemStore = {
      state: async () => 'unlocked',
      get: async account => held.get(account),
      set: async (account, secret) => void held.set(account, secret),
      delete: async account => held.delete(account),
      close: () => void closed++,
      ...change,
    }
    const options: AnswerOptions = { open: async () => store, whileLocked: work => work() }
    const ask = async (...fields: (string | Buffer)[]) =>
      (
        await answer(
          fields.map(field => Buffer.from(field as string)),
          options,
        )
      ).map(each => Buffer.from(each).toString())
    return { held, ask, closed: () => closed }
  }

  const store = (letter: string, secret = `secret ${letter}`) => ['store', JSON.stringify(entry(letter)), secret]

  test('keeps, finds, lists and forgets', async () => {
    const { held, ask, closed } = memory()
    expect(await ask('list')).toEqual(['ok', '[]'])
    expect(await ask('find', print('a'))).toEqual(['ok'])
    for (const letter of ['a', 'b', 'a']) expect(await ask(...store(letter))).toEqual(['ok'])
    expect(await ask('find', print('a'))).toEqual(['ok', 'secret a'])
    expect(JSON.parse((await ask('list'))[1] ?? '')).toEqual([entry('b'), entry('a')])
    expect(JSON.parse(held.get(INDEX) ?? '')).toEqual({ version: 1, keys: [entry('b'), entry('a')] })
    expect([await ask('forget', print('a')), await ask('forget', print('a'))]).toEqual([['ok', ''], ['ok']])
    expect(JSON.parse((await ask('list'))[1] ?? '')).toEqual([entry('b')])
    expect([...held.keys()].sort()).toEqual([print('b'), INDEX])
    expect(closed()).toBe(10)
  })

  test.each([
    ['an unknown name', ['steal']],
    ['nothing', []],
    ['too few fields', ['find']],
    ['too many fields', ['list', 'x']],
    ['the index as a key', ['find', INDEX]],
    ['an entry that is none', ['store', '{"fingerprint":"x"}', 'y']],
  ])('%s is refused', async (_what, fields) => {
    const { held, ask } = memory()
    const [kind, json = ''] = await ask(...fields)
    expect([kind, JSON.parse(json).code, held.size]).toEqual(['error', 'usage', 0])
  })

  test('a locked one is told as it is', async () => {
    const { ask } = memory({ get: () => Promise.reject(isLocked()) })
    const [kind, json = ''] = await ask('find', print('a'))
    expect([kind, JSON.parse(json)]).toMatchObject(['error', { code: 'refused', message: 'the keychain is locked' }])
  })

  test('an error that nobody expected is told without its text', async () => {
    const { ask } = memory({ get: () => Promise.reject(new Error('the secret is x')) })
    const [kind, json = ''] = await ask('find', print('a'))
    expect([kind, json.includes('secret is')]).toEqual(['error', false])
  })

  test('a keychain that cuts what it is given is no place for it', async () => {
    const held = new Map<string, string>()
    const { ask } = memory({
      get: async account => held.get(account),
      set: async (account, secret) => void held.set(account, secret.slice(0, 4)),
    })
    const [kind, json = ''] = await ask(...store('a', 'longer than that'))
    expect([kind, JSON.parse(json).reason]).toEqual(['error', 'it did not keep the passphrase as it was given'])
    expect(held.has(INDEX)).toBe(false)
  })

  test('what can not be listed is not left there: nobody could name it again', async () => {
    const held = new Map<string, string>()
    const { ask } = memory({
      get: async account => held.get(account),
      set: async (account, secret) => {
        if (account === INDEX) throw isLocked()
        held.set(account, secret)
      },
      delete: async account => held.delete(account),
    })
    const [kind, json = ''] = await ask(...store('a'))
    expect([kind, JSON.parse(json).code, held.size]).toEqual(['error', 'refused', 0])
  })

  test.each([
    ['no JSON', 'x', 'damaged'],
    ['no object', '5', 'damaged'],
    ['no list', '{"version":1,"keys":{}}', 'damaged'],
    ['of a newer program', '{"version":2}', 'unsupported'],
  ])('an index that is %s is not written over', async (_what, text, code) => {
    const { held, ask } = memory()
    held.set(INDEX, text)
    for (const fields of [['list'], store('a'), ['forget', print('a')]]) {
      const [kind, json = ''] = await ask(...fields)
      expect([kind, JSON.parse(json).code]).toEqual(['error', code])
    }
    expect([...held]).toEqual([[INDEX, text]])
  })

  test('what stands in the index and is none of ours is left out', async () => {
    const { held, ask } = memory()
    const keys = [entry('a'), 5, null, { fingerprint: 'x' }, { ...entry('b'), file: 'relative', colour: 1 }, entry('a')]
    held.set(INDEX, JSON.stringify({ version: 1, keys }))
    const found = JSON.parse((await ask('list'))[1] ?? '')
    expect(found).toEqual([entry('a'), { fingerprint: print('b'), comment: 'b' }])
  })
})

describe('opening', () => {
  const keytar = {
    getPassword: async () => null,
    setPassword: async () => undefined,
    deletePassword: async () => false,
  }
  const base = { timeout: 500, loadKeytar: async () => keytar, env: {}, system: 'linux' }

  test.each([
    ['no bus', base, /DBUS_SESSION_BUS_ADDRESS/],
    ['a bus that is gone', { ...base, env: { DBUS_SESSION_BUS_ADDRESS: 'unix:path=/nowhere/bus' } }, /does not answer/],
    ['an address of another kind', { ...base, env: { DBUS_SESSION_BUS_ADDRESS: 'tcp:host=x' } }, /does not answer/],
    ['no libsecret', { ...base, loadKeytar: () => Promise.reject(new Error('no')) }, /libsecret is missing/],
    [
      'no add-on for this system',
      { ...base, system: 'win32', loadKeytar: () => Promise.reject(new Error('no')) },
      /no binary/,
    ],
  ])('with %s there is no keychain', async (_what, options, reason) => {
    await expect(openStore(options)).rejects.toMatchObject({
      code: 'unreachable',
      message: 'there is no keychain here',
      reason: expect.stringMatching(reason),
    })
  })

  test.each(['darwin', 'win32'])('on %s the system is asked alone', async system => {
    const store = await openStore({ ...base, system })
    expect([await store.state(), await store.get('x'), await store.delete('x')]).toEqual(['unlocked', undefined, false])
    const sick = { ...keytar, getPassword: () => Promise.reject(new Error('denied\u001b[2J')) }
    const other = await openStore({ ...base, system, loadKeytar: async () => sick })
    await expect(other.get('x')).rejects.toMatchObject({
      code: 'unreachable',
      reason: expect.stringMatching(/^denied/),
    })
    await expect(other.state()).rejects.toMatchObject({ reason: expect.not.stringContaining('\u001b') })
  })
})

describe('the lock of the index', () => {
  test('lets one in at a time, and leaves nothing behind', async () => {
    const home = await makeTemporary()
    const at = places({ XDG_RUNTIME_DIR: home }, 'linux', home)
    let inside = 0
    let value = 0
    const add = () =>
      whileLocked(at, async () => {
        expect(++inside).toBe(1)
        const read = value
        await new Promise(resolve => setTimeout(resolve, 5))
        value = read + 1
        inside--
      })
    await Promise.all(Array.from({ length: 8 }, add))
    expect(value).toBe(8)
    await expect(whileLocked(at, () => Promise.reject(new Error('its own')))).rejects.toThrow('its own')
    await add()
    expect(value).toBe(9)
  })

  test('a folder that others can get into is no place for it', async () => {
    const home = await makeTemporary()
    const at = places({ XDG_RUNTIME_DIR: home }, 'linux', home)
    await whileLocked(at, async () => undefined)
    await chmod(at.runtime, 0o777)
    await expect(whileLocked(at, async () => undefined)).rejects.toMatchObject({
      code: 'failed',
      reason: expect.stringMatching(/others can get in/),
    })
  })
})
