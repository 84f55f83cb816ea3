import { defineJob, type KeyedProcessContext, keyedProcess, state, t, type ValueState } from '@flinkjob/runtime';
import { countingSink } from './counting-sink.ts';
import { indexSource } from './index-source.ts';
import { KeySequence } from './key-sequence.ts';
import { accessOf, manyStatesCount, type StateAccess, statePayload } from './many-states-records.ts';
import { withNativeMemoryFile } from './native-memory-file.ts';

const access = t.struct({ key: t.int, first: t.int, count: t.int });
const outcome = t.struct({ key: t.int, sum: t.int });

/**
 * An operator with 30 states, as a fraud rule with many features has: first all of them are written for every key, then three of a random key are read
 * and counted up.
 */
export default defineJob<{ keys: string; progress: string; nativeMemory: string }>(({ env, args }) => {
  const keyCount = Number(args.keys);
  const keys = new KeySequence({ seed: 1, keyCount });
  const sink = countingSink<{ key: number; sum: number }>({
    progressDirectory: args.progress,
    describe: ({ key, sum }) => `${key} ${sum}`,
  });
  env
    .source(indexSource({ type: access, recordAt: (index) => accessOf(index, keys, keyCount) }), { uid: 'accesses' })
    .keyBy(({ key }) => key, t.int)
    .process(countUp(), { uid: 'features', type: outcome })
    .sink(withNativeMemoryFile(sink, args.nativeMemory), { uid: 'sink' });
});

const feature = t.struct({ count: t.int, payload: t.bytes });

function countUp() {
  const names = Array.from({ length: manyStatesCount }, (_, index) => `feature${index}`);
  return keyedProcess({
    state: Object.fromEntries(names.map((name) => [name, state.value(feature)])),
    element(
      { key, first, count }: StateAccess,
      ctx: KeyedProcessContext<number, { key: number; sum: number }>,
      states: Readonly<Record<string, ValueState<{ count: number; payload: Uint8Array }>>>,
    ) {
      let sum = 0;
      for (let offset = 0; offset < count; offset++) {
        const index = (first + offset) % manyStatesCount;
        const handle = states[names[index] ?? ''];
        if (handle === undefined) {
          throw new Error(`there is no state ${index}`);
        }
        const before = handle.get();
        const after = (before?.count ?? 0) + 1;
        const payload = statePayload(key, index);
        if (before !== undefined && Buffer.compare(before.payload, payload) !== 0) {
          throw new Error(`wrong state: state ${index} of key ${key} is not what was written`);
        }
        handle.set({ count: after, payload });
        sum += after;
      }
      ctx.emit({ key, sum });
    },
  });
}
