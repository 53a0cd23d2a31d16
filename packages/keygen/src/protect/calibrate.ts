import { pbkdf2, randomBytes } from 'node:crypto'
import { promisify } from 'node:util'
import type { KeyFormat, WriteOptions } from '../formats/format.js'
import { argon2 } from './argon2.js'
import { bcryptPbkdf } from './bcrypt.js'

/** What a passphrase should cost on this machine, in ms: two or three guesses a second are plenty for its owner. */
const TARGET = 400
/** A trial shorter than this says too little. In ms. */
const ENOUGH = 40

/** How one KDF's cost is turned. */
interface Dial {
  /** What is never gone below, however slow the machine: what OpenSSH and PuTTY take today. */
  readonly least: number
  /** What is never gone above, however fast: the key is opened on slower machines, too. */
  readonly most: number
  /** Where trials begin. */
  readonly trial: number
  derive(amount: number): Promise<unknown>
  toOptions(amount: number): WriteOptions
}

const passphrase = Buffer.from('a trial')

const dials: Readonly<Record<'rounds' | 'kdf' | 'argon2', Dial>> = {
  rounds: {
    least: 24,
    most: 256,
    trial: 8,
    derive: amount => bcryptPbkdf(passphrase, randomBytes(16), amount, 48),
    toOptions: rounds => ({ rounds }),
  },
  kdf: {
    least: 600_000,
    most: 4_000_000,
    trial: 50_000,
    derive: amount => promisify(pbkdf2)(passphrase, randomBytes(16), amount, 32, 'sha256'),
    toOptions: rounds => ({ kdf: 'pbkdf2', rounds }),
  },
  argon2: {
    least: 13,
    most: 200,
    trial: 4,
    derive: passes =>
      argon2(passphrase, { kind: 'Argon2id', memory: 8192, passes, parallelism: 1, salt: randomBytes(16) }, 80),
    toOptions: passes => ({ argon2: { passes } }),
  },
}

/**
 * Costs for a file of this format that take some 0.4 s to pay here. Takes a tenth of that to find out.
 * @param clock ms, from any start
 */
export async function chooseCosts({ tuning = [] }: KeyFormat, clock: () => number): Promise<WriteOptions> {
  // What has a choice of KDFs counts PBKDF2's iterations as rounds.
  const name = (['argon2', 'kdf', 'rounds'] as const).find(each => tuning.includes(each))
  if (!name) return {}
  const { trial, least, most, derive, toOptions } = dials[name]
  // The first call may have to load something.
  await derive(1)
  for (let amount = trial; ; amount *= 2) {
    const start = clock()
    await derive(amount)
    const took = clock() - start
    if (took >= ENOUGH || amount >= most) {
      const fitting = Math.round((amount * TARGET) / Math.max(took, 1))
      return toOptions(Math.min(most, Math.max(least, fitting)))
    }
  }
}
