import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { checkPlace } from '@keytool/agent/platform'
import { KeytoolError } from '@keytool/keygen'
import { listKeys, placeOfTunnel, type RunningPlaces } from './place.js'
import { isRunningTunnel, MAX_ANSWER, QUESTION_TIME, type Question, type RunningTunnel } from './words.js'

/** How long a tunnel may take to end, in milliseconds: it says goodbye to its server. */
const STOP_TIME = 15_000
/** How long it is waited for after that, and how often it is looked at: it takes its socket away last of all. */
const LEAVE_TIME = 1_000
const PAUSE = 10

/** A tunnel that answers, and under which key. */
export interface FoundTunnel {
  readonly key: string
  readonly tunnel: RunningTunnel
}

/**
 * What the tunnel in this place says of itself; `undefined` when nobody answers there.
 * @throws KeytoolError `damaged` for an answer that is none, `unreachable` when it takes too long
 */
export async function askTunnel(places: RunningPlaces, key: string): Promise<RunningTunnel | undefined> {
  const text = await ask(places, key, 'status', QUESTION_TIME)
  if (text === undefined) return undefined
  const value = parse(text)
  if (isRunningTunnel(value)) return value
  throw new KeytoolError('damaged', 'the tunnel says something else than its state', {
    reason: 'it may be of another version of keytool',
  })
}

/** All tunnels that answer. Those that don't, or not in time, are left out. */
export async function findTunnels(places: RunningPlaces): Promise<FoundTunnel[]> {
  const keys = await listKeys(places)
  const found = await Promise.all(
    keys.map(async key => {
      const tunnel = await askTunnel(places, key).catch(() => undefined)
      return tunnel ? [{ key, tunnel }] : []
    }),
  )
  return found.flat().sort((a, b) => a.tunnel.name.localeCompare(b.tunnel.name))
}

/**
 * Has a tunnel end; resolves when it has, and its place is free.
 * @throws KeytoolError `unreachable` when it does not end in 15 s
 */
export async function stopTunnel(places: RunningPlaces, key: string): Promise<void> {
  await ask(places, key, 'stop', STOP_TIME)
  const end = Date.now() + LEAVE_TIME
  while (Date.now() < end && (await checkPlace(placeOfTunnel(places, key)).catch(() => false))) await sleep(PAUSE)
}

/** The answer; `undefined` when nobody listens. */
async function ask(places: RunningPlaces, key: string, question: Question, time: number): Promise<string | undefined> {
  const path = placeOfTunnel(places, key)
  // Who answers has to be the user's own.
  return (await checkPlace(path)) ? exchange(path, question, time) : undefined
}

function exchange(path: string, question: Question, time: number): Promise<string | undefined> {
  return new Promise((resolve, reject) => {
    const socket = connect(path)
    let text = ''
    const finish = (end: () => void) => {
      clearTimeout(timer)
      socket.destroy()
      end()
    }
    const fail = (why: string) =>
      finish(() => reject(new KeytoolError('unreachable', 'the tunnel does not answer', { reason: why })))
    const timer = setTimeout(() => fail(`waited ${time / 1000} s`), time)
    socket.once('connect', () => socket.write(`${question}\n`))
    socket.on('data', chunk => {
      text += chunk.toString()
      if (text.length > MAX_ANSWER) fail('its answer is too long')
    })
    socket.once('end', () => finish(() => resolve(text)))
    socket.once('error', (error: NodeJS.ErrnoException) => {
      const isGone = error.code === 'ENOENT' || error.code === 'ECONNREFUSED'
      if (isGone) finish(() => resolve(undefined))
      else fail(String(error.code))
    })
  })
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
