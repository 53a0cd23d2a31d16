import { PassThrough, Readable } from 'node:stream'
import { generate, type PublicKey, writePublicLine } from '@keytool/keygen'
import type { Context } from '../packages/cli/src/context.js'
import { type Forge, type ForgeKind, readForges } from '../packages/cli/src/fleet/forge/forge.js'
import { Say } from '../packages/cli/src/say.js'
import type { Environment } from './world/home.js'
import { homeless } from './world/home.js'
import { keytoolPath } from './world/run.js'

// What the tests of test/forge*.test.ts share.

export interface Desk {
  readonly context: Context
  said(): string
}

/** A command's context without a terminal. @param input what stands on standard input */
export function makeDesk(input = '', env: Environment = homeless): Desk {
  const [stdout, stderr] = [new PassThrough(), new PassThrough()]
  const said: Buffer[] = []
  for (const stream of [stdout, stderr]) stream.on('data', part => said.push(part))
  const say = new Say({ name: 'keytool', home: '/home/hana', stdout, stderr, env })
  const context: Context = {
    name: 'keytool',
    env,
    get places(): never {
      throw new Error('nothing of the home is needed')
    },
    stdin: Readable.from([Buffer.from(input)]),
    say,
    program: keytoolPath,
  }
  return { context, said: () => Buffer.concat(said).toString() }
}

export async function makeKey(comment = 'hana@laptop'): Promise<{ key: PublicKey; line: string }> {
  const { publicKey: key } = await generate('ed25519', { comment })
  return { key, line: writePublicLine(key).trim() }
}

export function forgeAt(kind: ForgeKind, url: string): Forge {
  const [forge] = readForges({ [kind]: url })
  if (!forge) throw new Error('no forge')
  return forge
}
