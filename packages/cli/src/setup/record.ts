import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { readIfThere, writeWhole } from '@keytool/agent/platform'
import { isKeytoolError, KeytoolError, showForeign } from '@keytool/keygen'
import { checkHost, checkOwn, checkPort, checkSessionName, checkUser } from '@keytool/tunnel'
import type { Context } from '../context.js'
import { sweepBeside } from './leftovers.js'

/** What stands in the record of one step. Never a secret. */
export type Facts = Readonly<Record<string, string | number | boolean>>

/** A step that changed something, or was about to. */
export interface Made {
  /** `begun`: noted before the effect, of which nobody knows whether it came. */
  readonly state: 'begun' | 'done'
  readonly facts: Facts
}

/** What setup did for one server, and no more than that: all that `--undo` takes back. */
export interface SetupRecord {
  readonly version: 1
  readonly name: string
  readonly host: string
  readonly port: number
  readonly user: string
  readonly jump?: string
  /** The key that is used there, as `TYPE BASE64`. */
  readonly key?: string
  /** Where its private half lies. */
  readonly keyFile?: string
  /** Whether its mail was to be forwarded. */
  readonly mail?: boolean
  /** Folders that were not there before, the outer ones first. */
  readonly folders: readonly string[]
  /** What the agent and tunnels keep for themselves, and was not there before. */
  readonly traces: readonly string[]
  readonly steps: Readonly<Record<string, Made>>
}

const VERSION = 1
/** An agent.json or a session as it was before may stand in it. In bytes. */
const MAX_SIZE = 8 << 20

/** A record in its file: written whole before each effect, and after it. */
export class RecordFile {
  readonly path: string
  #record: SetupRecord
  /** What was last seen there. */
  #bytes: Buffer | undefined

  /** @param bytes of the file that the record was read from; absent for one that is not written yet */
  constructor(path: string, record: SetupRecord, bytes?: Buffer) {
    this.path = path
    this.#record = record
    this.#bytes = bytes
  }

  get value(): SetupRecord {
    return this.#record
  }

  madeBy(step: string): Made | undefined {
    return this.#record.steps[step]
  }

  /** Notes what a step is about to do, or has done; `undefined`: it was taken back. */
  async note(step: string, made: Made | undefined): Promise<void> {
    const { [step]: _, ...others } = this.#record.steps
    await this.change({ steps: made ? { ...others, [step]: made } : others })
  }

  async change(members: Partial<SetupRecord>): Promise<void> {
    this.#record = { ...this.#record, ...members }
    const bytes = Buffer.from(`${JSON.stringify(this.#record, null, 2)}\n`)
    await writeWhole(this.path, bytes, { replace: true })
    this.#bytes = bytes
  }

  /** That it is still what it was when it was read: questions take their time. @throws KeytoolError `refused` */
  async checkUnchanged(): Promise<void> {
    const bytes = await readIfThere(this.path, MAX_SIZE)
    if (bytes === undefined ? this.#bytes === undefined : this.#bytes?.equals(bytes)) return
    throw new KeytoolError('refused', `another setup of ${this.#record.name} was at work meanwhile`, {
      reason: 'this one has changed nothing',
      hint: 'do it again: it starts from what is there now',
    })
  }

  /** Whether there is anything to be taken back. */
  get isWritten(): boolean {
    return this.#bytes !== undefined
  }

  async remove(): Promise<void> {
    await rm(this.path, { force: true })
    await sweepBeside(this.path)
  }
}

export function recordFolder({ places }: Context): string {
  return join(places.state, 'setup')
}

export function recordPath(name: string, context: Context): string {
  return join(recordFolder(context), `${checkSessionName(name)}.json`)
}

/**
 * @throws KeytoolError `damaged`; `unsupported` for one of a newer program; `refused` for one that somebody else may have
 * written: it says what is to be removed
 */
export async function readRecord(name: string, context: Context): Promise<RecordFile | undefined> {
  const path = recordPath(name, context)
  for (const each of [recordFolder(context), path]) await checkOwn(each)
  const bytes = await readIfThere(path, MAX_SIZE)
  if (!bytes) return undefined
  const record = parse(bytes, path)
  if (record.name !== name) throw damaged(path, `it is about ${showForeign(record.name)}`)
  return new RecordFile(path, record, bytes)
}

/** All that can be read. */
export async function listRecords(context: Context): Promise<RecordFile[]> {
  const names = await readdir(recordFolder(context)).catch(() => [])
  const found: RecordFile[] = []
  for (const file of names.sort()) {
    const name = /^([A-Za-z0-9_][A-Za-z0-9._-]{0,63})\.json$/.exec(file)?.[1]
    const record = name === undefined ? undefined : await readRecord(name, context)
    if (record) found.push(record)
  }
  return found
}

function parse(bytes: Buffer, path: string): SetupRecord {
  let value: unknown
  try {
    value = JSON.parse(bytes.toString('utf8'))
  } catch (cause) {
    throw damaged(path, 'it is no JSON', cause)
  }
  if (!isObject(value)) throw damaged(path, 'it is no object')
  const { version } = value
  if (typeof version === 'number' && version > VERSION) {
    throw new KeytoolError('unsupported', `${path} has version ${version}, made by a newer program`, {
      reason: 'it is left as it is',
    })
  }
  if (version !== VERSION) throw damaged(path, 'version is missing or no version')
  return check(value, path)
}

function check(value: Readonly<Record<string, unknown>>, path: string): SetupRecord {
  const { name, host, port, user, jump, key, keyFile, mail, folders, traces, steps } = value
  if (typeof name !== 'string' || typeof host !== 'string' || typeof port !== 'number' || typeof user !== 'string') {
    throw damaged(path, 'it does not say which server it is about')
  }
  if (!isTextOrNone(jump) || !isTextOrNone(key) || !isTextOrNone(keyFile))
    throw damaged(path, 'what should be text is none')
  if (!isPaths(folders) || !isPaths(traces) || !isObject(steps))
    throw damaged(path, 'folders, traces or steps are missing')
  const checked: Record<string, Made> = {}
  for (const [step, made] of Object.entries(steps)) {
    if (!isMade(made)) throw damaged(path, `step ${JSON.stringify(step.slice(0, 40))} is not as it should be`)
    checked[step] = made
  }
  try {
    return {
      version: VERSION,
      name: checkSessionName(name),
      host: checkHost(host),
      port: checkPort(port),
      user: checkUser(user),
      ...(jump !== undefined && { jump }),
      ...(key !== undefined && { key }),
      ...(keyFile !== undefined && { keyFile }),
      ...(mail === true && { mail }),
      ...{ folders, traces, steps: checked },
    }
  } catch (cause) {
    throw damaged(path, isKeytoolError(cause) ? cause.message : String(cause), cause)
  }
}

function isMade(value: unknown): value is Made {
  if (!isObject(value) || !isObject(value['facts'])) return false
  if (value['state'] !== 'begun' && value['state'] !== 'done') return false
  return Object.values(value['facts']).every(fact => ['string', 'number', 'boolean'].includes(typeof fact))
}

function isTextOrNone(value: unknown): value is string | undefined {
  return value === undefined || typeof value === 'string'
}

function isPaths(value: unknown): value is string[] {
  return Array.isArray(value) && value.every(each => typeof each === 'string')
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function damaged(path: string, reason: string, cause?: unknown): KeytoolError {
  return new KeytoolError('damaged', `${path} can't be read`, {
    reason,
    hint: 'what setup did there can be taken back by hand only: see docs/setup.md',
    cause,
  })
}

/** A text among the facts. @throws KeytoolError `damaged` */
export function textIn({ facts }: Made, name: string): string {
  const value = facts[name]
  if (typeof value === 'string') return value
  throw new KeytoolError('damaged', `the record of setup does not say ${name}`)
}
