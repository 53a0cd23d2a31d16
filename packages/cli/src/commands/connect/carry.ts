import type { Readable, Transform, Writable } from 'node:stream'
import type { Exit, RemoteSession } from '@keytool/tunnel'

/** This side of a session. */
export interface NearEnds {
  readonly stdin: Readable
  readonly stdout: Writable
  readonly stderr: Writable
}

/** What each direction passes through on its way, in order. */
export interface Stages {
  readonly input: readonly Transform[]
  readonly output: readonly Transform[]
  readonly errors: readonly Transform[]
}

/** How it ended: the far side's exit, nobody was left here to read, or somebody here said so. */
export type Outcome = { readonly exit: Exit } | { readonly unread: NodeJS.ErrnoException } | 'stopped'

/**
 * Carries bytes both ways, no faster than either side takes them, until the far side has ended and all it said was
 * handed on. The end of standard input is handed on as an end of input.
 * @param stop ends it at once: the far side may be long gone
 * @throws KeytoolError `unreachable` when the connection was lost before
 */
export async function carry(
  session: RemoteSession,
  near: NearEnds,
  stages: Stages,
  stop: AbortSignal,
): Promise<Outcome> {
  const { stdin, stdout, stderr } = near
  const ends = [follow(session.stdout, stages.output, stdout), follow(session.stderr, stages.errors, stderr)]
  const unread = new Promise<Outcome>(resolve => {
    stdout.once('error', error => resolve({ unread: error }))
  })
  const stopped = new Promise<Outcome>(resolve => {
    const now = () => resolve('stopped')
    if (stop.aborted) now()
    else stop.addEventListener('abort', now, { once: true })
  })
  const letGo = feed(stdin, stages.input, session.stdin)
  try {
    const exit = Promise.all([session.exit, ...ends]).then(([exit]) => ({ exit }))
    return await Promise.race([exit, unread, stopped])
  } finally {
    letGo()
    session.close()
  }
}

/** From the far side to here. Resolves when the last of it was handed on; what is here stays open. */
function follow(source: Readable, stages: readonly Transform[], sink: Writable): Promise<void> {
  const last = join(source, stages)
  last.pipe(sink, { end: false })
  // What nobody takes is dropped: it must not hold up the rest.
  sink.on('error', () => last.resume())
  return new Promise(resolve => {
    last.once('end', resolve)
    // A cut is the session's affair, which knows why. What was held back is handed on.
    const cut = () => (last === source ? resolve() : stages[0]?.end())
    // A far side that has nothing to say may have closed before anybody could listen.
    if (source.destroyed) cut()
    else source.once('error', cut)
  })
}

/** From here to the far side, whose end of input is ours. Returns what lets go of the input. */
function feed(source: Readable, stages: readonly Transform[], sink: Writable): () => void {
  // A far side that reads no more is not a failure: its exit says what it is.
  sink.on('error', () => {})
  join(source, stages).pipe(sink)
  const end = () => void (stages[0] ?? sink).end()
  // A terminal that has gone away gives an error in place of an end.
  source.on('error', end)
  if (source.readableEnded || source.destroyed) end()
  return () => {
    source.unpipe()
    source.pause()
  }
}

function join(source: Readable, stages: readonly Transform[]): Readable {
  return stages.reduce<Readable>((before, stage) => before.pipe(stage), source)
}
