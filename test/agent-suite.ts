import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { leaveHome, type OurAgent, startOurAgent } from './agent-fixture.js'
import { type Environment, type Home, temporaryHome } from './world/home.js'
import type { Suite } from './world/newest.js'
import { type RunOptions, type RunResult, run } from './world/run.js'
import { start } from './world/start.js'

// One Debian's programs beside our agent: a home that both see, by a path that each has for it.

type Program = Parameters<Suite['command']>[0]

export interface SuiteWorld {
  readonly suite: Suite
  readonly home: Home
  readonly agent: OurAgent
  /** What the suite's programs call a path. */
  inside(path: string): string
  /** Runs a program of the suite's, as a user of our agent. Paths among the arguments are as it sees them. */
  run(program: Program, args: readonly string[], options?: SuiteRunOptions): Promise<RunResult>
  /** The same, and anything other than exit status 0 is an error. */
  runOrThrow(program: Program, args: readonly string[], options?: SuiteRunOptions): Promise<RunResult>
  /** Starts the suite's own ssh-agent in the same home. Returns its socket. The world ends it. */
  startTheirAgent(): Promise<string>
  /** Has whatever either agent asks the user be answered so from now on. */
  answerQuestions(answer: 'yes' | 'no'): Promise<void>
  /** How often either agent has asked. */
  countQuestions(): Promise<number>
  dispose(): Promise<void>
}

export interface SuiteRunOptions extends Pick<RunOptions, 'input' | 'timeoutMs'> {
  /** The agent's socket. Default: ours. */
  readonly socket?: string
  /** What an askpass program says to whatever is asked. Without it nobody can be asked. */
  readonly answer?: string
}

/**
 * Says what stands in the one variable, or in the file that the other names; no is a status. In awk, as there is no shell
 * in the folders of the newer suites.
 */
const ASKPASS = `#!/usr/bin/mawk -f
BEGIN {
  said = ENVIRON["ANSWER"]
  if (said == "") {
    getline said < ENVIRON["ANSWER_FILE"]
    print ENVIRON["SSH_ASKPASS_PROMPT"] >> (ENVIRON["ANSWER_FILE"] ".asked")
  }
  if (said == "no") exit 1
  print said
}
`

/** @param agentArgs further arguments of our agent */
export async function openSuiteWorld(suite: Suite, agentArgs: readonly string[] = []): Promise<SuiteWorld> {
  const home = await temporaryHome(suite.temporaryFolder())
  const inside = (path: string) => suite.inside(path)
  const [askpass, answerFile] = [join(home.path, 'askpass'), join(home.path, 'answer')]
  // Before anything is started: a file that a process about to be another still has open for writing can't be run.
  await writeFile(askpass, ASKPASS, { mode: 0o700 })
  const answerQuestions = (answer: 'yes' | 'no') => writeFile(answerFile, `${answer}\n`)
  await answerQuestions('no')
  const asks = (path: (path: string) => string, answer?: string): Environment => ({
    SSH_ASKPASS: path(askpass),
    SSH_ASKPASS_REQUIRE: 'force',
    ...(answer === undefined ? { ANSWER_FILE: path(answerFile) } : { ANSWER: answer }),
  })
  const agentEnv = { ...home.env, ...asks(path => path) }
  const agent = await startOurAgent({ ...home, env: agentEnv }, ['-s', ...agentArgs])
  const insideEnv = { ...home.env, HOME: inside(home.path), XDG_RUNTIME_DIR: inside(home.runtime) }
  const stops: (() => Promise<unknown>)[] = []

  async function runHere(program: Program, args: readonly string[], options: SuiteRunOptions = {}) {
    const { answer, socket = agent.socket, ...rest } = options
    const [path = '', ...words] = suite.command(program)
    const asked = answer === undefined ? {} : asks(inside, answer)
    return run(path, [...words, ...args], { env: { ...insideEnv, ...asked, SSH_AUTH_SOCK: inside(socket) }, ...rest })
  }

  return {
    suite,
    home,
    agent,
    inside,
    answerQuestions,
    async countQuestions() {
      const asked = await readFile(`${answerFile}.asked`, 'utf8').catch(() => '')
      return asked.split('\n').length - 1
    },
    run: runHere,
    async runOrThrow(program, args, options) {
      const result = await runHere(program, args, options)
      if (result.status === 0) return result
      throw new Error(`${program} ${args.join(' ')} ended with ${result.status}\n${result.stdout}\n${result.stderr}`)
    },
    async startTheirAgent() {
      const socket = join(home.runtime, 'theirs.sock')
      const [path = '', ...words] = suite.command('ssh-agent')
      const env = { ...insideEnv, ...asks(inside) }
      const theirs = await start(path, [...words, '-D', '-a', inside(socket)], { env })
      stops.push(() => theirs.stop())
      await theirs.waitFor(/SSH_AUTH_SOCK=/)
      return socket
    },
    async dispose() {
      for (const stop of stops) await stop()
      await agent.stop().finally(() => leaveHome(home))
    },
  }
}
