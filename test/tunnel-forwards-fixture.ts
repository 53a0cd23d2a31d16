import { once } from 'node:events'
import { createServer, type Server, type Socket } from 'node:net'
import { generate, type PrivateKey } from '@keytool/keygen'
import {
  type Connection,
  connect,
  type Forward,
  type ForwardKind,
  type ForwardOptions,
  KnownHosts,
  openForward,
  parseForward,
} from '@keytool/tunnel'
import { type Folder, temporaryFolder } from './world/folder.js'

/** Where an SSH server is, and who may log in. */
export interface Login {
  readonly port: number
  readonly user: string
  readonly key: PrivateKey
}

/** A key and its line for authorized_keys, with options in front. */
export async function makeKey(options = ''): Promise<{ key: PrivateKey; line: string }> {
  const key = await generate('ed25519')
  const { algorithm, blob } = key.publicKey
  return { key, line: `${options} ${algorithm.name} ${blob.toString('base64')} test`.trim() }
}

/** Connections, forwards and servers of a test file, all closed at its end. */
export class Bench {
  readonly #folder: Folder
  readonly #connections: Connection[] = []
  readonly #forwards: Forward[] = []
  readonly #servers: Server[] = []
  readonly #sockets = new Set<Socket>()

  private constructor(folder: Folder) {
    this.#folder = folder
  }

  static async open(): Promise<Bench> {
    return new Bench(await temporaryFolder())
  }

  get path(): string {
    return this.#folder.path
  }

  async connect({ port, user, key }: Login): Promise<Connection> {
    const knownHosts = new KnownHosts({ home: this.path, files: [`${this.path}/known`], systemFiles: [] })
    const hosts = { knownHosts, confirmHost: async () => true }
    const connection = await connect({ host: '127.0.0.1', port, user, signers: [key], hosts })
    this.#connections.push(connection)
    return connection
  }

  /** A forward that is attached to the connection, as a tunnel attaches it. */
  async forward(
    kind: ForwardKind,
    text: string,
    connection: Connection,
    more: Partial<ForwardOptions> = {},
  ): Promise<Forward> {
    const forward = await openForward(parseForward(kind, text), {
      link: { connection: async () => connection },
      ...more,
    })
    this.#forwards.push(forward)
    await forward.attach(connection)
    return forward
  }

  /** A program that listens on 127.0.0.1, or at a path. */
  async serve(serve: (socket: Socket) => void, path?: string): Promise<number> {
    const server = createServer({ allowHalfOpen: true }, socket => {
      this.#sockets.add(socket)
      socket.on('error', () => {}).on('close', () => this.#sockets.delete(socket))
      serve(socket)
    })
    this.#servers.push(server)
    if (path === undefined) server.listen(0, '127.0.0.1')
    else server.listen({ path, readableAll: true, writableAll: true })
    await once(server, 'listening')
    const address = server.address()
    return typeof address === 'object' ? (address?.port ?? 0) : 0
  }

  async close(): Promise<void> {
    for (const forward of this.#forwards) await forward.close()
    for (const connection of this.#connections) await connection.close()
    for (const server of this.#servers) server.close()
    for (const socket of this.#sockets) socket.destroy()
    await this.#folder.dispose()
  }
}

/** Answers with what came, turned round, once the other side has ended. */
export function turnRound(socket: Socket): void {
  const parts: Buffer[] = []
  socket.on('data', part => parts.push(part))
  socket.on('end', () => socket.end(Buffer.concat(parts).reverse()))
}

/** Sends all of it, then ends, and gives what came until the other side ended. @throws what broke it */
export async function exchange(socket: Socket, sent: Uint8Array): Promise<Buffer> {
  const parts: Buffer[] = []
  socket.on('data', part => parts.push(part))
  socket.end(sent)
  await once(socket, 'end')
  return Buffer.concat(parts)
}

/** Looks again and again, for fifteen seconds at most. @throws Error when it never came to it */
export async function until(done: () => boolean): Promise<void> {
  const end = Date.now() + 15_000
  while (!done()) {
    if (Date.now() > end) throw new Error(`it never came to ${done}`)
    await new Promise(resolve => setTimeout(resolve, 5))
  }
}
