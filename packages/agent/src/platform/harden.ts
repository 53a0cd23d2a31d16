/** Variables by which node is told to load, log, open or write things. None is of any use to an agent. */
const NODE_VARIABLES =
  /^(?:NODE_(?:OPTIONS|PATH|DEBUG|DEBUG_NATIVE|V8_COVERAGE|INSPECT.*|REPL_.*|REDIRECT_WARNINGS|COMPILE_CACHE|EXTRA_CA_CERTS)|OPENSSL_(?:CONF|MODULES|ENGINES))$/

export interface HardenOptions {
  /** What SIGUSR1 does instead. Default: nothing. */
  readonly onUser1?: () => void
}

/**
 * Shuts the doors that node leaves open to other programs of the same user: the debugger's port (which SIGUSR1 opens
 * unless somebody handles it) and what an environment can make of node. For the entry of a process that will hold
 * keys, before anything else. Root still can do everything.
 *
 * @param env is changed: the programs that this one starts inherit it
 */
export function hardenProcess(env: NodeJS.ProcessEnv = process.env, options: HardenOptions = {}): void {
  // Where the system has no such signal there is no such door, and node ignores the handler.
  process.on('SIGUSR1', options.onUser1 ?? ignore)
  // Fetched here, not imported: every command loads this folder, and only a process with keys needs the module.
  const inspector = process.getBuiltinModule('node:inspector')
  if (inspector?.url() !== undefined) inspector.close()
  for (const name of Object.keys(env)) {
    if (NODE_VARIABLES.test(name)) delete env[name]
  }
}

/** The environment without what makes node load, log, open or write things: for a process that is to be hardened from its start. */
export function withoutNodeVariables(env: Readonly<NodeJS.ProcessEnv>): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !NODE_VARIABLES.test(name)))
}

function ignore(): void {}
