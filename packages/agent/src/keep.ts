import type { Socket } from 'node:net'
import { join } from 'node:path'
import { KeytoolError } from '@keytool/keygen'
import { fingerprintOf, type Identity } from './agent.js'
import { createConfirm } from './gates/confirm.js'
import { createDestinations } from './gates/destinations.js'
import { createPolicyGate } from './gates/policy.js'
import { createHosts } from './hosts/hosts.js'
import { createNaming } from './hosts/naming.js'
import { createKeychain } from './keychain/create.js'
import { createRemembered, type Remembered } from './keychain/remembered.js'
import type { LedgerEntry } from './ledger/entry.js'
import { createLedger, type Ledger } from './ledger/ledger.js'
import { ledgerFolder } from './ledger/place.js'
import { arrangerOf } from './order/arranger.js'
import { createOrder } from './order/order.js'
import { pidFileBeside } from './pid-file.js'
import { collectKeys, trimMemory } from './platform/collect.js'
import { protectMemory } from './platform/memory.js'
import { isForeign, preparePeers } from './platform/peer.js'
import type { Environment, Places } from './platform/places.js'
import { watchSuspend } from './platform/suspend.js'
import { completeTerms, type KeyRule, type Policy, ruleOf } from './policy/policy.js'
import { watchPolicy } from './policy/watch.js'
import { Departures } from './ring/departures.js'
import type { Incoming } from './ring/held.js'
import { nameSurvivor, readLoginKey, revive, toSurvivor } from './ring/revive.js'
import { createRing, type Ring } from './ring/ring.js'
import { createSurvivors } from './ring/survivors.js'
import { type RunningAgent, runAgent } from './run.js'
import type { Terms } from './terms.js'
import { explain, Troubles } from './troubles.js'
import { createAskpass } from './unlock/askpass.js'
import { createPrompts } from './unlock/chain.js'
import { createNotifier } from './unlock/notify.js'
import { createTerminal } from './unlock/terminal.js'
import { createUnsealing, type Openable } from './unlock/unsealing.js'
import { createUpstream, type Upstream } from './upstream/upstream.js'
import type { Peer } from './who.js'
import { createWitness } from './witness.js'

/** What the agent is told when it is started. */
export interface AgentSettings {
  /** Seconds that keys are held which are added without a lifetime. */
  readonly lifetime?: number
  /** Seconds without use after which keys are sealed that are added without such a time. */
  readonly idle?: number
  /** Another agent's socket, absolute. Default: what the policy says. */
  readonly upstream?: string
}

export interface KeepOptions extends AgentSettings {
  /** As in `RunOptions`. */
  readonly socket: string
  readonly pidFile?: string
  readonly named?: boolean
  readonly signal?: AbortSignal
  readonly places: Places
  readonly env: Environment
  /** Of the program, for `status`. */
  readonly version: string
  /** The program that talks to the system's keychain: see `KeychainOptions`. Without it no keychain is asked. */
  readonly keychainProgram?: string
  /** Whether this process runs a program of the user's: then limits are that program's. Default false. */
  readonly runsProgram?: boolean
  /** Whether its place is for this once. Ledgers go by their agents' places: there is none then. Default false. */
  readonly passing?: boolean
}

/** An agent with all that it knows and guards: see {@link keepAgent}. */
export interface KeptAgent extends RunningAgent {
  /** Forgets every key: what SIGUSR1 is for. */
  dropKeys(): void
  /** What does not work as it should. Fit to be shown. */
  readonly troubles: readonly string[]
  /** What whoever started it is told beside the troubles: which keys came back after a crash. Fit to be shown. */
  readonly news: readonly string[]
}

/** In milliseconds. */
const TRIM_AFTER = 500
/** A file's time is that of the system's last tick. In milliseconds. */
const TICK = 10

/**
 * Runs an agent as its user wants it: with their policy, the ledger, the order it has learnt, prompts, the keys of the
 * login and those that a crash left behind. Signals are the caller's.
 *
 * @throws KeytoolError as `runAgent`, and as `watchPolicy` and `createLedger` for files that can't be followed
 */
export async function keepAgent(options: KeepOptions): Promise<KeptAgent> {
  const { places, env, socket } = options
  const troubles = new Troubles()
  const protection = await protectMemory({ limitCore: !options.runsProgram })
  troubles.set('memory', protection.trouble)
  const peers = await preparePeers()
  troubles.set('peers', peers.trouble)
  const naming = createNaming(createHosts({ home: places.home }), peers)
  const watch = await watchPolicy(join(places.config, 'agent.json'), {
    home: places.home,
    onChange: () => {
      following = following.then(follow)
    },
    onTroubles: errors => troubles.set('policy', errors.map(explain).join('; ') || undefined),
  })
  const policy = () => watch.current
  const order = await createOrder({
    path: join(places.state, 'order.json'),
    ruleOf: key => ruleOf(policy(), key.identity),
    learns: () => policy().learn,
    onTrouble: error => troubles.set('order', explain(error)),
  })
  const prompts = createPrompts([createAskpass({ env }), createTerminal(), createNotifier({ env })])
  const remembered = rememberIn(options.keychainProgram)
  const unsealing = createUnsealing({ prompts, names: naming, ...(remembered && { stored: remembered }) })
  const survivors = createSurvivors({
    path: survivorsBeside(options),
    onTrouble: trouble => troubles.set('survivors', trouble),
  })
  const behind = options.upstream ?? policy().upstream
  const upstream = openUpstream(behind)
  let ledger: Ledger | undefined
  let news: readonly string[] = []
  /** Files of keys that were added because the policy says so: one that was removed since does not come back by itself. */
  const loaded = new Set<string>()
  const departures = new Departures()
  /** Whether the place is ours, and with it the files that go by its name. */
  let isOurs = false
  /** One policy after the other: a ledger must not be opened while it is being closed. Never rejects. */
  let following: Promise<void> = Promise.resolve()
  const write = (entry: LedgerEntry) => ledger?.write(entry)
  const since = new Date().toISOString()

  const ring: Ring = createRing({
    gates: [
      createDestinations(),
      createPolicyGate({ policy, names: naming }),
      createConfirm({ prompts, names: naming, mustConfirm: ({ identity }) => mustConfirm(policy(), identity) }),
    ],
    witness: createWitness(write, naming),
    arranger: arrangerOf(order, policy, naming),
    completeTerms: complete,
    // What hashes a passphrase keeps it until it is collected.
    unseal: (held, use) => unsealing.open(held, use).finally(collectKeys),
    offerPassphrase: (held, passphrase) => unsealing.offer(held, passphrase).finally(collectKeys),
    ...(upstream && { upstream: client => upstream.forCaller(client) }),
    onChange(keys, left, isLocked) {
      const keep = isLocked ? nameSurvivor : toSurvivor
      survivors.save(keys.map(held => keep(held, left(held), Date.now())))
      departures.note(keys, Date.now())
    },
    onForget: collectKeys,
    facts: () => ({
      version: options.version,
      pid: process.pid,
      since,
      socket,
      protection,
      ledger: ledger?.head ?? null,
      keychain: remembered?.state ?? 'unknown',
      upstream: behind ?? null,
      troubles: troubles.list(ledger?.trouble),
    }),
  })

  function complete(identity: Identity, terms: Terms): Terms {
    return completeTerms(policy(), identity, { ...pick(options, 'lifetime'), ...pick(options, 'idle'), ...terms })
  }

  /** Puts in what is not there, under the same conditions as what clients add. */
  function hold(key: Incoming): void {
    if (!ring.holds(key.identity.blob)) ring.put({ ...key, terms: complete(key.identity, key.terms) })
  }

  function rememberIn(program: string | undefined): Remembered | undefined {
    if (program === undefined) return undefined
    const keychain = createKeychain({ program, env })
    // Who starts an agent often wants a signature at once.
    if (policy().keys.some(({ remember }) => remember)) keychain.prepare()
    const nameOf = ({ identity }: Openable) => ({ key: fingerprintOf(identity), comment: identity.comment })
    return createRemembered({
      keychain,
      refresh: () => watch.reload(),
      isRemembered: ({ identity, file }) => {
        const rule = ruleOf(policy(), { blob: identity.blob, ...(file !== undefined && { file }) })
        // Another key may lie in the rule's file by now: nobody has wished to have that one remembered.
        return rule?.remember === true && isAbout(rule, identity)
      },
      onTrouble: (key, trouble) => troubles.set(`keychain ${nameOf(key).key}`, trouble),
      onUse: (key, verdict, reason) => write({ action: 'unseal', verdict, ...nameOf(key), reason }),
    })
  }

  function openUpstream(path: string | undefined): Upstream | undefined {
    if (path === undefined) return undefined
    const onTrouble = (trouble: string | undefined) => troubles.set('upstream', trouble)
    return createUpstream({ path, own: socket, holds: blob => ring.holds(blob), onTrouble })
  }

  /** What the policy asks for besides what is asked at each use. */
  async function follow(): Promise<void> {
    await followLedger()
    const { current, changed } = watch
    for (const { file, ...rule } of current.keys) {
      if (!rule.atLogin || file === undefined || loaded.has(file)) continue
      const about = `login ${file}`
      try {
        const key = await readLoginKey({ file, ...rule }, file)
        if (!isAbout(rule, key.identity)) throw anotherKey()
        // A rule is noticed some seconds after it was written. Whoever has removed its key meanwhile does not get it back.
        if ((departures.last(key.identity.blob) ?? 0) <= changed + TICK) hold(key)
        loaded.add(file)
        troubles.set(about, undefined)
      } catch (error) {
        troubles.set(about, `${file} is not held: ${explain(error)}`)
      }
    }
  }

  async function followLedger(): Promise<void> {
    try {
      if (!policy().ledger || options.passing) await closeLedger()
      else ledger ??= await createLedger({ folder: ledgerFolder(places, socket) })
      troubles.set('ledger', undefined)
    } catch (error) {
      troubles.set('ledger', explain(error))
    }
  }

  async function closeLedger(): Promise<void> {
    const closing = ledger
    ledger = undefined
    await closing?.close()
  }

  /** Once the place is certainly ours: two agents must never write one ledger. */
  async function prepare(): Promise<void> {
    isOurs = true
    following = following.then(follow)
    await following
    write({ action: 'start', reason: `keytool ${options.version}` })
    const { keys, ...said } = await revive(await survivors.load(), Date.now())
    for (const key of keys) {
      try {
        hold(key)
      } catch (error) {
        troubles.set('survivors', explain(error))
      }
    }
    news = said.news
    for (const text of said.troubles) troubles.set(text, text)
  }

  function doorkeeper(connection: Socket): Peer | undefined {
    const peer = peers.read(connection)
    if (!peer || !isForeign(peer)) return peer
    const { uid, pid, programs } = peer
    const program = programs.at(-1)?.name
    const who = { ...(uid !== undefined && { uid }), ...(pid !== undefined && { pid }), ...(program && { program }) }
    write({ action: 'connect', verdict: 'refused', ...who, reason: 'another user' })
    return undefined
  }

  function seal(reason: string): void {
    if (ring.sealAll() > 0) write({ action: 'seal', reason })
  }

  const suspend = await watchSuspend({
    env,
    onSuspend: () => policy().sealOn.suspend && seal('the machine goes to sleep'),
    onScreenLock: () => policy().sealOn.screenLock && seal('the screen is locked'),
  })

  async function letGo(): Promise<void> {
    watch.close()
    suspend.close()
    upstream?.close()
    write({ action: 'stop' })
    await following
    await Promise.allSettled([order.close(), isOurs && survivors.clear(), closeLedger()])
  }

  let agent: RunningAgent
  try {
    agent = await runAgent({ ...options, ring, doorkeeper, prepare, finish: letGo })
  } catch (error) {
    await letGo()
    throw error
  }
  // What starting took is given back once whoever waits for the start has been answered.
  setTimeout(() => void trimMemory(), TRIM_AFTER).unref()
  return {
    ...agent,
    news,
    dropKeys() {
      ring.wipe()
      write({ action: 'remove-all', reason: 'SIGUSR1' })
    },
    get troubles() {
      return troubles.list(ledger?.trouble)
    },
  }
}

/** Where a rule names the key, its file is only where to look for it. */
function isAbout({ fingerprint }: KeyRule, identity: Identity): boolean {
  return fingerprint === undefined || fingerprint === fingerprintOf(identity)
}

function anotherKey(): KeytoolError {
  return new KeytoolError('refused', 'the file holds another key than its rule names')
}

function mustConfirm(policy: Policy, identity: Identity): boolean {
  return ruleOf(policy, identity)?.confirm ?? policy.confirm
}

/** Beside the pid file: in a folder of the user's own, by the agent's place. */
function survivorsBeside({ pidFile, socket }: KeepOptions): string {
  return (pidFile ?? pidFileBeside(socket)).replace(/\.pid$/, '.keys')
}

function pick<O extends object, K extends keyof O>(value: O, name: K): Partial<Pick<O, K>> {
  return value[name] === undefined ? {} : ({ [name]: value[name] } as Partial<Pick<O, K>>)
}
