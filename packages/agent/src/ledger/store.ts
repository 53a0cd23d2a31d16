import type { Stats } from 'node:fs'
import { join } from 'node:path'
import { syncFolder } from '../platform/folders.js'
import { hashLine, type Link } from './chain.js'
import { type LedgerEntry, lineOf } from './entry.js'
import { type Disk, fileNameOf, openOwn } from './files.js'
import { type Head, sealHead } from './head.js'
import type { KeptFile, OpenLedger } from './open.js'

/** An entry on its way to the disk. */
export interface Queued {
  readonly entry: LedgerEntry
  /** ISO 8601. */
  readonly time: string
}

export interface LedgerLimits {
  /** A file that has grown to so many bytes is followed by another. Default 4 MiB. */
  readonly fileSize: number
  /** How many files are kept. Default 8. */
  readonly files: number
}

/**
 * An open ledger's files. Every method works at once and throws what the disk says; what it has done by then is on record,
 * so that it can be called again.
 */
export class Store {
  readonly #folder: string
  readonly #disk: Disk
  readonly #limits: LedgerLimits
  readonly #key: Buffer
  readonly #headFd: number
  readonly #files: KeptFile[]
  #fd: number | undefined
  #size: number
  #end: Link
  #synced: number
  /** Files that may go once a head is there that doesn't count them. */
  #dropped: string[]
  #isSealed = false
  /** Not every file system knows how many names a file has. */
  readonly #countsNames: boolean
  /** Whether the name of a new file may not be on the disk yet. */
  #isNew = true
  /** After a write that stopped halfway: the file is longer than it should be. */
  #isTorn = false
  /** The last sync that was begun; each waits for the one before. */
  #syncing: Promise<void> = Promise.resolve()

  constructor(folder: string, disk: Disk, limits: LedgerLimits, opened: OpenLedger) {
    this.#folder = folder
    this.#disk = disk
    this.#limits = limits
    this.#key = opened.key
    this.#headFd = opened.headFd
    this.#files = [...opened.files]
    this.#fd = opened.fd
    this.#size = opened.size
    this.#end = opened.end
    this.#synced = opened.head.synced
    this.#dropped = opened.leftover.map(({ name }) => name)
    this.#keepNewest()
    this.#countsNames = disk.fstatSync(opened.headFd).nlink > 0
  }

  /** The last line that was written whole. */
  get end(): Link {
    return this.#end
  }

  /** Whether another program has had its hands on the files since the last write. A look at their sizes: content is for `verify`. */
  get isChanged(): boolean {
    if (this.#isGone(this.#disk.fstatSync(this.#headFd))) return true
    if (this.#fd === undefined) return false
    const stats = this.#disk.fstatSync(this.#fd)
    return this.#isGone(stats) || (stats.size !== this.#size && !this.#isTorn)
  }

  #isGone({ nlink }: Stats): boolean {
    return this.#countsNames && nlink === 0
  }

  /** Whether the head counts all that is written. */
  get isSealed(): boolean {
    return this.#isSealed
  }

  /** Writes a queue's entries, one write a file. Takes those that are written off the queue's front. */
  append(queue: Queued[]): void {
    if (this.#isTorn) this.#mend()
    while (queue.length > 0) {
      if (this.#fd === undefined || this.#size >= this.#limits.fileSize) this.#roll()
      this.#isSealed = false
      queue.splice(0, this.#writeSome(queue))
    }
  }

  /** As many of the entries as this file still takes, and at least one. Returns how many. */
  #writeSome(queue: readonly Queued[]): number {
    const room = this.#limits.fileSize - this.#size
    let { count, hash } = this.#end
    let text = ''
    let taken = 0
    for (const { entry, time } of queue) {
      const line = lineOf(entry, ++count, time, hash)
      hash = hashLine(line)
      text += `${line}\n`
      taken++
      // In characters, which is near enough.
      if (text.length >= room) break
    }
    this.#write(Buffer.from(text))
    this.#end = { count, hash }
    return taken
  }

  #write(bytes: Buffer): void {
    if (this.#fd === undefined) return
    try {
      for (let done = 0; done < bytes.length; ) done += this.#disk.writeSync(this.#fd, bytes, done)
    } catch (error) {
      this.#isTorn = true
      try {
        this.#mend()
      } catch {
        // It is tried again before the next write; the first error says more.
      }
      throw error
    }
    this.#size += bytes.length
  }

  /** Takes away what stands after the last whole line. */
  #mend(): void {
    if (this.#fd !== undefined) this.#disk.ftruncateSync(this.#fd, this.#size)
    this.#isTorn = false
  }

  /** Writes the head. It comes after its lines, so that whatever ends the agent, no head counts a line that is not there. */
  seal(): void {
    const head = sealHead(this.#head, this.#key)
    this.#disk.writeSync(this.#headFd, head, 0, head.length, 0)
    this.#isSealed = true
    for (const name of this.#dropped.splice(0)) this.#drop(name)
  }

  get #head(): Head {
    const [oldest] = this.#files
    const { first, prev } = oldest ?? { first: this.#end.count + 1, prev: this.#end.hash }
    return { ...this.#end, first, prev, synced: this.#synced }
  }

  #drop(name: string): void {
    try {
      this.#disk.unlinkSync(join(this.#folder, name))
    } catch {
      // Nothing counts it any more; the next start tries again.
    }
  }

  /** Goes on in a new file. The chain goes through; the oldest files are given up. */
  #roll(): void {
    const first = this.#end.count + 1
    const name = fileNameOf(first)
    const fd = openOwn(this.#folder, name, 'make lines', this.#disk)
    const old = this.#fd
    if (old !== undefined) void this.sync().then(() => this.#release(old))
    this.#fd = fd
    this.#size = 0
    this.#isNew = true
    this.#files.push({ name, first, prev: this.#end.hash })
    this.#keepNewest()
  }

  #keepNewest(): void {
    const tooMany = this.#files.length - Math.max(1, this.#limits.files)
    if (tooMany > 0) this.#dropped.push(...this.#files.splice(0, tooMany).map(file => file.name))
  }

  /** Has the system put on the disk what was written so far, lines before head, without anybody waiting. Never rejects. */
  sync(): Promise<void> {
    const { count } = this.#end
    const fd = this.#fd
    if (fd === undefined) return this.#syncing
    const before = this.#syncing
    const isNew = this.#isNew
    this.#isNew = false
    const sync = async () => {
      await before
      if (isNew) await syncFolder(this.#folder)
      if (!(await this.#syncOne(fd))) return
      this.#synced = count
      await this.#syncOne(this.#headFd)
    }
    this.#syncing = sync()
    return this.#syncing
  }

  #syncOne(fd: number): Promise<boolean> {
    return new Promise(resolve => this.#disk.fdatasync(fd, error => resolve(!error)))
  }

  /** Lets go of the files, what they are to hold having been put on the disk. */
  async close(): Promise<void> {
    await this.sync()
    try {
      this.seal()
      await this.#syncOne(this.#headFd)
    } finally {
      await this.abandon()
    }
  }

  /** Lets go of the files as they are. Never rejects. */
  async abandon(): Promise<void> {
    const fds = [this.#headFd, this.#fd]
    // What is being synced is closed afterwards: its number could be another file's by then.
    await this.#syncing
    for (const fd of fds) if (fd !== undefined) this.#release(fd)
  }

  #release(fd: number): void {
    try {
      this.#disk.closeSync(fd)
    } catch {
      // Nothing more can be done about it, and its number is free all the same.
    }
  }
}
