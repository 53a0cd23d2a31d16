import Sequencer from '@jest/test-sequencer'

/**
 * About how many seconds the files of tests take that take the most, on two cores. What takes long has to begin early, or
 * all else waits for it at the end. Whatever is not here is taken by its size, as jest does in a clean clone.
 */
const seconds = {
  'test/formats-matrix': 75,
  'test/cli-terminal': 70,
  'test/cli-rewrite': 60,
  'test/agent-ssh-add': 45,
  'test/compromised': 45,
  'test/rotate-killed': 45,
  'test/formats-flips': 45,
  'test/agent-flood': 40,
  'test/formats-peers': 40,
  'test/agent-certificates': 35,
  'test/agent-forward': 35,
  'test/agent-sealed': 35,
  'test/setup': 40,
  'test/setup-killed': 35,
  'test/tunnel-background': 35,
  'test/agent-policy': 30,
  'test/rotate': 30,
  'test/agent-soak': 30,
  'test/keychain-agent': 30,
  'test/setup-terminal': 30,
  'test/keychain-cli-forget': 30,
  'test/keychain-cli-keep': 30,
  'test/keygen-package': 30,
  'test/agent-crash': 25,
  'test/agent-policy-file': 25,
  'test/agent-process': 25,
  'test/agent-upstream': 25,
  'test/formats-openssh-peers': 25,
  'test/formats-pkcs8-flips': 25,
  'test/install-command': 25,
  'test/tunnel-command': 25,
  'test/tunnel-supervisor': 25,
  'packages/agent/test/fuzz-server.exhaustive': 20,
  'packages/tunnel/test/known-hosts-hostile.exhaustive': 20,
  'test/agent-clients': 20,
  'test/doctor-login': 20,
  'test/inventory': 20,
  'test/setup-refusals': 20,
  'test/remove-pubkey': 20,
  'test/agent-constraints': 20,
  'test/agent-login': 20,
  'test/cli-gen': 20,
  'test/formats-other-peers': 20,
  'test/formats-pem-peers': 20,
  'test/keychain-cli-add': 20,
  'test/tunnel-config': 20,
  'test/tunnel-engine': 20,
}

/** A file of so many bytes takes about a second: the files of tests that are not listed are much alike. */
const BYTES_PER_SECOND = 2000

/** Puts the files of tests that take longest first. */
export default class LongestFirst extends Sequencer {
  sort(tests) {
    const weights = new Map(tests.map(test => [test, weigh(test)]))
    return [...tests].sort((one, other) => weights.get(other) - weights.get(one))
  }
}

function weigh({ path, context }) {
  const name = path.slice(context.config.rootDir.length + 1).replace(/\.test\.ts$/, '')
  return seconds[name] ?? context.hasteFS.getSize(path) / BYTES_PER_SECOND
}
