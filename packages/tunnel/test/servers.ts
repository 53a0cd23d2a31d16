import { once } from 'node:events'
import { createServer, type Server, type Socket } from 'node:net'
import { join } from 'node:path'
import ssh2 from 'ssh2'
import type { ConnectOptions } from '../src/connection/connect.js'
import { KnownHosts } from '../src/known-hosts/store.js'

const hostKey: string = makeKey()

/** Servers on 127.0.0.1 that do as a test says, until {@link Servers.close}. */
export class Servers {
  readonly #home: string
  readonly #servers = new Set<{ close(): unknown }>()
  readonly #sockets = new Set<Socket>()

  /** @param home where the keys of these servers are noted */
  constructor(home: string) {
    this.#home = home
  }

  /** One that speaks SSH and lets `login` decide. With `path` on a Unix socket, which holds little by itself. */
  async ssh(
    login: (context: ssh2.AuthContext, client: ssh2.Connection) => void,
    onClient: (client: ssh2.Connection) => void = () => {},
    more: Partial<ssh2.ServerConfig> & { path?: string } = {},
    onConnection: (client: ssh2.Connection) => void = () => {},
  ): Promise<number> {
    const server = new ssh2.Server({ hostKeys: [hostKey], ...more }, client => {
      onConnection(client)
      client.on('error', () => {}).on('authentication', context => login(context, client))
      client.on('ready', () => onClient(client))
    })
    return await this.#listen(server, more.path)
  }

  /** One that speaks anything else. */
  async raw(serve: (socket: Socket) => void): Promise<number> {
    const server: Server = createServer(socket => {
      this.#sockets.add(socket)
      socket.on('error', () => {}).on('close', () => this.#sockets.delete(socket))
      serve(socket)
    })
    return await this.#listen(server)
  }

  /** How to log in there, as a user who takes every new host. */
  to(port: number, more: Partial<ConnectOptions> = {}): ConnectOptions {
    const files = [join(this.#home, `known-${port}`)]
    const knownHosts = new KnownHosts({ home: this.#home, files, systemFiles: [] })
    return { host: '127.0.0.1', port, user: 'hana', hosts: { knownHosts, confirmHost: async () => true }, ...more }
  }

  close(): void {
    for (const server of this.#servers) server.close()
    for (const socket of this.#sockets) socket.destroy()
    this.#servers.clear()
  }

  async #listen(server: Server | ssh2.Server, path?: string): Promise<number> {
    this.#servers.add(server)
    if (path === undefined) server.listen(0, '127.0.0.1')
    else server.listen(path)
    await once(server, 'listening')
    return path === undefined ? (server.address() as { port: number }).port : 22
  }
}

/** What lies beneath ssh2's server: how to say what an honest one never would. */
interface Beneath {
  readonly _sock: Socket
  readonly _protocol: {
    readonly _handlers: Record<string, (protocol: unknown, info: { sender: number }) => void>
    readonly _cipher: { encrypt(packet: Uint8Array): void }
    readonly _packetRW: { write: { allocStart: number; alloc(length: number): Buffer; finalize(p: Buffer): Buffer } }
  }
}

export function beneath(client: ssh2.Connection): Beneath {
  return client as unknown as Beneath
}

/** Sends messages, each with its number first, in one segment. */
export function say(client: ssh2.Connection, ...messages: (readonly (number | string | Uint8Array)[])[]): void {
  const { _sock: socket, _protocol: protocol } = beneath(client)
  socket.cork()
  for (const [kind, ...fields] of messages) {
    const payload = Buffer.concat([Buffer.of(Number(kind)), ...fields.map(encode)])
    const { write } = protocol._packetRW
    const packet = write.alloc(payload.length)
    payload.copy(packet, write.allocStart)
    protocol._cipher.encrypt(write.finalize(packet))
  }
  socket.uncork()
}

/** A number as uint32, a text (latin1) with its length before it, bytes as they are. */
function encode(field: number | string | Uint8Array): Uint8Array {
  if (field instanceof Uint8Array) return field
  const word = Buffer.alloc(4)
  word.writeUInt32BE(typeof field === 'number' ? field : field.length)
  return typeof field === 'number' ? word : Buffer.concat([word, Buffer.from(field, 'latin1')])
}

/** What happens when the client asks for a channel, told its number there. */
export function onChannel(client: ssh2.Connection, answer: (sender: number) => void): void {
  beneath(client)._protocol._handlers.CHANNEL_OPEN = (_protocol, { sender }) => answer(sender)
}

/** ssh2 makes a key that it can't read about once in four hundred times. */
function makeKey(): string {
  for (;;) {
    const { private: key } = ssh2.utils.generateKeyPairSync('ed25519')
    if (!(ssh2.utils.parseKey(key) instanceof Error)) return key
  }
}
