import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { type BareHost, loginData } from './agent-hosts.js'
import { connectRaw, type RawClient, readStrings, string, uint32 } from './agent-wire.js'

// The conditions under which a key is added, as bytes; and what becomes of a key that is held under them.

const LIST = 11
const SIGN = 13
const SIGNATURE = 14
const EXTENSION = 27

/** A host under its name, and who may log in there. */
export interface Goal {
  readonly host: BareHost
  readonly name: string
  readonly user: string
}

/** What a key is added under. Times in seconds. */
export interface Wanted {
  readonly lifetime?: number
  readonly confirm?: boolean
  readonly goal?: Goal
  readonly idle?: number
}

/** One constraint each: RFC 9987 section 5.2.7, PROTOCOL.agent section 2 of OpenSSH, and one of our own. */
export const constraint = {
  lifetime: (seconds: number) => Buffer.concat([Buffer.from([1]), uint32(seconds)]),
  confirm: () => Buffer.from([2]),
  goal({ host, name, user }: Goal) {
    const from = Buffer.concat([string(''), string(''), string('')])
    const to = Buffer.concat([string(user), string(name), string(''), string(host.blob), Buffer.from([0])])
    const step = Buffer.concat([string(from), string(to), string('')])
    return constraint.extension('restrict-destination-v00@openssh.com', string(string(step)))
  },
  idle: (seconds: number) => constraint.extension('idle@keytool', uint32(seconds)),
  extension: (name: string, ...body: readonly Buffer[]) => Buffer.concat([Buffer.from([255]), string(name), ...body]),
}

export function encodeWanted({ lifetime, confirm, goal, idle }: Wanted): Buffer {
  return Buffer.concat([
    ...(lifetime === undefined ? [] : [constraint.lifetime(lifetime)]),
    ...(confirm ? [constraint.confirm()] : []),
    ...(goal === undefined ? [] : [constraint.goal(goal)]),
    ...(idle === undefined ? [] : [constraint.idle(idle)]),
  ])
}

export interface RawKey {
  readonly blob: Buffer
  /** Type, parts and comment, as they stand in a message that adds it: RFC 9987 section 5.2. */
  readonly body: Buffer
}

/** A fresh key of Ed25519. */
export function makeRawKey(comment: string): RawKey {
  const { d = '', x = '' } = generateKeyPairSync('ed25519').privateKey.export({ format: 'jwk' })
  const point = Buffer.from(x, 'base64url')
  const secret = Buffer.concat([Buffer.from(d, 'base64url'), point])
  const words = [string('ssh-ed25519'), string(point)]
  return { blob: Buffer.concat(words), body: Buffer.concat([...words, string(secret), string(comment)]) }
}

/** For what a key signed. */
export interface Signed {
  readonly there: boolean
  readonly thereAsAnother: boolean
  readonly elsewhere: boolean
  /** A login, on a connection that says of no host. */
  readonly unbound: boolean
}

/** Asks for signatures of logins: at the goal, and at what is not. Each on a connection of its own, as ssh does. */
export async function trySigning(socket: string, blob: Buffer, { host, user }: Goal, other: BareHost): Promise<Signed> {
  const sign = async (bound: BareHost | undefined, name: string) => {
    const client = await connectRaw(socket)
    try {
      const sessionId = randomBytes(32)
      if (bound) client.send(bound.bind(sessionId))
      if (bound && (await client.answer())[0] !== 6) throw new Error('the session was not bound')
      const data = loginData({ sessionId, user: name, key: blob })
      return (await client.ask(SIGN, string(blob), string(data), uint32(0)))[0] === SIGNATURE
    } finally {
      client.destroy()
    }
  }
  return {
    there: await sign(host, user),
    thereAsAnother: await sign(host, `not-${user}`),
    elsewhere: await sign(other, user),
    unbound: await sign(undefined, user),
  }
}

/** How a key is held, as `list@keytool` says it. */
export interface Shown {
  readonly blob: string
  readonly state: 'open' | 'sealed'
  readonly lifetime: number | null
  readonly left: number | null
  readonly idle: number | null
  readonly confirm: boolean
  readonly destinations: readonly string[]
}

/** What a list has, by both messages that ask for it: nobody may add keys meanwhile. Throws when they differ. */
export async function listKeys(socket: string): Promise<Shown[]> {
  const client = await connectRaw(socket)
  try {
    const shown = await showKeys(client)
    const plain = readStrings((await client.ask(LIST)).subarray(5)).filter((_, index) => index % 2 === 0)
    const blobs = new Set(shown.map(({ blob }) => blob))
    // A key may have gone between the two.
    const more = plain.filter(blob => !blobs.has(blob.toString('base64')))
    if (more.length > 0) throw new Error(`one list has ${more.length} keys more than the other`)
    return shown
  } finally {
    client.destroy()
  }
}

async function showKeys(client: RawClient): Promise<Shown[]> {
  const answer = await client.ask(EXTENSION, string('list@keytool'))
  return JSON.parse(readStrings(answer.subarray(1))[1]?.toString() ?? '')
}

export interface Watch {
  /** By Date.now(), when a list did not have the key any more. `undefined` while it has. */
  goneAt(blob: Buffer): number | undefined
  /** By Date.now(), when the last list was asked for that had the key. `undefined` while none had. */
  seenAt(blob: Buffer): number | undefined
  /** Whether any list had it sealed. */
  wasSealed(blob: Buffer): boolean
  /** Looks no more. Rejects with what went wrong. */
  stop(): Promise<void>
}

/** In milliseconds. */
const TICK = 20
const LONGEST_WATCH = 110_000

/** Looks at the list again and again. */
export function watchKeys(socket: string): Watch {
  const [present, gone, sealed] = [new Map<string, number>(), new Map<string, number>(), new Set<string>()]
  let isOver = false
  const look = async (client: RawClient) => {
    const asked = Date.now()
    const shown = await showKeys(client)
    const now = Date.now()
    for (const { blob, state } of shown) if (state === 'sealed') sealed.add(blob)
    const blobs = new Set(shown.map(({ blob }) => blob))
    for (const blob of present.keys()) if (!blobs.has(blob) && !gone.has(blob)) gone.set(blob, now)
    for (const blob of gone.keys()) if (blobs.has(blob)) gone.delete(blob)
    for (const blob of blobs) present.set(blob, asked)
  }
  const looking = (async () => {
    const client = await connectRaw(socket)
    try {
      for (const end = Date.now() + LONGEST_WATCH; !isOver && Date.now() < end; ) {
        await look(client)
        await sleep(TICK)
      }
    } finally {
      client.destroy()
    }
  })()
  looking.catch(() => {})
  return {
    goneAt: blob => gone.get(blob.toString('base64')),
    seenAt: blob => present.get(blob.toString('base64')),
    wasSealed: blob => sealed.has(blob.toString('base64')),
    async stop() {
      isOver = true
      await looking
    },
  }
}
