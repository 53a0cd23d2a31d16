export {
  listFolder,
  makeFolder,
  readIfThere,
  readPlain,
  readWhole,
  type WriteOptions,
  writeTogether,
  writeWhole,
} from './files.js'
export { hardenProcess, withoutNodeVariables } from './harden.js'
export { type Environment, findHome, type Places, places } from './places.js'
export { isRunning } from './running.js'
