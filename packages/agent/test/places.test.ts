import { places } from '../src/platform/places.js'

const home = '/home/hana'

describe('places', () => {
  test('on Linux, with a runtime folder', () => {
    expect(places({ XDG_RUNTIME_DIR: '/run/user/1000' }, 'linux', home)).toEqual({
      home,
      config: '/home/hana/.config/keytool',
      state: '/home/hana/.local/state/keytool',
      runtime: '/run/user/1000/keytool',
      ssh: '/home/hana/.ssh',
      agentSocket: '/run/user/1000/keytool/agent.sock',
    })
  })

  test('without one, the socket has its fixed place under the home', () => {
    expect(places({ XDG_STATE_HOME: '/elsewhere' }, 'linux', home)).toMatchObject({
      state: '/elsewhere/keytool',
      agentSocket: '/home/hana/.local/state/keytool/agent.sock',
    })
  })

  test('a relative path in a variable is ignored', () => {
    const env = { XDG_RUNTIME_DIR: 'run', XDG_CONFIG_HOME: '.', XDG_STATE_HOME: '' }
    expect(places(env, 'linux', home)).toEqual(places({}, 'linux', home))
  })

  test('on macOS', () => {
    expect(places({}, 'darwin', '/Users/hana').config).toBe('/Users/hana/Library/Application Support/keytool')
    expect(places({ XDG_CONFIG_HOME: '/c' }, 'darwin', '/Users/hana').config).toBe('/c/keytool')
  })

  test('on Windows', () => {
    const env = { APPDATA: 'C:\\Users\\hana\\AppData\\Roaming', LOCALAPPDATA: 'C:\\Users\\hana\\AppData\\Local' }
    expect(places(env, 'win32', 'C:\\Users\\hana')).toEqual({
      home: 'C:\\Users\\hana',
      config: 'C:\\Users\\hana\\AppData\\Roaming\\keytool',
      state: 'C:\\Users\\hana\\AppData\\Local\\keytool',
      runtime: 'C:\\Users\\hana\\AppData\\Local\\keytool',
      ssh: 'C:\\Users\\hana\\.ssh',
      agentSocket: '\\\\.\\pipe\\openssh-ssh-agent',
    })
  })
})
