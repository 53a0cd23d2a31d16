import { PassThrough } from 'node:stream'
import { setImmediate } from 'node:timers/promises'
import { connectTime, continueThrough } from '../src/way.js'

// The way on from a host, when that host does not do its part.

const hop = { user: 'hana', host: 'bastion', port: 22, settings: {} as never }
const target = { host: 'inner', port: 22 }

function hopThatOpens(opening: Promise<PassThrough>) {
  return { openDirect: () => opening, close: async () => {} }
}

test('a hop that never answers is given up, and named', async () => {
  const way = continueThrough(hopThatOpens(new Promise(() => {})), hop, 30)
  await expect(way.dial(target)).rejects.toMatchObject({
    code: 'unreachable',
    reason: 'the server is hana@bastion, on the way there; waited 0.03 s',
  })
})

test('its time is ConnectTimeout where nobody says otherwise', async () => {
  const way = continueThrough(hopThatOpens(new Promise(() => {})), {
    ...hop,
    settings: { connectTimeout: 0.02 } as never,
  })
  await expect(way.dial(target)).rejects.toMatchObject({ code: 'unreachable' })
})

test('a ConnectTimeout of 0 is none', () => {
  expect([{ connectTimeout: 0 }, {}, { connectTimeout: 2 }].map(connectTime)).toEqual([undefined, undefined, 2000])
})

test('whoever stops does not wait for it', async () => {
  const stop = new AbortController()
  const way = continueThrough(hopThatOpens(new Promise(() => {})), hop)
  const dialled = way.dial({ ...target, signal: stop.signal })
  stop.abort()
  await expect(dialled).rejects.toMatchObject({ code: 'cancelled' })
  await expect(way.dial({ ...target, signal: stop.signal })).rejects.toMatchObject({ code: 'cancelled' })
})

test('what it opens too late is let go of', async () => {
  const stream = new PassThrough()
  let open: (stream: PassThrough) => void = () => {}
  const opening = new Promise<PassThrough>(resolve => {
    open = resolve
  })
  const way = continueThrough(hopThatOpens(opening), hop, 20)
  await expect(way.dial(target)).rejects.toMatchObject({ code: 'unreachable' })
  open(stream)
  await setImmediate()
  expect(stream.destroyed).toBe(true)
})
