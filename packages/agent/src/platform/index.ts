export {
  listFolder,
  makeFolder,
  readIfThere,
  readWhole,
  type WriteOptions,
  writeTogether,
  writeWhole,
} from './files.js'
export { hardenProcess } from './harden.js'
export { type Environment, findHome, type Places, places } from './places.js'
export { isRunning } from './running.js'
