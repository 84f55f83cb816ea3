import { defineJob, type KeyedProcessContext, keyedProcess, state, t } from '@flinkjob/runtime';
import { countingSink } from './counting-sink.ts';
import { GeneratedValues } from './generated-values.ts';
import { indexSource } from './index-source.ts';
import { KeySequence } from './key-sequence.ts';
import { isUpdate, largeStateSizes } from './large-state-records.ts';
import { withNativeMemoryFile } from './native-memory-file.ts';

const access = t.struct({ key: t.int, isUpdate: t.boolean });
const version = t.struct({ key: t.int, version: t.int });

/**
 * First writes a value for every key, then reads keys at random and writes every second of them again, as fast as it can. Each value that is read must be
 * the one that was written last: its bytes follow from its key and from how often it was written.
 */
export default defineJob<{ keys: string; progress: string; nativeMemory: string }>(({ env, args }) => {
  const keyCount = Number(args.keys);
  const keys = new KeySequence({ seed: 1, keyCount });
  const sink = countingSink<{ key: number; version: number }>({
    progressDirectory: args.progress,
    describe: ({ key, version }) => `${key} ${version}`,
  });
  env
    .source(
      indexSource({
        type: access,
        recordAt: (index) => ({ key: keys.keyAt(index), isUpdate: isUpdate(index, keyCount) }),
      }),
      { uid: 'accesses' },
    )
    .keyBy(({ key }) => key, t.int)
    .process(checkAndUpdate(), { uid: 'values', type: version })
    .sink(withNativeMemoryFile(sink, args.nativeMemory), { uid: 'sink' });
});

function checkAndUpdate() {
  const values = new GeneratedValues(largeStateSizes);
  return keyedProcess({
    state: { stored: state.value(t.struct({ version: t.int, value: t.bytes })) },
    element(
      { key, isUpdate }: { readonly key: number; readonly isUpdate: boolean },
      ctx: KeyedProcessContext<number, { key: number; version: number }>,
      { stored },
    ) {
      const before = stored.get();
      if (before !== undefined && Buffer.compare(before.value, values.valueOf(key, before.version)) !== 0) {
        throw new Error(`wrong state: the value of key ${key} is not what was written as version ${before.version}`);
      }
      let version = before?.version ?? 0;
      if (isUpdate) {
        version++;
        stored.set({ version, value: values.valueOf(key, version) });
      }
      ctx.emit({ key, version });
    },
  });
}
