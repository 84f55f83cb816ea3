import type { Type } from '../core/types/type.ts';
import { type KeyedProcess, keyedProcess } from './keyed-process.ts';
import type { KeyedProcessContext } from './process-context.ts';
import type { NoSideOutputs } from './side-outputs.ts';
import { state } from './state.ts';

/** A reduce is a keyed function with one value state. Its name is part of every checkpoint. */
export function reduceProcess<T, Key>(
  reduce: (reduced: T, record: T) => T,
  type: Type<T>,
): KeyedProcess<T, Key, T, NoSideOutputs> {
  return keyedProcess({
    state: { reduced: state.value(type) },
    element(record: T, ctx: KeyedProcessContext<Key, T>, { reduced }) {
      const before = reduced.get();
      const after = before === undefined ? record : reduce(before, record);
      reduced.set(after);
      ctx.emit(after);
    },
  });
}
