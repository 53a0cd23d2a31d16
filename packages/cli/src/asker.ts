/** Somebody elsewhere who can be asked: the process that started this one, on its terminal. */
export interface Asker {
  /**
   * @param isShown whether the answer may be seen while it is typed
   * @param leaving withdraws the question
   * @throws KeytoolError `cancelled` when they leave, or the question was withdrawn
   */
  secret(prompt: string, isShown: boolean, leaving: AbortSignal | undefined): Promise<Buffer>
  text(message: string, fallback: string | undefined, leaving: AbortSignal | undefined): Promise<string>
}
