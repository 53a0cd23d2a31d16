const shared = {
  testEnvironment: 'node',
  testEnvironmentOptions: { customExportConditions: ['@keytool/source', 'node', 'node-addons'] },
  extensionsToTreatAsEsm: ['.ts'],
  moduleNameMapper: { '^(\\.{1,2}/.*)\\.js$': '$1' },
  transform: {
    '\\.ts$': [
      '@swc/jest',
      { jsc: { parser: { syntax: 'typescript' }, target: 'es2022' }, module: { type: 'es6' }, sourceMaps: 'inline' },
    ],
  },
}

const EXHAUSTIVE = '\\.exhaustive\\.test\\.ts$'

export default {
  // One more than there are cores: most files of tests wait for other programs as long as they compute. With four, some that
  // look at what another process does a moment later find it not done yet.
  maxWorkers: 3,
  // Not a second of it is meant to be used: it ends what hangs, on a machine that has other things to do, too.
  testTimeout: 120_000,
  testSequencer: '<rootDir>/scripts/longest-first.mjs',
  reporters: ['default', '<rootDir>/scripts/closing-line.mjs'],
  projects: [
    // What needs no other program, and is quick: part of `npm run check`.
    {
      ...shared,
      displayName: 'unit',
      testMatch: ['<rootDir>/packages/*/test/**/*.test.ts'],
      testPathIgnorePatterns: [EXHAUSTIVE],
    },
    // What takes its time: fuzzing, every bit turned, floods, large inputs, many servers or files one after the other.
    { ...shared, displayName: 'exhaustive', testRegex: [`/packages/[^/]+/test/.*${EXHAUSTIVE}`] },
    // The whole program, and the libraries against real peers.
    { ...shared, displayName: 'whole', testMatch: ['<rootDir>/test/**/*.test.ts'] },
  ],
}
