import { randomBytes } from 'node:crypto'
import { chmod, link, mkdir, rm, symlink, writeFile } from 'node:fs/promises'
import { createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { generate, type PrivateKey, PublicKey, type Signature } from '@keytool/keygen'
import type { Identity } from '../src/agent.js'
import { decodeMessage, encodeMessage } from '../src/protocol/codec.js'
import { FrameSplitter } from '../src/protocol/frame.js'
import { replies, requests } from '../src/protocol/messages.js'
import {
  createUpstream,
  type Upstream,
  type UpstreamConnection,
  type UpstreamOptions,
} from '../src/upstream/upstream.js'
import { later, listenAt, makeTemporary, string, u32 } from './support.js'

/** What an agent of the test's answers: bytes of whole messages, or nothing for now. */
interface Answers {
  list(): Promise<Buffer> | Buffer
  sign?(blob: Buffer, data: Buffer): Promise<Buffer> | Buffer
  extension?(name: string): Buffer
}

const FAILURE = encodeMessage(replies.failure, {})
const SUCCESS = encodeMessage(replies.success, {})
const never = () => new Promise<never>(() => undefined)

function listOf(identities: readonly Identity[]): Buffer {
  return encodeMessage(replies.identities, { identities })
}

/** An agent at this path. @returns what it was asked, by number, and how it dies */
async function serveAnswers(path: string, answers: Answers) {
  const asked: number[] = []
  const sockets = new Set<Socket>()
  const server = createServer(socket => {
    sockets.add(socket)
    const splitter = new FrameSplitter()
    let order: Promise<unknown> = Promise.resolve()
    socket.on('error', () => undefined)
    socket.on('close', () => sockets.delete(socket))
    socket.on('data', chunk => {
      splitter.push(chunk)
      for (let body = splitter.next(); body; body = splitter.next()) {
        const request = body
        asked.push(request[0] ?? 0)
        order = order.then(async () => socket.write(await answer(answers, request)))
      }
    })
  })
  await listenAt(server, path)
  const stop = () => {
    for (const socket of sockets) socket.destroy()
    return new Promise<void>(resolve => server.close(() => resolve()))
  }
  later(stop)
  return { asked, sockets, stop }
}

function answer(answers: Answers, body: Buffer): Promise<Buffer> | Buffer {
  if (body[0] === requests.list.number) return answers.list()
  if (body[0] === requests.extension.number) {
    return answers.extension?.(decodeMessage(requests.extension, body).name) ?? FAILURE
  }
  const { key, data } = decodeMessage(requests.sign, body)
  return answers.sign?.(key, data) ?? FAILURE
}

/** One who answers as the key's owner does. */
function ownerOf(...keys: PrivateKey[]): Answers {
  return {
    list: () => listOf(keys.map(({ publicKey: { blob }, comment }) => ({ blob, comment }))),
    async sign(blob, data) {
      const key = keys.find(each => each.publicKey.blob.equals(blob))
      return key ? encodeMessage(replies.signature, { signature: await key.sign(data) }) : FAILURE
    },
  }
}

function reach(path: string, options: Partial<UpstreamOptions> = {}) {
  const upstream = createUpstream({ path, timeout: 200, ...options })
  later(() => upstream.close())
  return upstream
}

async function withAnswers(answers: Answers, options: Partial<UpstreamOptions> = {}) {
  const path = join(await makeTemporary(), 'other')
  const other = await serveAnswers(path, answers)
  const upstream = reach(path, options)
  return { path, other, upstream, view: upstream.forCaller({}) }
}

const verifies = (blob: Buffer, data: Buffer, signature: Signature) => PublicKey.fromBlob(blob).verify(data, signature)
const data = Buffer.from('what is signed')

describe('an agent of good will', () => {
  test('its keys are listed and sign; others are not found there', async () => {
    const keys = await Promise.all([generate('ed25519', { comment: 'a' }), generate('ecdsa-256', { comment: 'b' })])
    const { view, upstream } = await withAnswers(ownerOf(...keys))
    expect((await view.list()).map(({ comment }) => comment)).toEqual(['a', 'b'])
    for (const { publicKey } of keys) {
      expect(await verifies(publicKey.blob, data, await view.sign(publicKey.blob, data, 0))).toBe(true)
    }
    const foreign = (await generate('ed25519')).publicKey.blob
    await expect(view.sign(foreign, data, 0)).rejects.toMatchObject({ code: 'not-found' })
    expect(upstream.trouble).toBeUndefined()
  })

  test('each client has a connection of its own, made when it is needed and closed with it', async () => {
    const { upstream, other } = await withAnswers(ownerOf(await generate('ed25519')))
    const [one, two] = [{}, {}]
    expect(upstream.forCaller(one)).toBe(upstream.forCaller(one))
    expect(other.sockets.size).toBe(0)
    await upstream.forCaller(one).list()
    expect(other.sockets.size).toBe(1)
    await upstream.forCaller(two).list()
    expect(other.sockets.size).toBe(2)
    const left = new Promise(resolve => [...other.sockets][0]?.once('close', resolve))
    upstream.forCaller(one).close()
    await left
    expect(other.sockets.size).toBe(1)
    expect(upstream.forCaller(one)).toBe(upstream.forCaller(one))
  })

  test('a login costs one list; a list is asked for anew', async () => {
    let time = 0
    const key = await generate('ed25519')
    const { view, other } = await withAnswers(ownerOf(key), { now: () => time })
    await view.list()
    await view.sign(key.publicKey.blob, data, 0)
    expect(other.asked).toEqual([11, 13])
    await view.list()
    expect(other.asked).toEqual([11, 13, 11])
    time += 60_000
    await view.sign(key.publicKey.blob, data, 0)
    expect(other.asked).toEqual([11, 13, 11, 11, 13])
  })

  test('a key that we hold is ours, one listed twice is one', async () => {
    const [ours, theirs] = await Promise.all([generate('ed25519'), generate('ed25519')])
    const { view, other } = await withAnswers(ownerOf(ours, theirs, theirs), {
      holds: blob => blob.equals(ours.publicKey.blob),
    })
    expect((await view.list()).map(({ blob }) => blob)).toEqual([theirs.publicKey.blob])
    await expect(view.sign(ours.publicKey.blob, data, 0)).rejects.toMatchObject({ code: 'not-found' })
    expect(other.asked).toEqual([11])
  })

  test('what it refuses is refused, and nothing is lost by it', async () => {
    const key = await generate('ed25519')
    const { view, upstream } = await withAnswers({ ...ownerOf(key), sign: () => FAILURE })
    await expect(view.sign(key.publicKey.blob, data, 0)).rejects.toMatchObject({ code: 'refused' })
    expect(await view.list()).toHaveLength(1)
    expect(upstream.trouble).toBeUndefined()
  })
})

describe('one that is away', () => {
  test.each([
    ['no socket', async () => undefined, 'there is no socket'],
    ['no folder', async (path: string) => rm(join(path, '..'), { recursive: true }), 'there is no socket'],
    ['a file', async (path: string) => writeFile(path, ''), 'not a socket'],
    ['a folder of everybody', async (path: string) => chmod(join(path, '..'), 0o777), 'others can get in'],
  ])('%s', async (_, prepare, trouble) => {
    const path = join(await makeTemporary(), 'other')
    await prepare(path)
    const upstream = reach(path)
    expect(await upstream.forCaller({}).list()).toEqual([])
    expect(upstream.trouble).toContain(path.slice(0, path.lastIndexOf('/')))
    expect(upstream.trouble).toContain(trouble)
    await expect(upstream.forCaller({}).sign(data, data, 0)).rejects.toMatchObject({ code: 'not-found' })
  })

  test('it dies and comes back: the next list has its keys again, and trouble is told once each way', async () => {
    const troubles: (string | undefined)[] = []
    const key = await generate('ed25519')
    const path = join(await makeTemporary(), 'other')
    const first = await serveAnswers(path, ownerOf(key))
    const view = reach(path, { onTrouble: trouble => troubles.push(trouble) }).forCaller({})
    expect(await view.list()).toHaveLength(1)
    await first.stop()
    expect(await view.list()).toEqual([])
    expect(await view.list()).toEqual([])
    await serveAnswers(path, ownerOf(key))
    expect(await view.list()).toHaveLength(1)
    expect(troubles).toEqual([expect.stringContaining(path), undefined])
  })

  test('it is exchanged for another between two lists: nobody notices', async () => {
    const [old, fresh] = await Promise.all([generate('ed25519'), generate('ed25519')])
    const path = join(await makeTemporary(), 'other')
    const first = await serveAnswers(path, ownerOf(old))
    const upstream = reach(path)
    const view = upstream.forCaller({})
    await view.list()
    await first.stop()
    await serveAnswers(path, ownerOf(fresh))
    expect((await view.list()).map(({ blob }) => blob)).toEqual([fresh.publicKey.blob])
    expect(upstream.trouble).toBeUndefined()
  })

  test('a link to a socket is followed', async () => {
    const key = await generate('ed25519')
    const { path } = await withAnswers(ownerOf(key))
    await symlink(path, `${path}.link`)
    expect(await reach(`${path}.link`).forCaller({}).list()).toHaveLength(1)
  })
})

describe('one that is slow', () => {
  test('it never answers: no keys after the time limit, then at once for a while, then it is asked again', async () => {
    let time = 0
    const { upstream, view, other } = await withAnswers({ list: never }, { now: () => time })
    expect(await view.list()).toEqual([])
    expect(upstream.trouble).toContain('200 ms')
    expect(await Promise.all([view.list(), upstream.forCaller({}).list()])).toEqual([[], []])
    expect(other.asked).toEqual([11])
    time += 60_000
    expect(await view.list()).toEqual([])
    expect(other.asked).toEqual([11, 11])
  })

  test('a signature waits for a touch as long as its client does', async () => {
    const key = await generate('ed25519')
    let touch: () => void = () => undefined
    const touched = new Promise<void>(resolve => {
      touch = resolve
    })
    const owner = ownerOf(key)
    let asked: () => void = () => undefined
    const signing = new Promise<void>(resolve => {
      asked = resolve
    })
    const { view } = await withAnswers({
      ...owner,
      async sign(blob, bytes) {
        asked()
        await touched
        return owner.sign?.(blob, bytes) ?? FAILURE
      },
    })
    await view.list()
    const signature = view.sign(key.publicKey.blob, data, 0)
    await signing
    // A list behind it is not answered, and does not take the touch away.
    expect(await view.list()).toEqual([])
    touch()
    expect(await verifies(key.publicKey.blob, data, await signature)).toBe(true)
  })

  test('the client leaves', async () => {
    const key = await generate('ed25519')
    const { view, other } = await withAnswers({ ...ownerOf(key), sign: never })
    await view.list()
    const signature = view.sign(key.publicKey.blob, data, 0)
    await new Promise(resolve => setTimeout(resolve, 20))
    const gone = Promise.all([...other.sockets].map(socket => new Promise(resolve => socket.once('close', resolve))))
    view.close()
    await expect(signature).rejects.toMatchObject({ code: 'cancelled' })
    await gone
    expect(await view.list()).toEqual([])
    await expect(view.sign(key.publicKey.blob, data, 0)).rejects.toMatchObject({ code: 'cancelled' })
  })

  test('too many signatures at once are refused', async () => {
    const key = await generate('ed25519')
    const { view } = await withAnswers({ ...ownerOf(key), sign: never })
    await view.list()
    const all = Array.from({ length: 65 }, () => view.sign(key.publicKey.blob, data, 0))
    await expect(Promise.race(all)).rejects.toMatchObject({ code: 'refused' })
    view.close()
    const outcomes = await Promise.allSettled(all)
    expect(outcomes.filter(each => each.status === 'rejected' && each.reason.code === 'cancelled')).toHaveLength(64)
  })
})

describe('one that cheats', () => {
  const blob = Buffer.concat([string('ssh-ed25519'), string(randomBytes(32))])
  const many = Array.from({ length: 10_000 }, (_, i) => ({ blob: string(`t${i}`), comment: '' }))

  test.each([
    ['10,000 keys', listOf(many), '10000 keys'],
    ['a huge comment', listOf([{ blob, comment: 'x'.repeat(100_000) }]), 'bytes of keys'],
    ['a long comment', listOf([{ blob, comment: 'x'.repeat(2000) }]), 'comment'],
    [
      'a huge key',
      listOf([{ blob: Buffer.concat([string('t'), Buffer.alloc(100_000)]), comment: '' }]),
      'bytes of keys',
    ],
    ['a comment with a zero byte', listOf([{ blob, comment: 'a\0b' }]), "can't be read"],
    ['a list cut short', Buffer.concat([u32(5), Buffer.of(12), u32(3)]), "can't be read"],
    ['another answer', SUCCESS, 'message 6'],
    ['a message of no length', u32(0), 'does not speak the agent protocol'],
    ['a message over the cap', u32(0xffffffff), 'does not speak the agent protocol'],
  ])('%s: no keys, trouble, and it is left alone for a while', async (_, bytes, trouble) => {
    let time = 0
    const { upstream, view, other } = await withAnswers({ list: () => bytes }, { now: () => time })
    expect(await view.list()).toEqual([])
    expect(upstream.trouble).toContain(trouble)
    const before = other.asked.length
    expect(await view.list()).toEqual([])
    expect(other.asked).toHaveLength(before)
    time += 60_000
    expect(await view.list()).toEqual([])
    expect(other.asked.length).toBeGreaterThan(before)
  })

  test('a key that is none is left out; a type that nobody here knows is not', async () => {
    const { publicKey } = await generate('ed25519')
    const keys = [
      { blob: publicKey.blob.subarray(0, 40), comment: 'cut' },
      { blob: Buffer.alloc(3), comment: 'nothing' },
      { blob: Buffer.concat([string('two words'), string('x')]), comment: 'no type' },
      { blob: Buffer.concat([string('ssh-next@example.com'), string('x')]), comment: 'new' },
      { blob: publicKey.blob, comment: 'good' },
    ]
    const { view, upstream } = await withAnswers({ list: () => listOf(keys) })
    expect((await view.list()).map(({ comment }) => comment)).toEqual(['new', 'good'])
    expect(upstream.trouble).toContain('3 of 5')
  })

  test("a signature that is not the key's is not passed on, nor asked for again soon", async () => {
    const [key, other] = await Promise.all([generate('ed25519'), generate('ed25519')])
    const { view, upstream } = await withAnswers({
      ...ownerOf(key),
      sign: async (_, bytes) => encodeMessage(replies.signature, { signature: await other.sign(bytes) }),
    })
    await expect(view.sign(key.publicKey.blob, data, 0)).rejects.toMatchObject({ code: 'damaged' })
    expect(upstream.trouble).toContain('does not verify')
    expect(await view.list()).toEqual([])
  })

  test('what a key of an unknown type signs is passed on as it is', async () => {
    const strange = Buffer.concat([string('ssh-next@example.com'), string('x')])
    const signature = { scheme: 'ssh-next@example.com', blob: Buffer.from('s') }
    const { view } = await withAnswers({
      list: () => listOf([{ blob: strange, comment: '' }]),
      sign: () => encodeMessage(replies.signature, { signature }),
    })
    expect(await view.sign(strange, data, 0)).toEqual(signature)
  })
})

describe('itself', () => {
  test.each([
    ['the same path', async (own: string) => own],
    ['by another way', async (own: string) => join(own, '..', '.', own.slice(own.lastIndexOf('/') + 1))],
    ['through a link', async (own: string) => symlink(own, `${own}.link`).then(() => `${own}.link`)],
    ['through a linked folder', async (own: string) => symlink(join(own, '..'), `${own}.d`).then(() => `${own}.d/own`)],
    ['under another name', async (own: string) => link(own, `${own}.hard`).then(() => `${own}.hard`)],
  ])('is refused at the start: %s', async (_, name) => {
    const own = join(await makeTemporary(), 'own')
    await serveAnswers(own, { list: () => FAILURE })
    const path = await name(own)
    expect(() => createUpstream({ path, own })).toThrow(expect.objectContaining({ code: 'refused' }))
  })

  test('also when our own socket is not there yet, and when it comes there later', async () => {
    const folder = await makeTemporary()
    await mkdir(join(folder, 'real'))
    await symlink(join(folder, 'real'), join(folder, 'link'))
    const own = join(folder, 'real', 'own')
    expect(() => createUpstream({ path: join(folder, 'link', 'own'), own })).toThrow(/own place/)
    const path = join(folder, 'other')
    const upstream = reach(path, { own })
    const { asked } = await serveAnswers(own, { list: () => FAILURE })
    await symlink(own, path)
    expect(await upstream.forCaller({}).list()).toEqual([])
    expect(upstream.trouble).toContain('own place')
    expect(asked).toEqual([])
  })

  /** An agent with one key, whose upstream is another one. */
  async function serveWith(path: string, upstream: Upstream, comment: string) {
    const key = await generate('ed25519', { comment })
    const { blob } = key.publicKey
    const own = ownerOf(key)
    // A client of an agent is told from the others by its connection; here each request is one.
    const forCaller = () => {
      const view = upstream.forCaller({})
      later(() => view.close())
      return view
    }
    const { asked } = await serveAnswers(path, {
      list: async () => listOf([{ blob, comment }, ...(await forCaller().list())]),
      async sign(wanted, bytes) {
        if (wanted.equals(blob)) return own.sign?.(wanted, bytes) ?? FAILURE
        return forCaller()
          .sign(wanted, bytes, 0)
          .then(signature => encodeMessage(replies.signature, { signature }))
          .catch(() => FAILURE)
      },
    })
    return { asked, blob }
  }

  test('two agents that ask each other: each list ends soon, has the keys of both, and both still sign', async () => {
    const folder = await makeTemporary()
    const [one, two] = [join(folder, 'one'), join(folder, 'two')]
    // Longer than this test may take: none of them is waited for in vain.
    const [first, second] = [reach(two, { timeout: 60_000 }), reach(one, { timeout: 60_000 })]
    const a = await serveWith(one, first, 'a')
    const b = await serveWith(two, second, 'b')
    const keys = await first.forCaller({}).list()
    expect(new Set(keys.map(({ comment }) => comment))).toEqual(new Set(['a', 'b']))
    expect(a.asked.length + b.asked.length).toBeLessThan(40)
    const view = first.forCaller({})
    expect(await verifies(b.blob, data, await view.sign(b.blob, data, 0))).toBe(true)
    const before = a.asked.length + b.asked.length
    const foreign = (await generate('ed25519')).publicKey.blob
    await expect(view.sign(foreign, data, 0)).rejects.toMatchObject({ code: 'not-found' })
    expect(a.asked.length + b.asked.length - before).toBeLessThan(40)
  }, 20_000)

  test('many clients at once are no ring: each gets the list', async () => {
    const { upstream } = await withAnswers(ownerOf(await generate('ed25519')), { timeout: 3000 })
    const lists = await Promise.all(Array.from({ length: 64 }, () => upstream.forCaller({}).list()))
    expect(lists.every(list => list.length === 1)).toBe(true)
  })
})

describe('hosts that a client is bound to', () => {
  test('are told in order before anything else, again on each new connection, and none after a refusal', async () => {
    const told: string[] = []
    let refused: string | undefined
    const dial = async (): Promise<UpstreamConnection> => {
      told.push('dial')
      return {
        async list() {
          told.push('list')
          return []
        },
        sign: never,
        async extension(name, body) {
          told.push(`${name.split('@')[0]} ${body}`)
          if (`${body}` === refused) throw Object.assign(new Error('no'), { name: 'KeytoolError', code: 'refused' })
        },
        close: () => told.push('close'),
      }
    }
    const upstream = createUpstream({ path: '/nowhere/other', dial })
    const view = upstream.forCaller({})
    await view.bind(Buffer.from('1'))
    const listing = view.list()
    const binding = view.bind(Buffer.from('2'))
    await Promise.all([listing, binding])
    await view.list()
    expect(told.splice(0)).toEqual(['dial', 'session-bind 1', 'list', 'session-bind 2', 'list'])

    const deaf = upstream.forCaller({})
    refused = '1'
    await deaf.bind(Buffer.from('1'))
    await deaf.bind(Buffer.from('2'))
    await deaf.list()
    expect(told.splice(0)).toEqual(['dial', 'session-bind 1', 'list'])

    const halfway = upstream.forCaller({})
    refused = '2'
    await halfway.bind(Buffer.from('1'))
    await halfway.bind(Buffer.from('2'))
    expect(await halfway.list()).toEqual([])
    expect(told).toEqual(['dial', 'session-bind 1', 'session-bind 2', 'close'])
    expect(upstream.trouble).toContain('refused a host')
  })
})
