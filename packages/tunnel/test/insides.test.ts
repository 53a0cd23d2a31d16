import { once } from 'node:events'
import { PassThrough } from 'node:stream'
import ssh2 from 'ssh2'
import { checkInsides } from '../src/connection/insides.js'

type Inside = Exclude<Parameters<typeof checkInsides>[0], undefined>

const socket = new PassThrough()

/** ssh2 as it is, before anything was said. */
function inside(): Inside {
  const client = new ssh2.Client()
  client.on('error', () => {})
  client.connect({ sock: socket, username: 'hana', readyTimeout: 0 })
  return (client as unknown as { _protocol: Inside })._protocol
}

afterAll(async () => {
  // It would begin in a moment.
  const closed = once(socket, 'close')
  socket.destroy()
  await closed
})

test('the library that is installed is the one this was made for', () => {
  const protocol = inside()
  expect(checkInsides(protocol)).toBe(protocol)
})

test.each<[string, (protocol: Inside) => object]>([
  ['no offer', () => ({ _offer: undefined })],
  ['another offer', ({ _offer }) => ({ _offer: { lists: { ..._offer.lists, kex: 'one,two' } } })],
  ['other readers', () => ({ _packetRW: {} })],
  ['an exchange that has begun', () => ({ _kex: {} })],
  ['another login', () => ({ authPK: undefined })],
  ['other ciphers', () => ({ _cipher: {} })],
])('with %s nothing is begun', (_what, change) => {
  const protocol = inside()
  const changed = Object.assign(Object.create(protocol), change(protocol)) as Inside
  expect(() => checkInsides(changed)).toThrow(expect.objectContaining({ code: 'failed' }))
})

test('nor without any', () => {
  expect(() => checkInsides(undefined)).toThrow(expect.objectContaining({ code: 'failed' }))
})
