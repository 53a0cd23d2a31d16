import type { networkInterfaces } from 'node:os'
import { digestNetwork, watchAddresses } from '../src/platform/network-change.js'
import { watchWake } from '../src/platform/network-wake.js'
import { watchNetwork } from '../src/platform/network-watch.js'

type Interfaces = ReturnType<typeof networkInterfaces>

const loopback = {
  address: '127.0.0.1',
  netmask: '255.0.0.0',
  family: 'IPv4',
  mac: '',
  internal: true,
  cidr: null,
} as const

function address(text: string) {
  return { ...loopback, address: text, netmask: '255.255.255.0', internal: false }
}

const heading = 'Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n'
const route = (name: string, destination: string, gateway: string, metric = 0, use = 0, mask = destination) =>
  `${name}\t${destination}\t${gateway}\t0003\t0\t${use}\t${metric}\t${mask}\t0\t0\t0\n`

function digest(interfaces: Interfaces, routes = ''): string {
  return digestNetwork({ interfaces: () => interfaces, routes: () => routes })
}

describe('what counts as another network', () => {
  const home = digest(
    { lo: [loopback], wlan0: [address('192.0.2.7')] },
    heading + route('wlan0', '00000000', '010200C0'),
  )

  test.each<[string, Interfaces, string]>([
    ['another address', { wlan0: [address('198.51.100.7')] }, heading + route('wlan0', '00000000', '010200C0')],
    ['no address', {}, heading + route('wlan0', '00000000', '010200C0')],
    [
      'one more',
      { wlan0: [address('192.0.2.7')], tun0: [address('10.0.0.2')] },
      heading + route('wlan0', '00000000', '010200C0'),
    ],
    ['another interface', { eth0: [address('192.0.2.7')] }, heading + route('wlan0', '00000000', '010200C0')],
    ['another gateway', { wlan0: [address('192.0.2.7')] }, heading + route('wlan0', '00000000', '020200C0')],
    ['no way out', { wlan0: [address('192.0.2.7')] }, heading],
    ['another metric', { wlan0: [address('192.0.2.7')] }, heading + route('wlan0', '00000000', '010200C0', 600)],
  ])('%s', (_what, interfaces, routes) => {
    expect(digest(interfaces, routes)).not.toBe(home)
  })

  test.each<[string, Interfaces, string]>([
    ['loopback', { lo: [loopback, { ...loopback, address: '127.0.0.2' }], wlan0: [address('192.0.2.7')] }, ''],
    [
      'a container with link-local addresses',
      { wlan0: [address('192.0.2.7')], veth1: [address('fe80::1'), address('169.254.3.4')] },
      '',
    ],
    ['a route to somewhere', { wlan0: [address('192.0.2.7')] }, route('docker0', '000011AC', '00000000')],
    [
      'half a default route, as VPNs have it in pairs',
      { wlan0: [address('192.0.2.7')] },
      route('tun0', '00000000', '0100000A', 0, 0, '00000080'),
    ],
    ['a table that can not be read', { wlan0: [address('192.0.2.7')] }, 'nonsense\n\t\t\n'],
  ])('not %s', (_what, interfaces, routes) => {
    expect(digest(interfaces, heading + route('wlan0', '00000000', '010200C0', 0, 5) + routes)).toBe(home)
  })
})

test('a change is told once, and nothing after the end', async () => {
  let addresses = '192.0.2.7'
  let looks = 0
  let changes = 0
  const sources = {
    interfaces: () => {
      looks++
      return { wlan0: [address(addresses)] }
    },
    routes: () => '',
  }
  const stop = watchAddresses(() => changes++, sources, 1)
  const looked = async (times: number) => {
    const aim = looks + times
    for (let i = 0; i < 1000 && looks < aim; i++) await new Promise(resolve => setTimeout(resolve, 1))
    expect(looks).toBeGreaterThanOrEqual(aim)
  }
  await looked(3)
  expect(changes).toBe(0)
  addresses = '198.51.100.7'
  await looked(3)
  expect(changes).toBe(1)
  stop()
  const end = looks
  await new Promise(resolve => setTimeout(resolve, 20))
  expect(looks).toBe(end)
})

test('a machine that slept is told, one that is busy or whose clock is put back is not', () => {
  let now = 1_000_000
  let tick = () => {}
  let ended = false
  let wakes = 0
  const stop = watchWake(() => wakes++, {
    now: () => now,
    every(milliseconds, work) {
      expect(milliseconds).toBe(2000)
      tick = work
      return () => {
        ended = true
      }
    },
  })
  const after = (milliseconds: number) => {
    now += milliseconds
    tick()
    return wakes
  }
  expect(after(2000)).toBe(0)
  expect(after(6900)).toBe(0)
  expect(after(7100)).toBe(1)
  expect(after(2000)).toBe(1)
  expect(after(-3_600_000)).toBe(1)
  expect(after(2000)).toBe(1)
  expect(after(8 * 3_600_000)).toBe(2)
  stop()
  expect(ended).toBe(true)
})

test('this machine can be watched, and is let go', () => {
  const before = process.getActiveResourcesInfo().filter(name => name === 'Timeout').length
  const stop = watchNetwork(() => {})
  stop()
  expect(process.getActiveResourcesInfo().filter(name => name === 'Timeout')).toHaveLength(before)
})
