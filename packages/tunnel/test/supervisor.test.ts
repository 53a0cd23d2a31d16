import { once } from 'node:events'
import { createServer } from 'node:net'
import { KeytoolError } from '@keytool/keygen'
import type { Connection } from '../src/connection/connection.js'
import type { Guest } from '../src/forwards/forward.js'
import { openForward } from '../src/forwards/open.js'
import { parseForward } from '../src/forwards/spec.js'
import { failing, fakeConnection, fakeForwards, hold, inTurn, settle } from './supervisor-fakes.js'

const remote = parseForward('remote', '8080:localhost:80')

describe('the start', () => {
  test('forwards first, then the connection, then up', async () => {
    const { opened, openForward } = fakeForwards()
    const places: string[] = []
    const { tunnel, names, attempts } = hold({
      openForward,
      connect: async () => {
        expect(opened).toHaveLength(1)
        return fakeConnection()
      },
      onForward: ({ place }) => places.push(place),
    })
    await tunnel.up
    expect(names()).toEqual(['connecting', 'up'])
    expect(places).toEqual(['127.0.0.1:1110'])
    expect(attempts).toEqual([{ again: false, at: 0 }])
    await tunnel.stop()
    await tunnel.stop()
    expect(names()).toEqual(['connecting', 'up', 'stopped'])
    expect(await tunnel.done).toBeUndefined()
  })

  test('a port in use is said before anything is dialled, and what listened is closed', async () => {
    const blocker = createServer().listen(0, '127.0.0.1')
    await once(blocker, 'listening')
    const { port } = blocker.address() as { port: number }
    const { tunnel, names, attempts } = hold({
      openForward,
      forwards: [parseForward('local', '0:a:1'), parseForward('local', `${port}:a:1`)],
    })
    await expect(tunnel.up).rejects.toMatchObject({ code: 'failed', message: `127.0.0.1:${port} is in use` })
    expect(attempts).toEqual([])
    expect(names()).toEqual(['stopped'])
    const first = tunnel.forwards[0]?.port
    const again = createServer().listen(first, '127.0.0.1')
    await once(again, 'listening')
    again.close()
    blocker.close()
  })

  test('without forwards there is nothing to hold', async () => {
    await expect(hold({ forwards: [] }).tunnel.up).rejects.toMatchObject({ code: 'usage' })
  })

  test.each(['unreachable', 'damaged', 'secret-needed', 'secret-wrong', 'host-key-changed', 'failed'] as const)(
    '%s ends it at once',
    async code => {
      const { tunnel, names, attempts, clock, isWatching } = hold({ connect: failing(code) })
      await expect(tunnel.up).rejects.toMatchObject({ code })
      expect(await tunnel.done).toMatchObject({ code })
      expect(names()).toEqual(['connecting', 'stopped'])
      await clock.pass(600_000)
      expect(attempts).toHaveLength(1)
      expect(isWatching()).toBe(false)
    },
  )

  test('with `wait` it keeps trying, and stops at what can not heal', async () => {
    const { tunnel, names, attempts, clock } = hold({
      wait: true,
      connect: inTurn(failing('unreachable'), failing('unreachable'), failing('secret-wrong')),
    })
    await clock.pass(500)
    expect(names()).toEqual(['connecting', 'waiting', 'connecting', 'waiting'])
    expect(tunnel.state).toMatchObject({ until: clock.now() + 1000, error: { code: 'unreachable' } })
    await clock.pass(1000)
    expect(await tunnel.done).toMatchObject({ code: 'secret-wrong' })
    expect(attempts.map(({ at, again }) => [at, again])).toEqual([0, 500, 1500].map(at => [at, false]))
  })

  test('and at no algorithm in common, since there may never have been one', async () => {
    const { tunnel, attempts } = hold({ wait: true, connect: failing('unsupported') })
    expect(await tunnel.done).toMatchObject({ code: 'unsupported' })
    expect(attempts).toHaveLength(1)
  })

  test('a remote forward that is refused ends it', async () => {
    const refused = new KeytoolError('refused', 'no listener')
    const connection = fakeConnection()
    const { tunnel, names } = hold({
      wait: true,
      forwards: [remote],
      openForward: fakeForwards(() => Promise.reject(refused)).openForward,
      connect: async () => connection,
    })
    await expect(tunnel.up).rejects.toBe(refused)
    expect(names()).toEqual(['connecting', 'stopped'])
    expect(connection.isClosed).toBe(true)
  })

  test('unless it is not required: it is dead then, asked for again, and told once it carries', async () => {
    const answers = [true, true, false]
    const places: string[] = []
    const { tunnel, clock, log } = hold({
      required: false,
      forwards: [remote],
      openForward: fakeForwards(async () => {
        if (answers.shift()) throw new KeytoolError('refused', 'the port is taken')
      }).openForward,
      onForward: ({ place }) => places.push(place),
    })
    await tunnel.up
    expect(tunnel.status().forwards[0]).toMatchObject({ state: 'dead', lastError: 'the port is taken' })
    expect(places).toEqual([])
    await clock.pass(1000)
    expect(tunnel.status().forwards[0]?.state).toBe('dead')
    await clock.pass(2000)
    expect(tunnel.status().forwards[0]).toMatchObject({ state: 'up', lastError: null })
    expect(places).toEqual(['localhost:8080'])
    expect(log()).toEqual([
      'connecting',
      'localhost:8080 -> localhost:80 is dead: the port is taken',
      'up',
      'localhost:8080 -> localhost:80 is up',
    ])
    await tunnel.stop()
    expect(clock.pending).toBe(0)
  })
})

describe('a connection that is lost', () => {
  test('comes again at once when it had been a good one', async () => {
    const connections = [fakeConnection(), fakeConnection()]
    const { opened, openForward } = fakeForwards()
    const { tunnel, clock, attempts, log } = hold({
      openForward,
      connect: async () => connections.shift() ?? fakeConnection(),
    })
    const [first] = connections
    await clock.pass(30_000)
    first?.lose(new KeytoolError('unreachable', 'it no longer answers'))
    await clock.pass(0)
    expect(attempts).toEqual([
      { again: false, at: 0 },
      { again: true, dialTime: 2000, at: 30_000 },
    ])
    expect(log()).toEqual([
      'connecting',
      'up',
      'lost: the connection to mail.example is lost (it no longer answers); next try at once',
      'connecting',
      'up',
    ])
    expect(opened).toEqual([expect.objectContaining({ attached: 2, isClosed: false })])
    expect(tunnel.status()).toMatchObject({
      state: 'up',
      since: '2026-01-01T00:00:30.000Z',
      reconnects: 1,
      lastError: 'the connection to mail.example is lost: it no longer answers',
    })
    await tunnel.stop()
  })

  test('a server that is away: within the first minute a try in every 1.5 s, later rarer, and back at once', async () => {
    let away = false
    const connection = fakeConnection()
    const { tunnel, clock, attempts } = hold({
      connect: async () => {
        if (away) throw new KeytoolError('unreachable', 'refused')
        return attempts.length === 1 ? connection : fakeConnection()
      },
    })
    await clock.pass(40_000)
    away = true
    connection.lose()
    await clock.pass(600_000)
    const tries = attempts.slice(1).map(({ at }) => at - 40_000)
    expect(tries.slice(0, 5)).toEqual([0, 500, 1500, 3000, 4500])
    const gaps = tries.slice(1).map((at, index) => at - (tries[index] ?? 0))
    expect(Math.max(...gaps.filter((_, index) => (tries[index] ?? 0) < 60_000))).toBeLessThanOrEqual(3000)
    expect(gaps.slice(-3)).toEqual([30_000, 30_000, 30_000])
    expect(attempts.at(-1)).toEqual({ again: true, at: attempts.at(-1)?.at })
    away = false
    await clock.pass(30_000)
    expect(tunnel.state.name).toBe('up')
    await tunnel.stop()
  })

  test('a server that takes and drops at once is not hammered', async () => {
    const { tunnel, clock, attempts } = hold({
      connect: async () => {
        const connection = fakeConnection()
        setImmediate(() => connection.lose())
        return connection
      },
    })
    await clock.pass(600_000)
    const early = attempts.slice(1, 51).map(({ at }, index) => at - (attempts[index]?.at ?? 0))
    // A server that somebody restarts again and again is found each time, though.
    expect(Math.max(...early)).toBeLessThanOrEqual(1500)
    expect(attempts.length).toBeGreaterThan(64)
    const [last, before] = [attempts.at(-1)?.at ?? 0, attempts.at(-2)?.at ?? 0]
    expect(last - before).toBe(30_000)
    await tunnel.stop()
  })

  test('a dice that shows 0 does not make a loop', async () => {
    const { tunnel, clock, attempts } = hold({ wait: true, random: () => 0, connect: failing('unreachable') })
    await clock.pass(10_000)
    expect(attempts.length).toBeLessThanOrEqual(201)
    await tunnel.stop()
  })

  test('the time that a silent host took counts as waited', async () => {
    const { tunnel, clock, attempts } = hold({
      wait: true,
      connect: () =>
        new Promise((_, reject) => clock.after(15_000, () => reject(new KeytoolError('unreachable', 'silent')))),
    })
    await clock.pass(31_000)
    expect(attempts.map(({ at }) => at)).toEqual([0, 15_050, 30_100])
    await tunnel.stop()
  })

  test.each([
    ['secret-wrong', 'stopped'],
    ['refused', 'stopped'],
    ['cancelled', 'stopped'],
    ['host-key-changed', 'stopped'],
    ['host-key-unknown', 'stopped'],
    ['usage', 'stopped'],
    ['exists', 'stopped'],
    ['unreachable', 'waiting'],
    ['damaged', 'waiting'],
    ['failed', 'waiting'],
    ['unsupported', 'waiting'],
    ['secret-needed', 'waiting'],
    ['not-found', 'waiting'],
  ] as const)('then %s: %s', async (code, state) => {
    const connection = fakeConnection()
    const { tunnel, clock, attempts, isWatching } = hold({ connect: inTurn(async () => connection, failing(code)) })
    await clock.pass(30_000)
    connection.lose()
    await clock.pass(0)
    expect(tunnel.state).toMatchObject({ name: state, error: { code } })
    await clock.pass(3_600_000)
    if (state === 'stopped') {
      expect(attempts).toHaveLength(2)
      expect(isWatching()).toBe(false)
      expect(clock.pending).toBe(0)
    } else {
      expect(attempts.length).toBeGreaterThan(10)
    }
    await tunnel.stop()
  })

  test('whoever answers in its place that there is no algorithm in common does not end it: it is tried rarely', async () => {
    const connection = fakeConnection()
    const { tunnel, clock, attempts, happen } = hold({
      connect: inTurn(
        async () => connection,
        failing('unsupported'),
        failing('unsupported'),
        async () => fakeConnection(),
      ),
    })
    await clock.pass(30_000)
    connection.lose()
    await clock.pass(29_000)
    expect(attempts.map(({ at }) => at)).toEqual([0, 30_000])
    await clock.pass(1_000)
    expect(attempts.map(({ at }) => at)).toEqual([0, 30_000, 60_000])
    expect(tunnel.state).toMatchObject({ name: 'waiting', until: clock.now() + 30_000 })
    happen('network')
    await clock.pass(0)
    expect(tunnel.state.name).toBe('up')
    await tunnel.stop()
  })

  test('one whose host key changed under way ends it', async () => {
    const connection = fakeConnection()
    const { tunnel, attempts } = hold({ connect: async () => connection })
    await tunnel.up
    connection.lose(new KeytoolError('host-key-changed', 'it changed'))
    expect(await tunnel.done).toMatchObject({ code: 'host-key-changed' })
    expect(attempts).toHaveLength(1)
  })

  test('one that is lost while the forwards are asked for was never up', async () => {
    const connection = fakeConnection()
    const { tunnel, names } = hold({
      forwards: [remote],
      openForward: fakeForwards(() => new Promise(() => {})).openForward,
      connect: async () => connection,
    })
    await settle()
    connection.lose()
    expect(await tunnel.done).toMatchObject({ code: 'unreachable' })
    expect(names()).toEqual(['connecting', 'stopped'])
  })

  test('a remote forward refused on a later connection is dead and asked for again; the tunnel stays', async () => {
    const connection = fakeConnection()
    const answers = [false, true, true]
    const { tunnel, clock } = hold({
      forwards: [remote],
      openForward: fakeForwards(async () => {
        if (answers.shift()) throw new KeytoolError('refused', 'the session before holds it')
      }).openForward,
      connect: inTurn(
        async () => connection,
        async () => fakeConnection(),
      ),
    })
    await clock.pass(30_000)
    connection.lose()
    await clock.pass(0)
    expect(tunnel.status()).toMatchObject({ state: 'up', forwards: [{ state: 'dead' }] })
    await clock.pass(3000)
    expect(tunnel.status()).toMatchObject({ state: 'up', forwards: [{ state: 'up' }] })
    await tunnel.stop()
  })
})

describe('nothing to log in with', () => {
  test('is waited for without asking the server', async () => {
    const connection = fakeConnection()
    let hasKey = false
    let looks = 0
    const { tunnel, clock, attempts, log } = hold({
      connect: inTurn(
        async () => connection,
        failing('secret-needed', 'there is no key to offer'),
        async () => fakeConnection(),
      ),
      ready: async () => {
        looks++
        return hasKey
      },
    })
    await clock.pass(30_000)
    connection.lose()
    await clock.pass(3_600_000)
    expect(tunnel.state).toMatchObject({ name: 'waiting', error: { code: 'secret-needed' } })
    expect(tunnel.status().until).toBeNull()
    expect([attempts.length, looks]).toEqual([2, 1200])
    expect(log().at(-1)).toBe('not connected: there is no key to offer; goes on when there is a key')
    hasKey = true
    await clock.pass(3_000)
    expect(tunnel.state.name).toBe('up')
    await tunnel.stop()
    expect(clock.pending).toBe(0)
  })

  test('a key that does not do is not tried every few seconds', async () => {
    const { tunnel, clock, attempts } = hold({
      wait: true,
      connect: failing('secret-needed'),
      ready: async () => true,
    })
    await clock.pass(3_600_000)
    expect(attempts.slice(0, 4).map(({ at }) => at)).toEqual([0, 3_000, 33_000, 93_000])
    expect(attempts.length).toBeLessThan(18)
    await tunnel.stop()
  })

  test('where only the server can tell it is asked rarely, and at once when something happens', async () => {
    const { tunnel, clock, attempts, happen } = hold({ wait: true, connect: failing('secret-needed') })
    await clock.pass(3_600_000)
    expect(attempts.length).toBeLessThan(16)
    const before = attempts.length
    happen('wake')
    await settle()
    expect(attempts).toHaveLength(before + 1)
    await tunnel.stop()
  })

  test('a look that never ends does not keep it from stopping', async () => {
    const { tunnel, clock } = hold({
      wait: true,
      connect: failing('secret-needed'),
      ready: () => new Promise(() => {}),
    })
    await clock.pass(3_000)
    await tunnel.stop()
    expect(await tunnel.done).toBeUndefined()
    expect(clock.pending).toBe(0)
  })
})

describe('a machine that wakes, a network that changes', () => {
  test('while it waits: tries at once', async () => {
    const { tunnel, clock, attempts, happen, log } = hold({ wait: true, connect: failing('unreachable') })
    await clock.pass(120_000)
    const before = attempts.length
    happen('network')
    await settle()
    expect(attempts).toHaveLength(before + 1)
    expect(log().slice(-3)).toEqual(['the network has changed', 'connecting', 'not connected: no; next try in 0.5 s'])
    await tunnel.stop()
  })

  test('while it connects: a try that fails is followed by the next at once', async () => {
    let fail: (error: KeytoolError) => void = () => {}
    const { tunnel, clock, attempts, happen } = hold({
      wait: true,
      connect: () =>
        new Promise((_, reject) => {
          fail = reject
        }),
    })
    await clock.pass(1000)
    happen('wake')
    fail(new KeytoolError('unreachable', 'silent'))
    await clock.pass(0)
    expect(attempts).toHaveLength(2)
    await tunnel.stop()
  })

  test('while it is up: asks for a sign of life, and stays when there is one', async () => {
    const connection = fakeConnection()
    const { tunnel, happen, names } = hold({ connect: async () => connection })
    await tunnel.up
    happen('network')
    happen('network')
    await settle()
    expect(connection.pings).toBe(1)
    expect(names()).toEqual(['connecting', 'up'])
    await tunnel.stop()
  })

  test('while it is up: without a sign of life it is dropped, and comes again', async () => {
    const timeouts: number[] = []
    const dead = fakeConnection({
      ping: async timeout => {
        timeouts.push(timeout)
        throw new KeytoolError('unreachable', 'the server gives no sign of life')
      },
    })
    const { tunnel, clock, happen, names } = hold({
      connect: inTurn(
        async () => dead,
        async () => fakeConnection(),
      ),
    })
    await clock.pass(40_000)
    happen('wake')
    await clock.pass(0)
    expect(timeouts).toEqual([4000])
    expect(dead.isClosed).toBe(true)
    expect(names()).toEqual(['connecting', 'up', 'waiting', 'connecting', 'up'])
    await tunnel.stop()
  })
})

describe('connections that come while it is down', () => {
  async function down(options: Parameters<typeof hold>[0] = {}) {
    const { opened, openForward } = fakeForwards()
    let arrive: (connection: Connection) => void = () => {}
    const held = hold({
      openForward,
      connect: () =>
        new Promise(resolve => {
          arrive = resolve
        }),
      ...options,
    })
    await settle()
    const enter = (guest?: Guest) =>
      opened[0]?.options.link.connection(guest) ?? Promise.reject(new Error('no forward'))
    return { ...held, enter, opened, arrive: (connection: Connection) => arrive(connection) }
  }

  test('are held, and go through the new one; not a word is doubled', async () => {
    const { tunnel, enter, arrive, log } = await down()
    const entered = [enter(), enter()]
    const connection = fakeConnection()
    arrive(connection)
    expect(await Promise.all(entered)).toEqual([connection, connection])
    expect(await enter()).toBe(connection)
    expect(log()).toEqual([
      'connecting',
      '127.0.0.1:1110 -> a:1110: a connection is held, 1 in all',
      '127.0.0.1:1110 -> a:1110: a connection is held, 2 in all',
      'up',
    ])
    await tunnel.stop()
    await expect(enter()).rejects.toMatchObject({ code: 'cancelled' })
  })

  test('are held no longer than the time', async () => {
    const { tunnel, clock, enter } = await down({ holdTime: 5000 })
    const ends: unknown[] = []
    enter().catch(error => ends.push(error))
    await clock.pass(4999)
    expect(ends).toEqual([])
    await clock.pass(1)
    expect(ends).toEqual([expect.objectContaining({ code: 'unreachable', reason: 'a connection waited 5 s for it' })])
    await tunnel.stop()
  })

  test('are held up to the number', async () => {
    const { tunnel, enter, arrive } = await down({ holdMax: 3 })
    const entered = [enter(), enter(), enter()]
    await expect(enter()).rejects.toMatchObject({ code: 'unreachable', reason: '3 connections wait for it already' })
    arrive(fakeConnection())
    expect(await Promise.all(entered)).toHaveLength(3)
    await tunnel.stop()
  })

  test('are forgotten at once when they leave; that they come and go is told once', async () => {
    const { tunnel, clock, enter, log, arrive } = await down({ holdMax: 1 })
    const before = clock.pending
    let watched = 0
    for (let i = 0; i < 100; i++) {
      let leave: () => void = () => {}
      const entered = enter({
        onLeave(left) {
          watched++
          leave = left
          return () => watched--
        },
      })
      leave()
      await expect(entered).rejects.toMatchObject({ code: 'unreachable' })
    }
    expect([watched, clock.pending]).toEqual([0, before])
    const entered = enter()
    arrive(fakeConnection())
    await entered
    expect(log()).toEqual(['connecting', expect.stringMatching(/a connection is held, 1 in all$/), 'up'])
    await tunnel.stop()
  })

  test('are refused, if that is wanted', async () => {
    const { tunnel, clock, enter } = await down({ whileDown: 'refuse' })
    await expect(enter()).rejects.toMatchObject({ code: 'unreachable' })
    expect(clock.pending).toBe(0)
    await tunnel.stop()
  })

  test('do not go through a connection that was lost', async () => {
    const connection = fakeConnection()
    const { tunnel, clock, enter, opened, log } = await down({
      connect: inTurn(async () => connection, failing('unreachable')),
    })
    await clock.pass(30_000)
    expect(await enter()).toBe(connection)
    connection.lose()
    await clock.pass(0)
    const entered = enter()
    await expect(Promise.race([entered, settle().then(() => 'waits')])).resolves.toBe('waits')
    const stopped = tunnel.stop()
    await expect(entered).rejects.toMatchObject({ code: 'cancelled' })
    await stopped
    expect(opened[0]?.isClosed).toBe(true)
    expect(log().at(-1)).toBe('stopped')
  })

  test('trouble is told at once, and then counted', async () => {
    const { tunnel, clock, opened, log } = await down()
    const error = new KeytoolError('refused', 'the server does not allow a:1110')
    for (let i = 0; i < 1000; i++) opened[0]?.options.onTrouble?.(error)
    await clock.pass(1000)
    opened[0]?.options.onTrouble?.(new Error('odd'))
    expect(log().slice(1)).toEqual([
      '127.0.0.1:1110 -> a:1110: a connection was reset: the server does not allow a:1110',
      '127.0.0.1:1110 -> a:1110: 999 connections were reset: the server does not allow a:1110',
      '127.0.0.1:1110 -> a:1110: a connection was reset: Error: odd',
    ])
    await tunnel.stop()
    expect(clock.pending).toBe(0)
  })
})

test('trouble that is different each time is a line a second, after the first few; none is lost from the count', async () => {
  const { opened, openForward } = fakeForwards()
  const { tunnel, clock, events, log } = hold({ openForward })
  await tunnel.up
  for (let second = 0; second < 60; second++) {
    for (let i = 0; i < 100; i++) {
      opened[0]?.options.onTrouble?.(new KeytoolError('refused', `no ${second} ${i}`))
    }
    await clock.pass(1000)
  }
  opened[0]?.options.onTrouble?.(new KeytoolError('refused', 'the last'))
  await tunnel.stop()
  const counts = events.flatMap(event => (event.kind === 'trouble' ? [event.count] : []))
  expect(counts.length).toBeGreaterThan(60)
  expect(counts.length).toBeLessThanOrEqual(66)
  expect(counts.reduce((sum, count) => sum + count)).toBe(6001)
  expect(log()).toContain('127.0.0.1:1110 -> a:1110: 100 connections were reset, the last one: no 30 99')
  expect(log().slice(-2)).toEqual(['127.0.0.1:1110 -> a:1110: a connection was reset: the last', 'stopped'])
  expect(clock.pending).toBe(0)
})

describe('stopping', () => {
  test.each(['a forward that does not close', 'a listener of news that breaks'])('%s', async what => {
    const connection = fakeConnection()
    const { opened, openForward } = fakeForwards()
    const { tunnel, clock } = hold({
      forwards: [parseForward('local', '1110:a:1110'), parseForward('local', '1111:a:1111')],
      openForward: async (spec, options) => {
        const forward = await openForward(spec, options)
        if (what.startsWith('a listener') || opened.length > 1) return forward
        return { ...forward, close: () => Promise.reject(new Error('EACCES')) }
      },
      connect: async () => connection,
      onState: ({ name }) => {
        if (what.startsWith('a listener') && name === 'stopped') throw new Error('EACCES')
      },
    })
    await tunnel.up
    await tunnel.stop()
    expect(await tunnel.done).toBeUndefined()
    expect(tunnel.status()).toMatchObject({ state: 'stopped', lastError: 'Error: EACCES' })
    expect([connection.isClosed, opened[1]?.isClosed, clock.pending]).toEqual([true, true, 0])
  })

  test('says what stays behind', async () => {
    const { opened, openForward } = fakeForwards()
    const { tunnel, log } = hold({
      openForward: async (spec, options) => {
        const forward = await openForward(spec, options)
        const left = new KeytoolError('failed', "/run/x can't be removed: EACCES")
        return { ...forward, close: async () => opened[0]?.options.onLeftover?.(left) }
      },
    })
    await tunnel.up
    await tunnel.stop()
    expect(log().slice(-2)).toEqual(["127.0.0.1:1110 -> a:1110: /run/x can't be removed: EACCES", 'stopped'])
  })

  test('at once dials nothing', async () => {
    const { tunnel, clock, attempts } = hold()
    await tunnel.stop()
    await clock.pass(60_000)
    expect(attempts).toEqual([])
    expect(await tunnel.done).toBeUndefined()
    await expect(tunnel.up).rejects.toMatchObject({ code: 'cancelled' })
  })

  test('while it connects gives the connection up, even one that comes all the same', async () => {
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
    await settle()
    expect(states).toHaveLength(1)
    await tunnel.stop()
    expect(signal?.aborted).toBe(true)
    arrive(connection)
    await settle()
    expect(connection.isClosed).toBe(true)
    expect(tunnel.state.name).toBe('stopped')
  })

  test('while the server is asked to listen closes the connection, though no answer comes', async () => {
    const connection = fakeConnection()
    const { tunnel, names } = hold({
      forwards: [remote],
      openForward: fakeForwards(() => new Promise(() => {})).openForward,
      connect: async () => connection,
    })
    await settle()
    await tunnel.stop()
    expect(connection.isClosed).toBe(true)
    expect(names()).toEqual(['connecting', 'stopped'])
  })

  test('while it waits calls the wait off', async () => {
    const { tunnel, clock, attempts, isWatching } = hold({ wait: true, connect: failing('unreachable') })
    await clock.pass(0)
    expect(tunnel.state.name).toBe('waiting')
    await tunnel.stop()
    expect(clock.pending).toBe(0)
    expect(isWatching()).toBe(false)
    await clock.pass(60_000)
    expect(attempts).toHaveLength(1)
  })

  test('while a forward is being opened waits for it and closes it', async () => {
    const { opened, openForward } = fakeForwards()
    let go: () => void = () => {}
    const { tunnel, attempts } = hold({
      openForward: async (spec, options) => {
        await new Promise<void>(resolve => {
          go = resolve
        })
        return openForward(spec, options)
      },
    })
    const stopped = tunnel.stop()
    go()
    await stopped
    expect(opened.map(({ isClosed }) => isClosed)).toEqual([true])
    expect(attempts).toEqual([])
  })

  test.each(['connecting', 'up', 'waiting'] as const)('from within the news that it is %s', async name => {
    const connections = [fakeConnection()]
    const [first] = connections
    const { tunnel, clock } = hold({
      connect: async () => connections.shift() ?? fakeConnection(),
      onState: state => {
        if (state.name === name) void tunnel.stop()
      },
    })
    await clock.pass(0)
    if (name === 'waiting') first?.lose()
    expect(await tunnel.done).toBeUndefined()
    expect(tunnel.state.name).toBe('stopped')
    expect(clock.pending).toBe(0)
    if (name === 'up') expect(first?.isClosed).toBe(true)
  })
})

test('what a server says can not lead the log astray', async () => {
  const { tunnel, log } = hold({ connect: failing('unreachable', 'gone\n2026-01-01T00:00:00.000Z  up \u202e') })
  await tunnel.done
  expect(log().at(-1)).toBe('stopped: gone\\u{a}2026-01-01T00:00:00.000Z  up \\u{202e}')
})

test('its status has the shape that scripts read', async () => {
  const forwards = [
    parseForward('local', '1110:mail.example:110'),
    parseForward('remote', '8080'),
    parseForward('dynamic', '/run/socks'),
  ]
  const { tunnel, clock } = hold({ wait: true, forwards, connect: failing('unreachable', 'away') })
  await clock.pass(0)
  const numbers = { connections: 0, open: 0, bytesIn: 0, bytesOut: 0, lastError: null }
  expect(JSON.parse(JSON.stringify(tunnel.status()))).toEqual({
    state: 'waiting',
    since: '2026-01-01T00:00:00.000Z',
    until: '2026-01-01T00:00:00.500Z',
    reconnects: 0,
    lastError: 'away',
    forwards: [
      { kind: 'local', listen: '127.0.0.1:1110', to: 'mail.example:110', state: 'unknown', ...numbers },
      { kind: 'remote', listen: 'localhost:8080', to: 'SOCKS', state: 'unknown', ...numbers },
      { kind: 'dynamic', listen: '/run/socks', to: 'SOCKS', state: 'unknown', ...numbers },
    ],
  })
  await tunnel.stop()
})
