import { KeytoolError } from '@keytool/keygen'
import type { Connection } from '../src/connection/connection.js'
import { parseForward } from '../src/forwards/spec.js'
import { StateMachine, type TunnelState } from '../src/supervisor/states.js'
import { holdTunnel, type TunnelOptions } from '../src/supervisor/tunnel.js'

/** A connection that carries nothing and ends when it is told to. */
function fakeConnection(): Connection & { lose(error: KeytoolError): void; isClosed(): boolean } {
  let end: (error?: KeytoolError) => void = () => {}
  let closedByUs = false
  const closed = new Promise<KeytoolError | undefined>(resolve => {
    end = resolve
  })
  return {
    admission: { method: 'publickey', offered: [] },
    openDirect: () => Promise.reject(new KeytoolError('refused', 'no')),
    exec: () => Promise.reject(new KeytoolError('refused', 'no')),
    closed,
    async close() {
      closedByUs = true
      end()
    },
    lose: error => end(error),
    isClosed: () => closedByUs,
  }
}

function hold(options: Partial<TunnelOptions>) {
  const states: TunnelState[] = []
  let time = 0
  const tunnel = holdTunnel({
    target: 'mail.example',
    forwards: [parseForward('local', '0:a:1')],
    connect: async () => fakeConnection(),
    onState: state => states.push(state),
    now: () => ++time,
    ...options,
  })
  return { tunnel, states, names: () => states.map(({ name }) => name) }
}

/** Looks again and again, for a second at most. */
async function until(done: () => boolean): Promise<void> {
  const end = Date.now() + 1000
  while (!done() && Date.now() < end) await new Promise(resolve => setTimeout(resolve, 2))
}

test('comes up after its forwards listen, and says their ports', async () => {
  const ports: number[] = []
  const { tunnel, names } = hold({
    connect: async () => {
      expect(tunnel.forwards).toHaveLength(1)
      return fakeConnection()
    },
    onForward: ({ address }) => ports.push(address.port),
  })
  await tunnel.up
  expect(ports).toEqual([tunnel.forwards[0]?.address.port])
  expect(tunnel.state).toEqual({ name: 'up', since: 3 })
  await tunnel.stop()
  await tunnel.stop()
  expect(names()).toEqual(['connecting', 'up', 'stopped'])
  expect(await tunnel.done).toBeUndefined()
})

test('a port in use is said before anything is dialled', async () => {
  const first = hold({})
  await first.tunnel.up
  let dialled = false
  const port = first.tunnel.forwards[0]?.address.port
  const second = hold({
    forwards: [parseForward('local', '0:a:1'), parseForward('local', `${port}:a:1`)],
    connect: async () => {
      dialled = true
      return fakeConnection()
    },
  })
  await expect(second.tunnel.up).rejects.toMatchObject({ code: 'failed', message: `127.0.0.1:${port} is in use` })
  expect(dialled).toBe(false)
  expect(second.names()).toEqual(['stopped'])
  await first.tunnel.stop()
})

test('what keeps it from connecting stops it', async () => {
  const error = new KeytoolError('secret-wrong', 'no')
  const { tunnel, names } = hold({ connect: () => Promise.reject(error) })
  await expect(tunnel.up).rejects.toBe(error)
  expect(await tunnel.done).toBe(error)
  expect(tunnel.state).toMatchObject({ name: 'stopped', error })
  expect(names()).toEqual(['connecting', 'stopped'])
})

test('a connection that is lost stops it, and the cause is kept', async () => {
  const connection = fakeConnection()
  const { tunnel } = hold({ connect: async () => connection })
  await tunnel.up
  connection.lose(new KeytoolError('unreachable', 'it no longer answers'))
  expect(await tunnel.done).toMatchObject({
    code: 'unreachable',
    message: 'the connection to mail.example is lost',
    reason: 'it no longer answers',
  })
})

test('stopping while it connects gives the connection up, even one that comes all the same', async () => {
  const connection = fakeConnection()
  let signal: AbortSignal | undefined
  let arrive: (connection: Connection) => void = () => {}
  const { tunnel, states } = hold({
    connect: given => {
      signal = given
      return new Promise(resolve => {
        arrive = resolve
      })
    },
  })
  await until(() => states.length > 0)
  await tunnel.stop()
  expect(signal?.aborted).toBe(true)
  await expect(tunnel.up).rejects.toMatchObject({ code: 'cancelled' })
  arrive(connection)
  await new Promise(resolve => setImmediate(resolve))
  expect(connection.isClosed()).toBe(true)
  expect(tunnel.state.name).toBe('stopped')
})

test('stopping at once dials nothing', async () => {
  let dialled = false
  const { tunnel } = hold({
    connect: async () => {
      dialled = true
      return fakeConnection()
    },
  })
  await tunnel.stop()
  await new Promise(resolve => setTimeout(resolve, 20))
  expect(dialled).toBe(false)
  expect(await tunnel.done).toBeUndefined()
})

test('without forwards there is nothing to hold', async () => {
  await expect(hold({ forwards: [] }).tunnel.up).rejects.toMatchObject({ code: 'usage' })
})

test('a move that the table does not have is a mistake', () => {
  const machine = new StateMachine(
    () => 0,
    () => {},
  )
  machine.moveTo('stopped')
  expect(() => machine.moveTo('connecting')).toThrow('from stopped to connecting')
})
