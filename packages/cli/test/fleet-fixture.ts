import { PassThrough } from 'node:stream'
import type { Asker } from '../src/asker.js'
import type { Context } from '../src/context.js'
import type { Member } from '../src/fleet/member.js'
import { Say } from '../src/say.js'

// What the tests of many hosts share: a context without a terminal, and hosts that nobody goes to.

export interface Stage {
  readonly context: Context
  /** What was said since this was asked last. */
  out(): string
  err(): string
}

/** @param asker who answers questions; without one nobody does */
export function makeStage(asker?: Asker): Stage {
  const [stdout, stderr] = [new PassThrough(), new PassThrough()]
  const say = new Say({ name: 'keytool', home: '/home/hana', stdout, stderr, env: {} })
  const context: Context = {
    name: 'keytool',
    env: {},
    get places(): never {
      throw new Error('no files are needed here')
    },
    stdin: new PassThrough(),
    say,
    asker,
    program: '',
  }
  return { context, out: () => String(stdout.read() ?? ''), err: () => String(stderr.read() ?? '') }
}

export function makeMember(word: string, more: Partial<Member> = {}): Member {
  const none = { localForwards: [], remoteForwards: [], dynamicForwards: [], sendEnv: [], setEnv: {} }
  const settings = { host: word, files: [], ignored: [], ...none }
  return { word, destination: { host: word, typed: word, port: 22, user: 'hana', settings, hops: [] }, ...more }
}
