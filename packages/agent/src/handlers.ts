import { KeytoolError, PrivateKey, Writer } from '@keytool/keygen'
import type { Agent, Offer } from './agent.js'
import { decodeMessage, encodeMessage, isTooLong } from './protocol/codec.js'
import type { KeyParts } from './protocol/fields.js'
import { type RequestName, type Requests, type Row, replies, requests } from './protocol/messages.js'

/** What a request is answered with: a whole frame, at once or later. */
export type Answer = Buffer | Promise<Buffer>

/** How one request is treated: its row, and what answers its body. */
export interface Treatment {
  readonly alone: boolean
  answer(agent: Agent, body: Buffer): Answer
}

const SUCCESS = encodeMessage(replies.success, {})
const FAILURE = encodeMessage(replies.failure, {})

type Handlers = { readonly [N in RequestName]?: (agent: Agent, value: Requests[N]) => Promise<Buffer> }

/** What this agent serves. Every other message is refused, whatever it holds. */
const handlers: Handlers = {
  list: (agent, _value) => agent.list().then(identities => encodeMessage(replies.identities, { identities })),
  sign: (agent, { key, data, flags }) =>
    agent.sign(key, data, flags).then(signature => encodeMessage(replies.signature, { signature })),
  async add(agent, { key, comment }) {
    const offer = makeOffer(key, comment)
    await (agent.offer ? agent.offer(offer) : agent.add(await offer.open()))
    return SUCCESS
  },
  remove: (agent, { key }) => agent.remove(key).then(() => SUCCESS),
  removeAll: agent => agent.removeAll().then(() => SUCCESS),
  lock: (agent, { passphrase }) => agent.lock(passphrase).then(() => SUCCESS),
  unlock: (agent, { passphrase }) => agent.unlock(passphrase).then(() => SUCCESS),
}

/** The blob is put together and no more: to look whether it can be a key takes milliseconds for some types. */
function makeOffer(key: KeyParts, comment: string): Offer {
  const { algorithm, parts } = key
  const writer = new Writer().text(algorithm.name)
  algorithm.publicFields.write(writer, parts)
  return {
    identity: { blob: writer.done(), comment },
    slow: algorithm.slow === true,
    open: () => openKey(key, comment),
  }
}

/** The parts are views of the message, which is cleared afterwards; the key gets its own. */
async function openKey({ algorithm, parts }: KeyParts, comment: string): Promise<PrivateKey> {
  const own = Object.fromEntries(Object.entries(parts).map(([name, part]) => [name, Buffer.from(part)]))
  try {
    const key = await PrivateKey.fromParts(algorithm, own, comment, 'quick')
    if (!algorithm.signer) {
      throw new KeytoolError(
        'unsupported',
        `${algorithm.type} keys need their device, which this agent does not speak to`,
      )
    }
    // What the quick look leaves open shows in what it signs: RSA with factors that are no primes signs nonsense.
    if (!(await key.publicKey.verify(PROBE, await key.sign(PROBE)))) {
      throw new KeytoolError('damaged', 'what the key signs does not verify')
    }
    return key
  } catch (error) {
    for (const part of Object.values(own)) part.fill(0)
    throw error
  }
}

/** Is no request that anybody would want signed. */
const PROBE = Buffer.from('keytool: a probe')

const REFUSED: Treatment = { alone: false, answer: () => FAILURE }
const REFUSED_SECRET: Treatment = {
  alone: false,
  answer(_agent, body) {
    body.fill(0)
    return FAILURE
  },
}

/** By number. A hole is a message that nobody has heard of. */
const treatments: readonly (Treatment | undefined)[] = makeTreatments()

/**
 * How to treat this message. An unknown one, like one that is not served, is answered with FAILURE and nothing worse
 * (RFC 9987 section 5): its body is consumed and the connection goes on. Unknown extensions too: EXTENSION_FAILURE
 * would claim that the extension is known (section 5.8).
 */
export function treatmentOf(body: Buffer): Treatment {
  return treatments[body[0] ?? 0] ?? REFUSED
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
  return {
    alone: row.alone ?? false,
    async answer(agent, body) {
      try {
        const reply = await handler(agent, decodeMessage(row, body))
        return isTooLong(reply) ? FAILURE : reply
      } catch {
        // The protocol has one word for every reason.
        return FAILURE
      } finally {
        if (row.secret) body.fill(0)
      }
    },
  }
}
