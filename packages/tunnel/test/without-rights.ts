/** Runs a part as a user who is not root, whom no folder's mode keeps out; `nobody` where this is run by root. */
export async function withoutRights<T>(work: () => Promise<T>): Promise<T> {
  const { geteuid, seteuid } = process
  if (geteuid?.() !== 0 || seteuid === undefined) return await work()
  seteuid(65_534)
  try {
    return await work()
  } finally {
    seteuid(0)
  }
}
