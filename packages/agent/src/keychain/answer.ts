import { KeytoolError } from '@keytool/keygen'
import { isSilent } from './answers.js'
import { checkFingerprint, readEntry, readIndex, writeIndex } from './entries.js'
import type { SystemStore } from './system-store.js'

/** The account of our own list. */
export const INDEX = 'index'

/** What the child works with. */
export interface AnswerOptions {
  readonly open: () => Promise<SystemStore>
  /** Does the work while no other program changes the index. */
  readonly whileLocked: <T>(work: () => Promise<T>) => Promise<T>
}

type Handler = (store: SystemStore, fields: readonly Buffer[], options: AnswerOptions) => Promise<readonly Uint8Array[]>

/** One row a request: its name, the fields behind it, and those of the answer. */
const handlers: ReadonlyMap<string, readonly [fields: number, handler: Handler]> = new Map<
  string,
  readonly [number, Handler]
>([
  ['state', [0, async store => [Buffer.from(await store.state())]]],
  ['find', [1, find]],
  ['store', [2, store]],
  ['forget', [1, forget]],
  ['list', [0, list]],
])

/**
 * What the child answers to a request: `ok` and the answer's fields, or `error` and the error as JSON. Never rejects.
 */
export async function answer([name, ...fields]: readonly Buffer[], options: AnswerOptions): Promise<Uint8Array[]> {
  let opened: SystemStore | undefined
  try {
    const [count, handler] = handlers.get(String(name)) ?? []
    if (!handler || fields.length !== count)
      throw new KeytoolError('usage', 'the keychain is asked for what is not known')
    opened = await options.open()
    return [Buffer.from('ok'), ...(await handler(opened, fields, options))]
  } catch (error) {
    const { code, message, reason, hint } = error instanceof KeytoolError ? error : isSilent('it failed', error)
    return [Buffer.from('error'), Buffer.from(JSON.stringify({ code, message, reason, hint }))]
  } finally {
    opened?.close()
  }
}

async function find(store: SystemStore, [fingerprint]: readonly Buffer[]): Promise<Uint8Array[]> {
  const secret = await store.get(checkFingerprint(String(fingerprint)))
  return secret === undefined ? [] : [Buffer.from(secret)]
}

/** The passphrase first: what is listed is there. What could not be listed is taken out again. */
async function store(store: SystemStore, [json, secret]: readonly Buffer[], options: AnswerOptions) {
  const entry = readEntry(JSON.parse(String(json)))
  if (!entry) throw new KeytoolError('usage', 'that is no entry of the keychain')
  const text = String(secret)
  await options.whileLocked(async () => {
    const index = writeIndex([...(await readOthers(store, entry.fingerprint)), entry])
    try {
      await store.set(entry.fingerprint, text)
      // Some keychains cut what is too long for them.
      if ((await store.get(entry.fingerprint)) !== text)
        throw isSilent('it did not keep the passphrase as it was given')
      await store.set(INDEX, index)
    } catch (error) {
      await store.delete(entry.fingerprint).catch(() => undefined)
      throw error
    }
  })
  return []
}

/** The list last: what could not be taken out is still listed, and can be taken out again. */
async function forget(store: SystemStore, [name]: readonly Buffer[], options: AnswerOptions) {
  const fingerprint = checkFingerprint(String(name))
  const wasThere = await options.whileLocked(async () => {
    const entries = readIndex(await store.get(INDEX))
    const others = entries.filter(each => each.fingerprint !== fingerprint)
    const wasStored = await store.delete(fingerprint)
    if (others.length < entries.length) await store.set(INDEX, writeIndex(others))
    return wasStored
  })
  return wasThere ? [Buffer.alloc(0)] : []
}

async function list(store: SystemStore): Promise<Uint8Array[]> {
  return [Buffer.from(JSON.stringify(readIndex(await store.get(INDEX))))]
}

async function readOthers(store: SystemStore, fingerprint: string) {
  return readIndex(await store.get(INDEX)).filter(each => each.fingerprint !== fingerprint)
}
