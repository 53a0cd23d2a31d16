import type { KeyFile } from '../src/servers/key-file.js'

/** An authorized_keys in memory. */
export class FakeKeyFile implements KeyFile {
  readonly path = '~/.ssh/authorized_keys'
  readonly way = 'shell'
  bytes: Buffer
  /** How often it was replaced. */
  writes = 0
  /** Called before each replacement: what another writer does meanwhile. */
  meanwhile: () => void = () => {}

  constructor(content: string | Buffer = '') {
    this.bytes = Buffer.from(content)
  }

  async read(): Promise<Buffer> {
    return this.bytes
  }

  async replace(before: Buffer, after: Buffer): Promise<boolean> {
    this.meanwhile()
    if (!this.bytes.equals(before)) return false
    this.bytes = after
    this.writes++
    return true
  }

  async examine(): Promise<[]> {
    return []
  }
}
