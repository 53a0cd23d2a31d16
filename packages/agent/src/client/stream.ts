import { connect, type Socket } from 'node:net'
import type { SessionBind } from '../agent.js'
import { encodeMessage } from '../protocol/codec.js'
import { extensions } from '../protocol/extensions.js'
import { FrameSplitter } from '../protocol/frame.js'
import { explainConnect } from './connect-trouble.js'
import { unreachable } from './exchange.js'

/** Until the agent answers to the binding, in milliseconds: it asks nobody about that. */
const PATIENCE = 10_000

/**
 * A connection to an agent for somebody else to speak on: a program on a far host, mostly. With `bind` the agent is told
 * first which host that is (`session-bind@openssh.com`), as ssh tells it; an agent that does not know the extension
 * serves it all the same.
 * @param path a Unix socket or a Windows pipe
 * @throws KeytoolError `unreachable` when no agent answers there; `damaged` for an answer that is no message
 */
export function openAgentStream(path: string, bind?: SessionBind): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(path)
    const timer = setTimeout(() => fail('no answer in time'), PATIENCE)
    const fail = (why: string, cause?: unknown) => {
      clearTimeout(timer)
      socket.destroy()
      reject(unreachable(path, why, cause))
    }
    const done = () => {
      clearTimeout(timer)
      socket.removeAllListeners()
      // Whoever takes it over listens in the same turn or later; until then nothing may stop the process.
      socket.on('error', () => {})
      socket.pause()
      resolve(socket)
    }
    socket.once('error', error => fail(explainConnect(error), error))
    socket.once('close', () => fail('it closed the connection'))
    socket.once('connect', () => {
      if (!bind) return done()
      const splitter = new FrameSplitter()
      socket.on('data', chunk => {
        try {
          splitter.push(chunk)
          if (splitter.next() === undefined) return
          // Nothing was asked but this: whatever the answer, the next word is the far program's.
          done()
        } catch (error) {
          fail("its answer can't be read", error)
        }
      })
      socket.write(encodeMessage(extensions.sessionBind.request, bind))
    })
  })
}
