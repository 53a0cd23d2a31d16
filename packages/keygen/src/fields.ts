import type { Reader, Writer } from './wire.js'

/** One field of a layout: how it is read, and how it is written. Layouts are declared from these, not parsed by hand. */
export interface Field<T> {
  read(from: Reader): T
  write(to: Writer, value: T): void
}

type Shape = Readonly<Record<string, Field<never> | Field<unknown>>>
/** The value that a {@link struct} of this shape carries. */
export type ValueOf<S extends Shape> = { [K in keyof S]: S[K] extends Field<infer T> ? T : never }

export const byte: Field<number> = { read: r => r.byte(), write: (w, v) => void w.byte(v) }
export const bool: Field<boolean> = { read: r => r.boolean(), write: (w, v) => void w.boolean(v) }
export const u32: Field<number> = { read: r => r.uint32(), write: (w, v) => void w.uint32(v) }
export const u64: Field<bigint> = { read: r => r.uint64(), write: (w, v) => void w.uint64(v) }
/** A `string` of any bytes. */
export const blob: Field<Buffer> = { read: r => r.string(), write: (w, v) => void w.string(v) }
/** A `string` of UTF-8 text. */
export const text: Field<string> = { read: r => r.text(), write: (w, v) => void w.text(v) }
/** A non-negative `mpint` as unsigned big-endian bytes. */
export const mpint: Field<Buffer> = { read: r => r.mpint(), write: (w, v) => void w.mpint(v) }
/** Whatever is left, uninterpreted. Only good as the last field. */
export const rest: Field<Buffer> = { read: r => r.rest(), write: (w, v) => void w.bytes(v) }

/** Named fields one after the other, in the order of their declaration. */
export function struct<S extends Shape>(shape: S): Field<ValueOf<S>> {
  const fields = Object.entries(shape) as [string, Field<unknown>][]
  return {
    read: r => Object.fromEntries(fields.map(([name, field]) => [name, field.read(r)])) as ValueOf<S>,
    write: (w, value) => {
      for (const [name, field] of fields) field.write(w, value[name])
    },
  }
}

/** A uint32 count, then that many of the same field. The count is checked against `cap` before anything is read. */
export function list<T>(field: Field<T>, cap: number): Field<T[]> {
  return {
    read: r => Array.from({ length: r.count(cap) }, () => field.read(r)),
    write: (w, values) => {
      w.uint32(values.length)
      for (const value of values) field.write(w, value)
    },
  }
}
