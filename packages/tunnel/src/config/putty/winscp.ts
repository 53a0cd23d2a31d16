import { numberOf, type SavedSettings, textOf } from './settings.js'

/** Numbers of WinSCP's `FSProtocol` that go over SSH: SCP, SFTP with SCP in reserve, SFTP. */
const OVER_SSH = [0, 1, 2]
/** PuTTY's number for a proxy reached by SSH. */
const PROXY_SSH = '6'

/** What WinSCP names otherwise than PuTTY, in PuTTY's names; the tunnel it can go through is PuTTY's SSH proxy. */
export function fromWinscp(settings: SavedSettings): SavedSettings {
  const values = new Map(settings.values)
  const transfer = numberOf(settings, 'FSProtocol', 1)
  values.set('Protocol', OVER_SSH.includes(transfer) ? 'ssh' : `FSProtocol ${transfer}`)
  if (numberOf(settings, 'Tunnel', 0) !== 0) {
    values.set('ProxyMethod', PROXY_SSH)
    values.set('ProxyHost', textOf(settings, 'TunnelHostName'))
    values.set('ProxyPort', String(numberOf(settings, 'TunnelPortNumber', 22)))
    values.set('ProxyUsername', textOf(settings, 'TunnelUserName'))
  }
  if (textOf(settings, 'LogicalHostName') !== '') values.set('LogHost', textOf(settings, 'LogicalHostName'))
  return { name: settings.name, values }
}
