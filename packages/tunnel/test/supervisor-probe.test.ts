import { Duplex, PassThrough } from 'node:stream'
import { KeytoolError } from '@keytool/keygen'
import { parseForward } from '../src/forwards/spec.js'
import { fakeConnection, fakeForwards, hold, inTurn, settle } from './supervisor-fakes.js'

/** A target that greets, or does not answer, as `banner` says now. */
function target() {
  const state = { banner: '220 mail.example' as string | undefined, opened: [] as string[], streams: [] as Duplex[] }
  const open = async (place: string) => {
    state.opened.push(place)
    if (state.banner === undefined) throw new KeytoolError('unreachable', `the server can't reach ${place}`)
    const said = new PassThrough()
    if (state.banner) said.write(`${state.banner}\r\n`)
    const stream = Duplex.from({ readable: said, writable: new PassThrough() })
    state.streams.push(stream)
    return stream
  }
  const connection = () =>
    fakeConnection({
      openDirect: (host, port, origin) => {
        expect(origin).toEqual({ host: '127.0.0.1', port: 0 })
        return open(`${host}:${port}`)
      },
      openDirectUnix: open,
    })
  return { ...state, state, connection }
}

const forwards = [parseForward('local', '1025:mail.example:25')]

test('a target is looked at from the start, every minute, and more often while it is dead', async () => {
  const { state, connection } = target()
  const { tunnel, clock, log } = hold({ forwards, probeInterval: 60_000, connect: async () => connection() })
  await clock.pass(2_000)
  expect(tunnel.status().forwards[0]?.state).toBe('up')
  state.banner = '421 overloaded'
  await clock.pass(60_000)
  expect(tunnel.status().forwards[0]).toMatchObject({
    state: 'dead',
    lastError: 'it does not greet as expected: it says 421 overloaded',
  })
  expect(tunnel.state.name).toBe('up')
  state.banner = undefined
  await clock.pass(10_000)
  expect(tunnel.status().forwards[0]).toMatchObject({
    state: 'dead',
    lastError: "the server can't reach mail.example:25",
  })
  state.banner = '220 again'
  await clock.pass(12_000)
  expect(tunnel.status().forwards[0]).toMatchObject({ state: 'up', lastError: null })
  const looked = state.opened.length
  await clock.pass(60_000)
  expect(state.opened).toHaveLength(looked + 1)
  expect(log()).toEqual([
    'connecting',
    'up',
    '127.0.0.1:1025 -> mail.example:25 is up: 220 mail.example',
    '127.0.0.1:1025 -> mail.example:25 is dead: it does not greet as expected (it says 421 overloaded)',
    '127.0.0.1:1025 -> mail.example:25 is up: 220 again',
  ])
  expect(new Set(state.opened)).toEqual(new Set(['mail.example:25']))
  await tunnel.stop()
  await settle()
  expect(clock.pending).toBe(0)
  expect(state.streams.every(({ destroyed }) => destroyed)).toBe(true)
})

test('0 is never', async () => {
  const { state, connection } = target()
  const { tunnel, clock } = hold({ forwards, probeInterval: 0, connect: async () => connection() })
  await clock.pass(600_000)
  expect([state.opened, tunnel.status().forwards[0]?.state]).toEqual([[], 'unknown'])
  await tunnel.stop()
})

test('what is spoken can be told, and Unix sockets are looked at, too', async () => {
  const { state, connection } = target()
  state.banner = ''
  const { tunnel, clock } = hold({
    forwards: [parseForward('local', '1:a:25'), parseForward('local', '2:/run/mail')],
    probeInterval: 60_000,
    probe: ({ listen }) => ('port' in listen && listen.port === 1 ? 'tcp' : undefined),
    connect: async () => connection(),
  })
  await clock.pass(0)
  expect(tunnel.status().forwards.map(forward => forward.state)).toEqual(['up', 'up'])
  expect(state.opened).toEqual(['a:25', '/run/mail'])
  await tunnel.stop()
})

test('others than local ones are up when they are attached', async () => {
  const { tunnel, clock } = hold({
    forwards: [parseForward('remote', '8080:localhost:80'), parseForward('dynamic', '1080')],
    probeInterval: 60_000,
  })
  await clock.pass(0)
  expect(tunnel.status().forwards.map(forward => forward.state)).toEqual(['up', 'up'])
  await tunnel.stop()
  expect(clock.pending).toBe(0)
})

test('a connection that could not be carried has the target looked at, not too often', async () => {
  const { state, connection } = target()
  const { opened, openForward } = fakeForwards()
  const { tunnel, clock } = hold({ forwards, openForward, probeInterval: 60_000, connect: async () => connection() })
  await clock.pass(11_000)
  state.banner = undefined
  for (let i = 0; i < 100; i++) opened[0]?.options.onTrouble?.(new KeytoolError('unreachable', 'no'))
  await clock.pass(0)
  expect(tunnel.status().forwards[0]?.state).toBe('dead')
  expect(state.opened).toHaveLength(2)
  await tunnel.stop()
})

test('a tunnel that is down knows nothing of its targets, and looks anew when it is back', async () => {
  const { state, connection } = target()
  const first = connection()
  let arrive = () => {}
  const { tunnel, clock, log } = hold({
    forwards,
    probeInterval: 60_000,
    connect: inTurn(
      async () => first,
      () =>
        new Promise(resolve => {
          arrive = () => resolve(connection())
        }),
    ),
  })
  await clock.pass(40_000)
  state.banner = ''
  await clock.pass(21_000)
  // It is being looked at.
  first.lose()
  await clock.pass(0)
  expect(tunnel.status().forwards[0]).toMatchObject({ state: 'unknown', lastError: null })
  expect(state.streams.at(-1)?.destroyed).toBe(true)
  await clock.pass(100_000)
  const looked = state.opened.length
  state.banner = '220 back'
  arrive()
  await clock.pass(3_000)
  expect(state.opened).toHaveLength(looked + 1)
  expect(log().filter(line => line.includes(' is '))).toEqual([
    '127.0.0.1:1025 -> mail.example:25 is up: 220 mail.example',
    'lost: the connection to mail.example is lost (it closed the connection); next try at once',
    '127.0.0.1:1025 -> mail.example:25 is up: 220 back',
  ])
  await tunnel.stop()
})

test('a look that ends with the connection says nothing about the target', async () => {
  const lost = new KeytoolError('unreachable', 'the connection broke')
  const first = fakeConnection({
    async openDirect() {
      // As the engine does: who waits for a channel is told first.
      setImmediate(() => first.lose(lost))
      throw lost
    },
  })
  const { tunnel, clock, log } = hold({
    forwards,
    probeInterval: 60_000,
    connect: inTurn(
      async () => first,
      () => new Promise(() => {}),
    ),
  })
  await clock.pass(0)
  expect(log().filter(line => line.includes('dead'))).toEqual([])
  await tunnel.stop()
})
