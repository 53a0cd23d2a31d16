import { isKeytoolError, KeytoolError } from '@keytool/keygen'
import type { Asker } from '../../asker.js'
import type { Context } from '../../context.js'
import { defaultLog, hold } from './hold.js'
import type { Plan } from './plan.js'

/** Says that we were started in the background, and whether somebody can be asked through whoever did. */
export const CHILD = 'KEYTOOL_TUNNEL_CHILD'

export interface Question {
  readonly ask: 'secret' | 'text'
  readonly prompt: string
  readonly isShown?: boolean
  readonly fallback?: string
}

/** How it came out, sent once. Beside it how much was written before, in bytes: that is to be read first. */
export type Report = (
  | { readonly pid: number }
  | { readonly error: { code: string; message: string; reason?: string; hint?: string } }
) & { readonly written: { readonly stdout: number; readonly stderr: number } }

/** A question is withdrawn when nobody needs the answer any more. */
export type FromChild = Question | { readonly withdraw: true } | Report

export type ToChild = { readonly answer: Uint8Array } | { readonly cancelled: string }

/** Whether this process is the one in the background. */
export function isChild({ env }: Context): boolean {
  return env[CHILD] !== undefined && process.send !== undefined
}

/** Holds the tunnel for a process that ends once it is up, and lets go of it then. */
export async function holdAsChild(wish: Plan, context: Context): Promise<number> {
  // Nobody sees what it says.
  const plan = { ...wish, flags: { ...wish.flags, log: wish.flags.log ?? defaultLog(wish, context) } }
  const asked = context.env[CHILD] === 'asks'
  delete process.env[CHILD]
  // Without whoever started us there is nobody to ask, and nobody who reads.
  const asking = Object.create(context, {
    asker: { get: () => (asked && process.connected ? asker : undefined), enumerable: true },
  }) as Context
  // Its folder stays: what was named by a path from there is read again when it connects again.
  const onUp = () => report({ pid: process.pid })
  try {
    return await hold(plan, asking, { onUp, mustBeSeen: true })
  } catch (error) {
    if (!process.connected || !isKeytoolError(error)) throw error
    const { code, message, reason, hint } = error
    report({ error: { code, message, ...(reason && { reason }), ...(hint && { hint }) } })
    return 1
  }
}

function report(outcome: { pid: number } | Pick<Extract<Report, { error: unknown }>, 'error'>): void {
  const written = { stdout: writtenTo(process.stdout), stderr: writtenTo(process.stderr) }
  process.send?.({ ...outcome, written }, () => {
    if (process.connected) process.disconnect()
  })
}

/** Whoever started us may have gone in this moment: then the channel says so. */
function send(message: FromChild): void {
  process.send?.(message, undefined, undefined, () => {})
}

/** Both are pipes to whoever started us. */
function writtenTo(stream: NodeJS.WriteStream): number {
  return 'bytesWritten' in stream ? stream.bytesWritten : 0
}

const asker: Asker = {
  secret: (prompt, isShown, leaving) => ask({ ask: 'secret', prompt, isShown }, leaving),
  text: async (prompt, fallback, leaving) =>
    (await ask({ ask: 'text', prompt, ...(fallback !== undefined && { fallback }) }, leaving)).toString(),
}

/** One after the other: whoever asks waits for the answer. */
function ask(question: Question, leaving: AbortSignal | undefined): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const settle = (end: () => void) => {
      process.off('disconnect', gone).off('message', take)
      leaving?.removeEventListener('abort', withdraw)
      end()
    }
    const fail = (why: string) => settle(() => reject(new KeytoolError('cancelled', why)))
    const gone = () => fail('nobody is there to be asked any more')
    const withdraw = () => {
      // The answer to it, which comes all the same, is waited for: it is not the next question's.
      send({ withdraw: true })
    }
    const take = (reply: ToChild) => {
      if ('cancelled' in reply) return fail(reply.cancelled)
      const { buffer, byteOffset, length } = reply.answer
      settle(() => resolve(Buffer.from(buffer, byteOffset, length)))
    }
    process.once('disconnect', gone).once('message', take)
    send(question)
    leaving?.addEventListener('abort', withdraw)
    if (leaving?.aborted) withdraw()
  })
}
