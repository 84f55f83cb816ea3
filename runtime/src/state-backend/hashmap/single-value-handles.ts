import { assert } from '../../core/assert.ts';
import type { StateImplementation } from '../../core/job-graph/executable-job.ts';
import type { AggregatingStateHandle, ValueStateHandle } from '../state-backend.ts';
import type { SingleSlot } from './single-slot.ts';

export function createValueHandle(slot: SingleSlot): ValueStateHandle<unknown> {
  return {
    get: () => slot.get(),
    set: (value) => slot.set(value),
    clear: () => slot.clear(),
  };
}

/** Of reducing states too. The accumulator is what is stored. It is a copy, so the author's functions may change it and give it back. */
export function createAggregatingHandle(
  { aggregate, declaration }: StateImplementation,
  slot: SingleSlot,
): AggregatingStateHandle<unknown, unknown> {
  assert(aggregate !== undefined, `the ${declaration.stateType} state "${declaration.name}" has no functions`);
  const { createAccumulator, add, getResult } = aggregate;
  return {
    get() {
      const accumulator = slot.get();
      return accumulator === undefined ? undefined : getResult(accumulator);
    },
    add(value) {
      const accumulator = slot.get();
      if (accumulator !== undefined) {
        slot.set(add(accumulator, value));
      } else {
        slot.set(createAccumulator === undefined ? value : add(createAccumulator(), value));
      }
    },
    clear: () => slot.clear(),
  };
}
