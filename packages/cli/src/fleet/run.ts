import type { Context } from '../context.js'
import { SharedPassword } from './shared-password.js'
import { SharedWays } from './shared-ways.js'

/** What hosts that are gone to together share. */
export interface FleetRun {
  /** How many there are in all. */
  readonly size: number
  /** What is not about one of them. */
  readonly context: Context
  readonly password: SharedPassword
  readonly ways: SharedWays
}

interface FleetContext extends Context {
  readonly fleet: FleetRun
}

export function createRun(size: number, context: Context): FleetRun {
  return { size, context, password: new SharedPassword(size - 1), ways: new SharedWays() }
}

/** Lets go of what was shared. */
export async function endRun({ password, ways }: FleetRun): Promise<void> {
  password.wipe()
  await ways.close()
}

/** The context of work on one of them. */
export function joinRun(context: Context, fleet: FleetRun): Context {
  return Object.create(context, { fleet: { value: fleet, enumerable: true } }) as Context
}

/** The run that this work is part of; of a host that is gone to alone there is none. */
export function runOf(context: Context): FleetRun | undefined {
  return (context as Partial<FleetContext>).fleet
}
