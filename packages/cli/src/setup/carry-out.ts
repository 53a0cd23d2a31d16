import { isAbsolute } from 'node:path'
import { isKeytoolError, showForeign } from '@keytool/keygen'
import { whileAlone } from './alone.js'
import { removeEmpty } from './folders.js'
import type { Job, Step } from './job.js'
import { sweepBeside } from './leftovers.js'
import { publicText } from './public-text.js'
import type { Made } from './record.js'
import { noteKnownHosts } from './steps/host.js'
import { steps } from './steps.js'

/** A line of what came of one step, and of `--json`. */
export interface Outcome {
  readonly step: string
  /** `done`: it was there already. */
  readonly state: 'done' | 'made' | 'to-do'
  readonly detail: string
}

const WIDTH = Math.max(...steps.map(({ title }) => title.length))

/** Shows the plan, and changes nothing. */
export async function showPlan(job: Job): Promise<Outcome[]> {
  const { say } = job.context
  const outcomes: Outcome[] = []
  for (const step of steps) {
    const { state, text } = await step.look(job)
    outcomes.push({ step: step.name, state, detail: text })
    if (state === 'done') say.done(line(step, text))
    else say.line(`${' '.repeat(say.unicode ? 1 : 2)} ${line(step, text)}`)
  }
  return outcomes
}

/** The same for real, with no other setup at work meanwhile. @throws KeytoolError `refused` where one is, or was */
export async function carryOutAlone(job: Job): Promise<Outcome[]> {
  const { context, record } = job
  try {
    return await whileAlone(context, async () => {
      await record.checkUnchanged()
      return carryOut(job)
    })
  } finally {
    // The lock's own, where nothing else was to be done.
    if (!record.isWritten) await removeEmpty(record.value.folders, context)
  }
}

/** Goes the whole way, a line for each step. What is there already is left as it is. */
async function carryOut(job: Job): Promise<Outcome[]> {
  const { say } = job.context
  const outcomes: Outcome[] = []
  for (const step of steps) {
    try {
      const outcome = await doStep(step, job)
      outcomes.push(outcome)
      say.done(line(step, outcome.detail))
    } catch (error) {
      tellWhatStands(step, outcomes, job, error)
      throw error
    }
  }
  return outcomes
}

async function doStep(step: Step, job: Job): Promise<Outcome> {
  const { record } = job
  const seen = await step.look(job)
  const made = record.madeBy(step.name)
  if (made?.state === 'begun') await sweep(made, job)
  if (seen.state === 'to-do') {
    // The record says what was there before the first thing is changed.
    if (step.name === 'key' || !(await hasBegun(job))) await begin(job)
    return { step: step.name, state: 'made', detail: await step.apply(job) }
  }
  if (made?.state === 'begun') {
    const facts = step.finish ? await step.finish(job, made) : made.facts
    await record.note(step.name, { state: 'done', facts })
  }
  return { step: step.name, state: 'done', detail: seen.text }
}

/** An end in the middle of a step may have left half a file beside the one it is about. */
export async function sweep({ facts: { path } }: Made, { record }: Pick<Job, 'record'>): Promise<void> {
  await sweepBeside(record.path)
  if (typeof path !== 'string' || !isAbsolute(path)) return
  for (const each of [path, `${path}.pub`]) await sweepBeside(each)
}

async function hasBegun({ record }: Job): Promise<boolean> {
  return Object.keys(record.value.steps).length > 0
}

async function begin(job: Job): Promise<void> {
  const { entry, record, mail, key } = job
  const { path: keyFile, publicKey } = key
  await record.change({
    ...(publicKey && { key: publicText(publicKey), keyFile }),
    ...(mail.length > 0 && { mail: true }),
  })
  // A host that is not known yet has a step of its own.
  if (entry && !entry.newHostKey) await noteKnownHosts(job)
}

/** After a failure: what was done, and that it needs not be done again. */
function tellWhatStands(failed: Step, outcomes: readonly Outcome[], { context, name }: Job, error: unknown): void {
  if (isKeytoolError(error) && error.code === 'cancelled') return
  const { say } = context
  say.line(`${say.mark(false)} ${line(failed, 'see below')}`)
  const made = outcomes.filter(({ state }) => state === 'made').map(({ step }) => step)
  const what = made.length > 0 ? `what was done stands (${made.join(', ')})` : 'nothing was changed before that'
  say.note(
    `${what}; the same line again goes on from there, ${showForeign(context.name)} setup --undo ${name} takes it back`,
  )
}

export function line({ title }: Step, text: string): string {
  return `${title.padEnd(WIDTH)}  ${text}`
}
