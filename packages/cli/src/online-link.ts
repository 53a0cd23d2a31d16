/** The way to the agent for a command that ships without it: the other bundle is loaded only when it is needed. */
export async function loadAgentLink(): Promise<typeof import('./agent-link.js')> {
  return (await import('./online.js')).loadAgentLink()
}

/** The same, for what the keychain has to do with a key. */
export async function loadRemembered(): Promise<typeof import('./remembered.js')> {
  return (await import('./online.js')).loadRemembered()
}
