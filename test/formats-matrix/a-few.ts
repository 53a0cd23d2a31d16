/** Peers are processes, and there are two cores or so: more at a time would only wait. */
const AT_ONCE = 4

/** Does the work a few at a time, and gives the results in the order of the tasks. Rejects with the first that failed. */
export async function doAFew<T>(tasks: readonly (() => Promise<T>)[]): Promise<T[]> {
  const results: T[] = []
  const rest = tasks.entries()
  const worker = async () => {
    for (const [index, task] of rest) results[index] = await task()
  }
  await Promise.all(Array.from({ length: AT_ONCE }, worker))
  return results
}
