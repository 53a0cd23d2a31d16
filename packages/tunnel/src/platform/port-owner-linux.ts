import { readdir, readFile, readlink } from 'node:fs/promises'
import { isIPv4 } from 'node:net'
import { showForeign } from '@keytool/keygen'
import type { PortOwner } from './port-owner.js'

/** The state of a listening socket in /proc/net/tcp. */
const LISTEN = '0A'

/**
 * Looks the port up in /proc/net/tcp and tcp6, then the socket's number among the open files of those processes that
 * may be looked into: one's own, and all of them for root.
 */
export async function findOwnerOnLinux(port: number, address: string | undefined): Promise<PortOwner | undefined> {
  const tables = await Promise.all(['tcp', 'tcp6'].map(name => readFile(`/proc/net/${name}`, 'utf8').catch(() => '')))
  const inodes = tables.flatMap(table => listeners(table, port, address))
  return inodes.length === 0 ? undefined : await findHolder(new Set(inodes.map(inode => `socket:[${inode}]`)))
}

function listeners(table: string, port: number, address: string | undefined): string[] {
  const wanted = port.toString(16).toUpperCase().padStart(4, '0')
  return table.split('\n').flatMap(line => {
    const fields = line.trim().split(/\s+/)
    const [host = '', number] = (fields[1] ?? '').split(':')
    const inode = fields[9]
    if (number !== wanted || fields[3] !== LISTEN || inode === undefined) return []
    return address === undefined || !isIPv4(address) || collides(host, address) ? [inode] : []
  })
}

/** Whether a listener there keeps us from this IPv4 address. /proc writes each word of it in the machine's own order. */
function collides(host: string, address: string): boolean {
  const hex = Buffer.from(address.split('.').map(Number)).reverse().toString('hex').toUpperCase()
  return /^0+$/.test(host) || host === hex || host.endsWith(`FFFF0000${hex}`)
}

async function findHolder(links: ReadonlySet<string>): Promise<PortOwner | undefined> {
  for (const pid of (await readdir('/proc')).filter(name => /^\d+$/.test(name))) {
    const open = await readdir(`/proc/${pid}/fd`).catch(() => [])
    for (const fd of open) {
      if (!links.has(await readlink(`/proc/${pid}/fd/${fd}`).catch(() => ''))) continue
      const name = await readFile(`/proc/${pid}/comm`, 'utf8').catch(() => '')
      return { pid: Number(pid), ...(name !== '' && { name: showForeign(name.trim(), 32) }) }
    }
  }
  return undefined
}
