import { readdir, readFile } from 'node:fs/promises'

/** The pids of all that a process started, and what those started, and so on: from /proc, so Linux only. */
export async function findDescendants(pid: number): Promise<number[]> {
  const children = new Map<number, number[]>()
  const pids = (await readdir('/proc')).filter(name => /^\d+$/.test(name)).map(Number)
  for (const each of pids) {
    const parent = await readParent(each)
    if (parent !== undefined) children.set(parent, [...(children.get(parent) ?? []), each])
  }
  const found: number[] = []
  const open = [pid]
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const below = children.get(next) ?? []
    found.push(...below)
    open.push(...below)
  }
  return found
}

/** proc(5), /proc/pid/stat: the program's name stands in parentheses and may hold anything; state and parent follow. */
async function readParent(pid: number): Promise<number | undefined> {
  const stat = await readFile(`/proc/${pid}/stat`, 'latin1').catch(() => undefined)
  const parent = stat?.slice(stat.lastIndexOf(')') + 2).split(' ')[1]
  return parent === undefined ? undefined : Number(parent)
}
