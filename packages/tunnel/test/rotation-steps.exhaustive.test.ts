import { generate, KeytoolError } from '@keytool/keygen'
import { formatAuthorizedKey } from '../src/servers/authorized-keys.js'
import { rollBackHost } from '../src/servers/rotation/roll-back-host.js'
import { rotateHost } from '../src/servers/rotation/rotate-host.js'
import { Killed, type Pair, RotationWorld } from './rotation-world.js'

let pair: Pair
let before: string
let after: string
let other: string

beforeAll(async () => {
  pair = { old: await generate('ed25519', { comment: 'old' }), new: await generate('ed25519', { comment: 'new' }) }
  other = formatAuthorizedKey((await generate('ed25519')).publicKey)
  before = `${other}\n${formatAuthorizedKey(pair.old.publicKey, 'no-pty')}`
  after = `${other}\n${formatAuthorizedKey(pair.new.publicKey, 'no-pty')}\n`
})

const open = (text = before) => new RotationWorld(text, pair)
const isOpen = (world: RotationWorld) => world.admits(pair.old.publicKey) || world.admits(pair.new.publicKey)

/** Runs it killed at each event in turn, and hands over what is left each time. Returns how many there were. */
async function killEverywhere(
  make: () => Promise<RotationWorld>,
  run: (world: RotationWorld) => Promise<unknown>,
  look: (world: RotationWorld) => Promise<void>,
): Promise<number> {
  for (let event = 0; event < 100; event++) {
    const world = await make()
    world.killAt(event)
    const isKilled = await run(world).then(
      () => false,
      error => {
        if (!(error instanceof Killed)) throw error
        return true
      },
    )
    world.killAt(Number.POSITIVE_INFINITY)
    expect(isOpen(world)).toBe(true)
    if (!isKilled) return event
    await look(world)
  }
  throw new Error('it never came to its end')
}

const forward = (world: RotationWorld) => rotateHost(world.rotation())
const back = (world: RotationWorld) => rollBackHost(world.rotation())

test('the whole way, each step written down before and after; the old key goes over the new one’s connection', async () => {
  const world = open()
  expect(await forward(world)).toMatchObject({ record: { state: 'done' } })
  expect(world.states).toEqual(['adding', 'new-added', 'new-verified', 'removing', 'old-removed', 'done'])
  expect(world.bytes.toString()).toBe(after)
  expect(world.lastWriter).toBe(pair.new.publicKey)
  world.states.length = 0
  expect(await back(world)).toMatchObject({ record: { state: 'rolled-back' } })
  expect(world.states).toEqual([
    'restoring',
    'old-restored',
    'old-verified',
    'taking-back',
    'new-removed',
    'rolled-back',
  ])
  expect(world.bytes.toString()).toBe(before)
  expect(world.lastWriter).toBe(pair.old.publicKey)
})

test('killed at any moment, a key lets the user in, and the same again finishes', async () => {
  const events = await killEverywhere(
    async () => open(),
    forward,
    async world => {
      expect(await forward(world)).toMatchObject({ record: { state: 'done' } })
      expect(world.bytes.toString()).toBe(after)
    },
  )
  // Six notes and two writes of the file, before and after each.
  expect(events).toBe(16)
})

test('… killed in going on, too', async () => {
  for (let first = 0; first < 16; first++) {
    const make = async () => {
      const world = open()
      world.killAt(first)
      await expect(forward(world)).rejects.toThrow(Killed)
      return world
    }
    await killEverywhere(make, forward, async world => {
      await forward(world)
      expect([world.record.state, world.bytes.toString()]).toEqual(['done', after])
    })
  }
})

test('killed at any moment, and taken back, killed at any moment again: byte for byte as before', async () => {
  let rounds = 0
  for (let first = 0; first <= 16; first++) {
    const make = async () => {
      const world = open()
      world.killAt(first)
      await forward(world).catch(error => expect(error).toBeInstanceOf(Killed))
      return world
    }
    const whole = await make()
    whole.killAt(Number.POSITIVE_INFINITY)
    await back(whole)
    expect([whole.record.state, whole.bytes.toString()]).toEqual(['rolled-back', before])
    rounds += await killEverywhere(make, back, async world => {
      await back(world)
      expect([world.record.state, world.bytes.toString()]).toEqual(['rolled-back', before])
    })
  }
  expect(rounds).toBeGreaterThan(100)
})

test('on its way back it is not turned round silently', async () => {
  const world = open()
  world.record = { ...world.record, state: 'old-restored' }
  await expect(forward(world)).rejects.toMatchObject({ code: 'refused' })
})

describe('a new key that is not let in', () => {
  test('never removes the old one, and taking it back leaves the file as it was', async () => {
    const world = open()
    const rotation = world.rotation()
    const refuse = async () =>
      Promise.reject(new KeytoolError('secret-wrong', 'refused', { reason: 'it offers publickey' }))
    const broken = { ...rotation, door: { ...rotation.door, fileBy: refuse } }
    await expect(rotateHost(broken)).rejects.toMatchObject({
      code: 'secret-wrong',
      reason: 'the old key works; the new one stands beside it; it offers publickey',
    })
    expect(world.record.state).toBe('new-added')
    expect(world.bytes.toString()).toContain(formatAuthorizedKey(pair.old.publicKey))
    await back(world)
    expect(world.bytes.toString()).toBe(before)
  })
})

describe('others write the file meanwhile', () => {
  test('what they write stays, and what is written down is what is done', async () => {
    const world = open()
    let left = 5
    world.meddle = () => {
      if (left-- > 0) world.bytes = Buffer.concat([Buffer.from(`# ${left}\n`), world.bytes])
    }
    await forward(world)
    expect(world.bytes.toString()).toBe(`# 0\n# 1\n# 2\n# 3\n# 4\n${after}`)
    await back(world)
    expect(world.bytes.toString()).toBe(`# 0\n# 1\n# 2\n# 3\n# 4\n${before}`)
  })

  test('without end: an error, and the old key still works', async () => {
    const world = open()
    world.meddle = () => {
      world.bytes = Buffer.concat([world.bytes, Buffer.from('\n#')])
    }
    await expect(forward(world)).rejects.toMatchObject({ code: 'failed' })
    expect(world.admits(pair.old.publicKey)).toBe(true)
  })

  test('another line of the old key, just before it is removed: the new one gets the same first', async () => {
    const world = open()
    let isDone = false
    world.meddle = () => {
      if (world.record.state !== 'removing' || isDone) return
      isDone = true
      world.bytes = Buffer.from(`${formatAuthorizedKey(pair.old.publicKey, 'from="127.0.0.1"')}\n${world.bytes}`)
    }
    expect(await forward(world)).toMatchObject({ record: { state: 'done' } })
    const line = formatAuthorizedKey(pair.new.publicKey, 'from="127.0.0.1"')
    expect(world.bytes.toString()).toBe(`${line}\n${after}`)
  })

  test('the new key is taken away just before the old one is removed: it is put back first', async () => {
    const world = open()
    let isDone = false
    world.meddle = () => {
      if (world.record.state !== 'removing' || isDone) return
      isDone = true
      world.bytes = Buffer.from(before)
    }
    expect(await forward(world)).toMatchObject({ record: { state: 'done' } })
    expect(world.bytes.toString()).toBe(after)
  })
})

test('the old key is let in from elsewhere: said, not done; once it is not, it is done', async () => {
  const world = open()
  world.elsewhere.push(pair.old.publicKey)
  expect(await forward(world)).toMatchObject({ record: { state: 'still-admitted' } })
  expect(world.bytes.toString()).toBe(after)
  world.elsewhere.length = 0
  expect(await forward(world)).toMatchObject({ record: { state: 'done' } })
})

test('neither key is there: not found, nothing changed', async () => {
  const world = open(`${other}\n`)
  await expect(forward(world)).rejects.toMatchObject({ code: 'not-found' })
  expect([world.bytes.toString(), world.states]).toEqual([`${other}\n`, []])
})

test('only the new one is there: it is proved, and that is that; taking it back changes nothing', async () => {
  const world = open(after)
  expect(await forward(world)).toMatchObject({ record: { state: 'done' } })
  expect(await back(world)).toMatchObject({ record: { state: 'rolled-back' } })
  expect(world.bytes.toString()).toBe(after)
})

test('a new key that was there before stays when it is taken back', async () => {
  const text = `${after}${formatAuthorizedKey(pair.old.publicKey, 'no-pty')}\n`
  const world = open(text)
  expect(await forward(world)).toMatchObject({ record: { state: 'done' } })
  expect(world.bytes.toString()).toBe(after)
  expect(await back(world)).toMatchObject({ record: { state: 'rolled-back' } })
  expect(world.bytes.toString()).toBe(text)
})

test('done once, the old key put back by hand, and rotated again: what it was before is known still', async () => {
  const world = open()
  await forward(world)
  world.record = { ...world.record, state: 'start' }
  expect(await forward(world)).toMatchObject({ record: { state: 'done', old: [{ line: 2 }] } })
  await back(world)
  expect(world.bytes.toString()).toBe(before)
})

test('without the private half of the old key nothing is taken back but put back', async () => {
  const world = open()
  await forward(world)
  const rotation = world.rotation()
  const halved = { ...rotation, keys: { ...rotation.keys, oldSigner: undefined } }
  await expect(rollBackHost(halved)).rejects.toMatchObject({ code: 'not-found' })
  expect(world.record.state).toBe('old-restored')
  expect([world.admits(pair.old.publicKey), world.admits(pair.new.publicKey)]).toEqual([true, true])
})

test('the new key is let in all the same after it was taken back: said', async () => {
  const world = open()
  world.elsewhere.push(pair.new.publicKey)
  await forward(world)
  await expect(back(world)).rejects.toMatchObject({ code: 'failed', message: 'the new key is let in all the same' })
  expect(world.bytes.toString()).toBe(before)
})
