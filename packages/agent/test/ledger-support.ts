import fs from 'node:fs'
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { LedgerEntry } from '../src/ledger/entry.js'
import type { Disk } from '../src/ledger/files.js'
import { createLedger, type Ledger, type LedgerOptions } from '../src/ledger/ledger.js'
import { later, makeTemporary } from './support.js'

/** A folder for a ledger that is not there yet. */
export async function newFolder(): Promise<string> {
  return join(await makeTemporary(), 'ledger')
}

/** Closed after the test. */
export async function openedLedger(options: LedgerOptions): Promise<Ledger> {
  const ledger = await createLedger(options)
  later(() => ledger.close())
  return ledger
}

export function signed(i: number): LedgerEntry {
  return { action: 'sign', verdict: 'allowed', key: `SHA256:${i}`, comment: 'hana@laptop', program: 'git', pid: 42 }
}

/** Nothing is put on the disk for good, which takes long: no test here cuts the power. */
const quickDisk: Disk = faultyDisk((call, args) => {
  if (call !== 'fdatasync') return undefined
  const done = args.at(-1) as (error: unknown) => void
  done(null)
  return true
})

/** A ledger with so many lines, closed. Files of 500 bytes hold two or three. */
export async function makeLedger(folder: string, lines: number, limits: LedgerOptions['limits'] = {}): Promise<void> {
  const ledger = await createLedger({ folder, limits, disk: quickDisk })
  for (let i = 1; i <= lines; i++) ledger.write(signed(i))
  await ledger.close()
}

/** All files of a folder, by name. */
export async function readFolder(folder: string): Promise<Map<string, Buffer>> {
  const names = (await readdir(folder, { withFileTypes: true })).filter(each => each.isFile()).map(each => each.name)
  return new Map(await Promise.all(names.sort().map(async name => [name, await readFile(join(folder, name))] as const)))
}

/** Makes a folder hold these files and no others. */
export async function writeFolder(folder: string, files: ReadonlyMap<string, Buffer>): Promise<void> {
  await rm(folder, { recursive: true, force: true })
  await mkdir(folder, { recursive: true, mode: 0o700 })
  for (const [name, bytes] of files) await writeFile(join(folder, name), bytes, { mode: 0o600 })
}

/** The lines of all files, oldest first. */
export async function linesOf(folder: string): Promise<string[]> {
  const files = await readFolder(folder)
  return [...files]
    .filter(([name]) => name.endsWith('.jsonl'))
    .flatMap(([, bytes]) => bytes.toString('utf8').split('\n').slice(0, -1))
}

/** What a disk does in place of a call. Returns undefined to let it through. */
export type Fault = (call: string, args: readonly unknown[]) => unknown

/** The real disk, but for what `fault` does. Reading and closing always work. */
export function faultyDisk(fault: Fault): Disk {
  const through = new Set(['closeSync', 'readSync', 'readdirSync', 'fstatSync'])
  return new Proxy<Disk>(fs, {
    get(target, name: keyof Disk) {
      const real = target[name] as (...args: unknown[]) => unknown
      if (through.has(name)) return real
      return (...args: unknown[]) => fault(name, args) ?? real(...args)
    },
  })
}

export function systemError(code: string): Error {
  return Object.assign(new Error(code), { code })
}
