import { setImmediate } from 'node:timers/promises'
import { KeytoolError } from '@keytool/keygen'
import type { Connection } from '../src/connection/connection.js'
import type { Forward, ForwardOptions } from '../src/forwards/forward.js'
import { type ForwardSpec, formatListen, parseForward } from '../src/forwards/spec.js'
import type { Clock } from '../src/supervisor/clock.js'
import type { TunnelEvent } from '../src/supervisor/events.js'
import { formatEvent } from '../src/supervisor/log-line.js'
import type { TunnelState } from '../src/supervisor/states.js'
import { type Attempt, holdTunnel, type TunnelOptions } from '../src/supervisor/tunnel.js'

/** Lets everything happen that needs no time. */
export async function settle(): Promise<void> {
  for (let i = 0; i < 5; i++) await setImmediate()
}

/** Time that passes when it is told to. */
export class FakeClock implements Clock {
  #now = Date.UTC(2026, 0, 1)
  readonly #timers = new Set<{ readonly due: number; readonly work: () => void }>()

  /** Timers that wait. */
  get pending(): number {
    return this.#timers.size
  }

  now(): number {
    return this.#now
  }

  after(milliseconds: number, work: () => void): () => void {
    const timer = { due: this.#now + milliseconds, work }
    this.#timers.add(timer)
    return () => this.#timers.delete(timer)
  }

  async pass(milliseconds: number): Promise<void> {
    const end = this.#now + milliseconds
    await settle()
    for (;;) {
      const [next] = [...this.#timers].sort((one, other) => one.due - other.due)
      if (!next || next.due > end) break
      this.#now = Math.max(this.#now, next.due)
      this.#timers.delete(next)
      next.work()
      await settle()
    }
    this.#now = end
  }

  /** The machine sleeps: the wall clock goes on, timers don't. */
  sleep(milliseconds: number): void {
    this.#now += milliseconds
    for (const timer of [...this.#timers]) {
      this.#timers.delete(timer)
      this.#timers.add({ ...timer, due: timer.due + milliseconds })
    }
  }
}

export type FakeConnection = Connection & {
  lose(error?: KeytoolError): void
  readonly isClosed: boolean
  readonly pings: number
}

/** A connection that carries nothing and ends when it is told to. */
export function fakeConnection(more: Partial<Connection> = {}): FakeConnection {
  let end: (error?: KeytoolError) => void = () => {}
  const closed = new Promise<KeytoolError | undefined>(resolve => {
    end = resolve
  })
  const no = () => Promise.reject(new KeytoolError('refused', 'no'))
  const connection = {
    admission: { method: 'publickey' as const, offered: [] },
    software: 'fake',
    remarks: [],
    openDirect: no,
    openDirectUnix: no,
    listenRemote: no,
    exec: no,
    openSession: no,
    openSubsystem: no,
    pings: 0,
    isClosed: false,
    async ping() {
      connection.pings++
      return 1
    },
    closed,
    async close() {
      connection.isClosed = true
      end()
    },
    lose: (error?: KeytoolError) => end(error ?? new KeytoolError('unreachable', 'it closed the connection')),
    ...more,
  }
  return connection
}

export type FakeForward = Forward & { readonly options: ForwardOptions; attached: number; isClosed: boolean }

/** Forwards that listen nowhere. `attach` stands for the server's answer to remote ones. */
export function fakeForwards(attach: (spec: ForwardSpec) => Promise<void> = async () => {}) {
  const opened: FakeForward[] = []
  const openForward = async (spec: ForwardSpec, options: ForwardOptions): Promise<Forward> => {
    const forward: FakeForward = {
      spec,
      options,
      place: formatListen(spec),
      counters: { connections: 0, open: 0, bytesIn: 0, bytesOut: 0 },
      attached: 0,
      isClosed: false,
      async attach() {
        await attach(spec)
        forward.attached++
      },
      async close() {
        forward.isClosed = true
      },
    }
    opened.push(forward)
    return forward
  }
  return { opened, openForward }
}

/** A tunnel of fakes, and everything it says. What `connect` gives is taken from the front, the last again and again. */
export function hold(options: Partial<TunnelOptions> = {}) {
  const clock = new FakeClock()
  const states: TunnelState[] = []
  const events: TunnelEvent[] = []
  const attempts: (Attempt & { readonly at: number })[] = []
  let happen: (why: 'wake' | 'network') => void = () => {}
  let watching = false
  const start = clock.now()
  const connect = options.connect ?? (async () => fakeConnection())
  const tunnel = holdTunnel({
    target: 'mail.example',
    forwards: [parseForward('local', '1110:a:1110')],
    openForward: fakeForwards().openForward,
    probeInterval: 0,
    random: () => 1,
    clock,
    onState: state => states.push(state),
    onEvent: event => events.push(event),
    watch: onEvent => {
      happen = onEvent
      watching = true
      return () => {
        watching = false
      }
    },
    ...options,
    connect: (signal, attempt) => {
      attempts.push({ ...attempt, at: clock.now() - start })
      return connect(signal, attempt)
    },
  })
  return {
    tunnel,
    clock,
    states,
    events,
    attempts,
    names: () => states.map(({ name }) => name),
    log: () => events.map(event => formatEvent(event).slice(26)),
    happen: (why: 'wake' | 'network') => happen(why),
    isWatching: () => watching,
  }
}

/** Gives the answers one after the other, the last one again and again. */
export function inTurn(...answers: (() => Promise<Connection>)[]): () => Promise<Connection> {
  return () => {
    const answer = answers.length > 1 ? answers.shift() : answers[0]
    if (!answer) throw new Error('there is no answer')
    return answer()
  }
}

export function failing(code: KeytoolError['code'], message = 'no'): () => Promise<never> {
  return () => Promise.reject(new KeytoolError(code, message))
}
