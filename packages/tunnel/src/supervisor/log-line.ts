import { type KeytoolError, showForeign } from '@keytool/keygen'
import { formatTarget } from '../forwards/spec.js'
import type { ForwardRef, TunnelEvent } from './events.js'
import type { StateName, TunnelState } from './states.js'

/** What a line may hold, in characters. */
const MAX_LINE = 500

type EventOf<K extends TunnelEvent['kind']> = Extract<TunnelEvent, { kind: K }>
type StateOf<N extends StateName> = Extract<TunnelState, { name: N }>

/** How each state is said. */
const stateWords: { readonly [N in StateName]: (state: StateOf<N>, from: StateName, at: number) => string } = {
  idle: () => 'not started',
  connecting: () => 'connecting',
  up: () => 'up',
  waiting: ({ until, error }, from, at) => {
    const next = until === undefined ? 'goes on when there is a key' : `next try ${inTime(until - at)}`
    return `${from === 'up' ? 'lost' : 'not connected'}: ${explain(error)}; ${next}`
  },
  stopped: ({ error }) => (error ? `stopped: ${explain(error)}` : 'stopped'),
}

/** How each event is said. */
const eventWords: { readonly [K in TunnelEvent['kind']]: (event: EventOf<K>) => string } = {
  state: ({ state, from, at }) => (stateWords[state.name] as (...args: unknown[]) => string)(state, from, at),
  forward: ({ forward, state, banner, error }) => {
    const why = error ? `: ${explain(error)}` : banner === undefined ? '' : `: ${banner}`
    return `${showForward(forward)} is ${state}${why}`
  },
  held: ({ forward, waiting }) => `${showForward(forward)}: a connection is held, ${waiting} in all`,
  trouble: ({ forward, error, count, isMixed }) => {
    const what = count === 1 ? 'a connection was' : `${count} connections were`
    return `${showForward(forward)}: ${what} reset${isMixed ? ', the last one' : ''}: ${explain(error)}`
  },
  leftover: ({ forward, error }) => `${showForward(forward)}: ${explain(error)}`,
  roused: ({ why }) => (why === 'wake' ? 'the machine woke up' : 'the network has changed'),
}

/**
 * One line of the log, without its end: the time (ISO 8601, UTC), then what happened. Whatever a server said in it is escaped.
 */
export function formatEvent(event: TunnelEvent): string {
  const text = (eventWords[event.kind] as (event: TunnelEvent) => string)(event)
  return `${new Date(event.at).toISOString()}  ${showForeign(text, MAX_LINE)}`
}

function showForward({ spec, place }: ForwardRef): string {
  return `${place} -> ${formatTarget(spec)}`
}

function explain({ message, reason }: KeytoolError): string {
  return reason === undefined ? message : `${message} (${reason})`
}

function inTime(milliseconds: number): string {
  if (milliseconds <= 0) return 'at once'
  return `in ${milliseconds < 10_000 ? (milliseconds / 1000).toFixed(1) : Math.round(milliseconds / 1000)} s`
}
