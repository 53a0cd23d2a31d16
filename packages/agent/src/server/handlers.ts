import { Writer } from '@keytool/keygen'
import type { Agent, Identity } from '../agent.js'
import { clearReadBuffer } from '../platform/read-buffer.js'
import { decodeMessage, encodeMessage, isTooLong } from '../protocol/codec.js'
import { type Extension, type ExtensionName, type Extensions, extensionOf, extensions } from '../protocol/extensions.js'
import { type RequestName, type Requests, type Row, replies, requests } from '../protocol/messages.js'
import { extensionHandlers } from './extension-handlers.js'
import { takeKey } from './offers.js'

/** What a request is answered with: a whole frame, at once or later. */
export type Answer = Buffer | Promise<Buffer>

/** How one request is treated: its row, and what answers its body. */
export interface Treatment {
  readonly alone: boolean
  answer(agent: Agent, body: Buffer): Answer
}

const SUCCESS = encodeMessage(replies.success, {})
const FAILURE = encodeMessage(replies.failure, {})
const EXTENSION_FAILURE = encodeMessage(replies.extensionFailure, {})

type Handlers = { readonly [N in RequestName]?: (agent: Agent, value: Requests[N]) => Promise<Buffer> }

/** What this agent serves. Every other message is refused, whatever it holds. */
const handlers: Handlers = {
  list: (agent, _value) => agent.list().then(encodeIdentities),
  sign: (agent, { key, data, flags }) =>
    agent.sign(key, data, flags).then(signature => encodeMessage(replies.signature, { signature })),
  add: (agent, { key, comment }) => takeKey(agent, key, comment, {}).then(() => SUCCESS),
  addConstrained: (agent, { key, comment, constraints }) =>
    takeKey(agent, key, comment, constraints).then(() => SUCCESS),
  remove: (agent, { key }) => agent.remove(key).then(() => SUCCESS),
  removeAll: agent => agent.removeAll().then(() => SUCCESS),
  // Old clients say both, and take the second no for a failure.
  oldRemoveAll: agent => agent.removeAll().then(() => SUCCESS),
  lock: (agent, { passphrase }) => agent.lock(passphrase).then(() => SUCCESS),
  unlock: (agent, { passphrase }) => agent.unlock(passphrase).then(() => SUCCESS),
}

/** Each identity's bytes in a list: lists are asked for far more often than they change. */
const encoded = new WeakMap<Identity, Buffer>()
const LIST_HEAD = 9

function encodeIdentities(identities: readonly Identity[]): Buffer {
  const head = Buffer.alloc(LIST_HEAD)
  const lines = identities.map(identity => {
    const known = encoded.get(identity)
    if (known) return known
    const line = new Writer().string(identity.blob).text(identity.comment).done()
    encoded.set(identity, line)
    return line
  })
  head[4] = replies.identities.number
  head.writeUInt32BE(identities.length, 5)
  const frame = Buffer.concat([head, ...lines])
  frame.writeUInt32BE(frame.length - 4, 0)
  return frame
}

const REFUSED: Treatment = { alone: false, answer: () => FAILURE }
const REFUSED_SECRET: Treatment = {
  alone: false,
  answer(_agent, body) {
    clearReadBuffer()
    body.fill(0)
    return FAILURE
  },
}

/** By number. A hole is a message that nobody has heard of. */
const treatments: readonly (Treatment | undefined)[] = makeTreatments()

const extensionTreatments: ReadonlyMap<ExtensionName, Treatment> = new Map(
  (Object.keys(extensions) as ExtensionName[]).map(name => [name, treatExtension(name)]),
)

/**
 * How to treat this message. An unknown one, like one that is not served, is answered with FAILURE and nothing worse
 * (RFC 9987 section 5): its body is consumed and the connection goes on. Unknown extensions too: EXTENSION_FAILURE
 * would claim that the extension is known (section 5.8).
 */
export function treatmentOf(body: Buffer): Treatment {
  const name = extensionOf(body)
  return (name ? extensionTreatments.get(name) : treatments[body[0] ?? 0]) ?? REFUSED
}

function makeTreatments(): (Treatment | undefined)[] {
  const byNumber: (Treatment | undefined)[] = new Array(256).fill(undefined)
  for (const name of Object.keys(requests) as RequestName[]) byNumber[requests[name].number] = treat(name)
  return byNumber
}

function treat<N extends RequestName>(name: N): Treatment {
  const row: Row<Requests[N]> = requests[name]
  const handler: Handlers[N] = handlers[name]
  if (!handler) return row.secret ? REFUSED_SECRET : REFUSED
  return treatRow(row, (agent, value) => handler(agent, value), FAILURE)
}

function treatExtension<N extends ExtensionName>(name: N): Treatment {
  const { request, reply }: Extension<Extensions[N]['request'], Extensions[N]['response']> = extensions[name]
  const handle = extensionHandlers[name]
  const served = treatRow(
    request,
    async (agent, value) => {
      const handler = handle(agent)
      return handler ? encodeMessage(reply, await handler(value)) : FAILURE
    },
    EXTENSION_FAILURE,
    // Who binds a session in words that nobody understands has tried to bind one, all the same.
    name === 'sessionBind' ? agent => agent.distrust?.() : undefined,
  )
  const refused = request.secret ? REFUSED_SECRET : REFUSED
  return { ...served, answer: (agent, body) => (handle(agent) ? served : refused).answer(agent, body) }
}

/** @param onDamaged called when the message can't be read */
function treatRow<Q>(
  row: Row<Q>,
  handle: (agent: Agent, value: Q) => Promise<Buffer>,
  no: Buffer,
  onDamaged?: (agent: Agent) => void,
): Treatment {
  const read = (agent: Agent, body: Buffer) => {
    try {
      return decodeMessage(row, body)
    } catch (error) {
      onDamaged?.(agent)
      throw error
    }
  }
  return {
    alone: row.alone ?? false,
    async answer(agent, body) {
      if (row.secret) clearReadBuffer()
      try {
        const reply = await handle(agent, read(agent, body))
        return isTooLong(reply) ? no : reply
      } catch {
        // The protocol has one word for every reason.
        return no
      } finally {
        if (row.secret) body.fill(0)
      }
    },
  }
}
