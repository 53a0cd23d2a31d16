/**
 * What some work costs: the processor time of this process, in milliseconds. Whatever else the machine has to do meanwhile is
 * not in it.
 */
export async function effortOf(work: () => unknown): Promise<number> {
  const before = process.cpuUsage()
  await work()
  const { user, system } = process.cpuUsage(before)
  return (user + system) / 1000
}
