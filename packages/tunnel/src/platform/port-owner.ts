import { findOwnerOnLinux } from './port-owner-linux.js'

export interface PortOwner {
  readonly pid: number
  /** Name of the program, where it can be read. */
  readonly name?: string
}

/** `address` is the one that was to be bound; `undefined` for all. */
export type FindPortOwner = (port: number, address: string | undefined) => Promise<PortOwner | undefined>

/** Systems that can tell without another program's help. */
const systems: Readonly<Record<string, FindPortOwner>> = { linux: findOwnerOnLinux }

/** Who listens on a TCP port, or `undefined` where that can't be known. Never throws. */
export async function findPortOwner(
  port: number,
  address: string | undefined,
  system: string = process.platform,
): Promise<PortOwner | undefined> {
  try {
    return await systems[system]?.(port, address)
  } catch {
    return undefined
  }
}
