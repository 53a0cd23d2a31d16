import { isKeytoolError } from '@keytool/keygen'
import type { Agent } from '../agent.js'
import { type ExtensionName, type Extensions, extensions } from '../protocol/extensions.js'
import { reportOf } from '../reports.js'
import { takePpk, takeSealed } from './offers.js'

/** What answers an extension: absent where this agent does not have it. */
type ExtensionHandlers = {
  readonly [N in ExtensionName]: (
    agent: Agent,
  ) => ((value: Extensions[N]['request']) => Promise<Extensions[N]['response']>) | undefined
}

export const extensionHandlers: ExtensionHandlers = {
  query: agent => async () => ({ names: namesServed(agent) }),
  sessionBind: agent => agent.bind && (bind => nothing(agent.bind?.(bind))),
  addPpk: agent => agent.addSealed && (({ file }) => nothing(takePpk(agent, file))),
  reencrypt: agent => agent.reencrypt && (({ key }) => nothing(agent.reencrypt?.(key))),
  reencryptAll: agent => agent.reencryptAll && (async () => ({ left: (await agent.reencryptAll?.()) ?? 0 })),
  listExtended: agent =>
    agent.inspect &&
    (async () => ({
      identities: ((await agent.inspect?.()) ?? []).map(({ identity, isOpen, isSealable }) => ({
        ...identity,
        isOpen,
        isSealable,
      })),
    })),
  status: agent => agent.status && (async () => ({ json: JSON.stringify(await agent.status?.()) })),
  list: agent =>
    agent.inspect && (async () => ({ json: JSON.stringify(((await agent.inspect?.()) ?? []).map(reportOf)) })),
  listFor: agent =>
    agent.orderFor && (async ({ hostKeys }) => ({ json: JSON.stringify(await agent.orderFor?.(hostKeys)) })),
  addSealed: agent => agent.addSealed && (file => nothing(takeSealed(agent, file))),
  unseal: agent =>
    agent.unseal && (async ({ key, passphrase }) => ({ fits: await fits(agent.unseal?.(key, passphrase)) })),
}

async function fits(opening: Promise<void> | undefined): Promise<boolean> {
  try {
    await opening
    return true
  } catch (error) {
    if (isKeytoolError(error) && error.code === 'secret-wrong') return false
    throw error
  }
}

async function nothing(work: Promise<unknown> | undefined): Promise<Record<never, never>> {
  await work
  return {}
}

function namesServed(agent: Agent): string[] {
  return (Object.keys(extensions) as ExtensionName[])
    .filter(name => name !== 'query' && extensionHandlers[name](agent))
    .map(name => extensions[name].name)
}
