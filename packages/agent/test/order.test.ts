import { randomBytes } from 'node:crypto'
import { readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { KeytoolError, PublicKey } from '@keytool/keygen'
import { generate } from '@keytool/keygen'
import type { HeldKey } from '../src/gates/gate.js'
import { createOrder, type Order, type OrderOptions } from '../src/order/order.js'
import type { Caller } from '../src/who.js'
import { later, makeTemporary } from './support.js'

let path: string
const troubles: KeytoolError[] = []

beforeEach(async () => {
  path = join(await makeTemporary(), 'order.json')
  troubles.length = 0
})

async function start(options: Partial<OrderOptions> = {}): Promise<Order> {
  const order = await createOrder({
    path,
    ruleOf: () => undefined,
    onTrouble: error => troubles.push(error),
    ...options,
  })
  later(() => order.close())
  return order
}

const makeKeys = (count: number): HeldKey[] =>
  Array.from({ length: count }, (_, i) => ({ identity: { blob: randomBytes(51), comment: `k${i}` }, terms: {} }))

const hostKeys = new Map<string, PublicKey>()

beforeAll(async () => {
  for (const host of ['web', 'db', 'relay']) hostKeys.set(host, (await generate('ed25519')).publicKey)
})

function keyOf(host: string): PublicKey {
  const key = hostKeys.get(host)
  if (!key) throw new Error(host)
  return key
}

/** A fresh connection: nothing of it is the same object as before. */
function bound(host: string, forwarding = false): Caller {
  const { blob } = keyOf(host)
  const hostKey = (keyOf(host).constructor as typeof PublicKey).fromBlob(blob)
  return { binding: { hops: [{ hostKey, sessionId: randomBytes(32), forwarding }], failed: false } }
}

const plink = (program = '/usr/bin/plink'): Caller => ({
  binding: { hops: [], failed: false },
  peer: { programs: [{ pid: 1, name: 'plink', path: program }] },
})

const commentsOf = (keys: readonly HeldKey[]) => keys.map(({ identity }) => identity.comment)

/**
 * A login as ssh does it: list, then offer one after the other; what the server accepts is signed with.
 * @returns how many were offered; undefined when the server hung up
 */
function logIn(order: Order, keys: readonly HeldKey[], by: Caller, accepted: string, tries = 6): number | undefined {
  const offered = order.arrange(keys, by).slice(0, tries)
  const at = offered.findIndex(({ identity }) => identity.comment === accepted)
  const key = offered[at]
  if (!key) return undefined
  order.note(by, Buffer.from(key.identity.blob))
  return at + 1
}

describe('a server that lets one try six keys, and an agent with fifteen', () => {
  test.each(Array.from({ length: 15 }, (_, i) => `k${i}`))(
    '%s is found within three connections, and is first ever after',
    async right => {
      const order = await start()
      const keys = makeKeys(15)
      let connections = 1
      while (logIn(order, keys, bound('web'), right) === undefined) expect(++connections).toBeLessThanOrEqual(3)
      for (let i = 0; i < 5; i++) expect(logIn(order, keys, bound('web'), right)).toBe(1)
    },
  )

  test('a list that is asked for twice on one connection is one try', async () => {
    const order = await start()
    const keys = makeKeys(15)
    const by = bound('web')
    const first = order.arrange(keys, by)
    expect(commentsOf(first)).toEqual(commentsOf(keys))
    order.arrange(keys, by)
    order.arrange(keys, by)
    expect(commentsOf(order.arrange(keys, bound('web')))[0]).toBe('k5')
  })

  test('what stood behind the key that got in counts as not offered', async () => {
    const order = await start()
    const keys = makeKeys(8)
    expect(logIn(order, keys, bound('web'), 'k1')).toBe(2)
    expect(commentsOf(order.arrange(keys, bound('web')))).toEqual(['k1', 'k2', 'k3', 'k4', 'k5', 'k6', 'k7', 'k0'])
  })

  test('the rest keeps its order however often one logs in', async () => {
    const order = await start()
    const keys = makeKeys(8)
    for (let i = 0; i < 20; i++) logIn(order, keys, bound('web'), 'k0')
    expect(commentsOf(order.arrange(keys, bound('web')))).toEqual(commentsOf(keys))
  })

  test('the key was changed on the server: the new one is found, and is first', async () => {
    const order = await start()
    const keys = makeKeys(15)
    logIn(order, keys, bound('web'), 'k2')
    let connections = 1
    while (logIn(order, keys, bound('web'), 'k14') === undefined) expect(++connections).toBeLessThanOrEqual(4)
    expect(logIn(order, keys, bound('web'), 'k14')).toBe(1)
  })

  test('two users of one host, each with another key: neither pushes the other away', async () => {
    const order = await start()
    const keys = makeKeys(15)
    for (const right of ['k14', 'k7']) {
      let connections = 1
      while (logIn(order, keys, bound('web'), right) === undefined) expect(++connections).toBeLessThanOrEqual(4)
    }
    expect(['k14', 'k14', 'k7', 'k7', 'k14'].map(right => logIn(order, keys, bound('web'), right))).toEqual([
      2, 1, 2, 1, 2,
    ])
    const reasons = order.explain(keys, [keyOf('web').blob]).map(({ comment, because }) => `${comment} ${because}`)
    expect(reasons.slice(0, 2)).toEqual(['k14 worked', 'k7 worked-before'])
    // A third one is found all the same.
    let connections = 1
    while (logIn(order, keys, bound('web'), 'k10') === undefined) expect(++connections).toBeLessThanOrEqual(5)
  })

  test('logins that used no key of the agent push the right one nowhere', async () => {
    const order = await start()
    const keys = makeKeys(15)
    logIn(order, keys, bound('web'), 'k3')
    for (let i = 0; i < 10; i++) order.arrange(keys, bound('web'))
    expect(logIn(order, keys, bound('web'), 'k3')).toBe(1)
  })

  test('ten connections at once, then one after the other', async () => {
    const order = await start()
    const keys = makeKeys(15)
    const callers = Array.from({ length: 10 }, () => bound('web'))
    const lists = callers.map(by => order.arrange(keys, by).slice(0, 6))
    for (const [i, by] of callers.entries()) {
      const right = lists[i]?.find(({ identity }) => identity.comment === 'k9')
      if (right) order.note(by, right.identity.blob)
    }
    expect(logIn(order, keys, bound('web'), 'k9')).toBe(1)
  })

  test('hosts are apart from one another', async () => {
    const order = await start()
    const keys = makeKeys(4)
    logIn(order, keys, bound('web'), 'k3')
    expect(commentsOf(order.arrange(keys, bound('db')))[0]).toBe('k0')
  })

  test('the last four that got in stand first, the latest in front', async () => {
    const order = await start()
    const keys = makeKeys(9)
    for (const right of ['k1', 'k2', 'k3', 'k4', 'k5']) {
      const by = bound('web')
      const key = keys.find(({ identity }) => identity.comment === right)
      if (key) order.note(by, key.identity.blob)
    }
    expect(commentsOf(order.arrange(keys, bound('web'))).slice(0, 5)).toEqual(['k5', 'k4', 'k3', 'k2', 'k0'])
  })
})

describe('rules about hosts', () => {
  const ruled =
    (...comments: string[]) =>
    ({ identity }: HeldKey) =>
      comments.includes(identity.comment) ? { hosts: ['web'] } : undefined

  test('come first, before what was learnt', async () => {
    const order = await start({ ruleOf: ruled('k6') })
    const keys = makeKeys(8)
    logIn(order, keys, bound('web'), 'k3', 8)
    for (let i = 0; i < 3; i++) {
      expect(commentsOf(order.arrange(keys, bound('web'))).slice(0, 2)).toEqual(['k6', 'k3'])
    }
  })

  test('more of them than tries: they take turns, and what got in is first all the same', async () => {
    const names = Array.from({ length: 12 }, (_, i) => `k${i}`)
    const order = await start({ ruleOf: ruled(...names) })
    const keys = makeKeys(15)
    let connections = 1
    while (logIn(order, keys, bound('web'), 'k14') === undefined) expect(++connections).toBeLessThanOrEqual(4)
    for (let i = 0; i < 3; i++) expect(logIn(order, keys, bound('web'), 'k14')).toBe(1)
  })

  test('for whoever is bound to no host they are of no use, and stand last', async () => {
    const order = await start({ ruleOf: ruled('k0') })
    expect(commentsOf(order.arrange(makeKeys(3), plink()))).toEqual(['k1', 'k2', 'k0'])
  })
})

describe('clients that say no host', () => {
  test('get the order that last worked for the program', async () => {
    const order = await start()
    const keys = makeKeys(10)
    expect(order.arrange(keys, plink())).toBe(keys)
    for (let i = 0; i < 4; i++) order.arrange(keys, plink())
    expect(logIn(order, keys, plink(), 'k4')).toBe(5)
    expect(commentsOf(order.arrange(keys, plink())).slice(0, 3)).toEqual(['k4', 'k0', 'k1'])
    expect(order.arrange(keys, plink('/usr/bin/psftp'))).toBe(keys)
  })

  test('are nobody without a path; a host that is only forwarded to is nobody’s login', async () => {
    const order = await start()
    const keys = makeKeys(10)
    const nobody: Caller = { binding: { hops: [], failed: false }, peer: { programs: [{ pid: 1, name: 'x' }] } }
    for (const by of [nobody, bound('relay', true)]) {
      const key = keys[7]
      if (key) order.note(by, key.identity.blob)
      expect(order.arrange(keys, by)).toBe(keys)
    }
    await order.close()
    await expect(stat(path)).rejects.toMatchObject({ code: 'ENOENT' })
  })
})

describe('the file', () => {
  test('is the user’s own, names nobody, and outlives the agent', async () => {
    const keys = makeKeys(15)
    const order = await start()
    const caller = bound('web')
    logIn(order, keys, caller, 'k3')
    logIn(order, keys, plink(), 'k4')
    await order.close()
    expect((await stat(path)).mode & 0o777).toBe(0o600)
    const text = await readFile(path, 'utf8')
    const { version, salt, hosts } = JSON.parse(text)
    expect(version).toBe(1)
    expect(Buffer.from(salt, 'base64')).toHaveLength(32)
    expect(hosts).toEqual([
      [expect.stringMatching(/^[\w-]{16}$/), expect.stringMatching(/^[\w-]{16}$/)],
      [expect.stringMatching(/^[\w-]{16}$/), expect.stringMatching(/^[\w-]{16}$/)],
    ])
    const again = await start()
    expect(logIn(again, keys, bound('web'), 'k3')).toBe(1)
    expect(commentsOf(again.arrange(keys, plink()))[0]).toBe('k4')
  })

  test('is not written again for what it holds already', async () => {
    const keys = makeKeys(3)
    const order = await start()
    const by = bound('web')
    logIn(order, keys, by, 'k1')
    await order.flush()
    const before = await stat(path)
    for (let i = 0; i < 1000; i++) logIn(order, keys, i % 2 ? by : bound('web'), 'k1')
    await order.flush()
    expect((await stat(path)).ino).toBe(before.ino)
  })

  test('is written by itself a while later', async () => {
    const order = await start({ delay: 20 })
    logIn(order, makeKeys(2), bound('web'), 'k1')
    for (let i = 0; i < 2000 && !(await stat(path).catch(() => undefined)); i++) {
      await new Promise(resolve => setTimeout(resolve, 10))
    }
    expect(JSON.parse(await readFile(path, 'utf8')).hosts).toHaveLength(1)
  })

  test('holds the thousand hosts that were used last', async () => {
    const order = await start()
    const [key] = makeKeys(1)
    const programs = Array.from({ length: 1010 }, (_, i) => plink(`/bin/p${i}`))
    for (const by of programs) if (key) order.note(by, key.identity.blob)
    await order.close()
    expect(JSON.parse(await readFile(path, 'utf8')).hosts).toHaveLength(1000)
    const again = await start()
    const keys = [...makeKeys(1), ...(key ? [key] : [])]
    expect(again.arrange(keys, plink('/bin/p9'))[0]).toBe(keys[0])
    expect(again.arrange(keys, plink('/bin/p10'))[0]).toBe(key)
  })

  test.each([
    ['no JSON', '{'],
    ['another thing', '[]'],
    ['rows that are none', '{"version":1,"salt":"AAAA","hosts":[[1]]}'],
  ])('%s: learnt anew, and said', async (_, text) => {
    await writeFile(path, text)
    const order = await start()
    expect(troubles.map(({ code }) => code)).toEqual(['damaged'])
    logIn(order, makeKeys(2), bound('web'), 'k1')
    await order.close()
    expect(JSON.parse(await readFile(path, 'utf8')).version).toBe(1)
  })

  test('of a newer program is left as it is; what is learnt holds for this run', async () => {
    const newer = '{"version":2,"more":true}'
    await writeFile(path, newer)
    const order = await start()
    const keys = makeKeys(9)
    logIn(order, keys, bound('web'), 'k4')
    expect(logIn(order, keys, bound('web'), 'k4')).toBe(1)
    await order.close()
    expect(await readFile(path, 'utf8')).toBe(newer)
    expect(troubles.map(({ code }) => code)).toEqual(['unsupported'])
  })

  test('that can’t be written is said, and no signature fails for it', async () => {
    await writeFile(join(path, '..', 'blocked'), '')
    const order = await start({ path: join(path, '..', 'blocked', 'order.json') })
    logIn(order, makeKeys(2), bound('web'), 'k1')
    await order.close()
    expect(troubles.at(-1)?.code).toBe('failed')
  })
})

describe('where the policy says not to learn', () => {
  test('nothing is read or written, and rules still count', async () => {
    const keys = makeKeys(9)
    const before = await start()
    logIn(before, keys, bound('web'), 'k4')
    await before.close()
    const text = await readFile(path, 'utf8')
    const order = await start({
      learns: () => false,
      ruleOf: ({ identity }) => (identity.comment === 'k7' ? { hosts: ['web'] } : undefined),
    })
    expect(commentsOf(order.arrange(keys, bound('web'))).slice(0, 3)).toEqual(['k7', 'k0', 'k1'])
    expect(logIn(order, keys, bound('web'), 'k1')).toBe(3)
    expect(logIn(order, keys, bound('web'), 'k1')).toBe(3)
    await order.close()
    expect(await readFile(path, 'utf8')).toBe(text)
  })

  test('switched off, all is forgotten; switched on again, the file counts', async () => {
    let learns = true
    const order = await start({ learns: () => learns })
    const keys = makeKeys(9)
    logIn(order, keys, bound('web'), 'k4')
    await order.flush()
    logIn(order, keys, bound('db'), 'k4')
    learns = false
    expect(order.arrange(keys, bound('web'))).toBe(keys)
    await order.close()
    expect(JSON.parse(await readFile(path, 'utf8')).hosts).toHaveLength(1)
    learns = true
    for (let i = 0; i < 2000 && order.arrange(keys, bound('web')) === keys; i++) {
      await new Promise(resolve => setTimeout(resolve, 10))
    }
    expect(commentsOf(order.arrange(keys, bound('web')))[0]).toBe('k4')
  })
})

describe('explained', () => {
  test('why each stands where it does; asking is no try', async () => {
    const order = await start({
      ruleOf: ({ identity }) => (identity.comment === 'k7' ? { hosts: ['web'] } : undefined),
      shows: ({ identity }) => identity.comment !== 'k6',
    })
    const keys = makeKeys(8)
    logIn(order, keys, bound('web'), 'k2')
    const explained = order.explain(keys, [keyOf('db').blob, keyOf('web').blob])
    expect(explained.map(({ comment, because }) => `${comment} ${because}`)).toEqual([
      'k7 rule',
      'k2 worked',
      'k3 untried',
      'k4 untried',
      'k5 untried',
      'k0 in-vain',
      'k1 in-vain',
    ])
    expect(explained[0]?.key).toBe(keys[7]?.identity.blob.toString('base64'))
    expect(order.explain(keys, [keyOf('web').blob])).toEqual(explained)
    expect(order.explain(keys, []).map(({ because }) => because)[0]).toBe('rule')
  })
})
