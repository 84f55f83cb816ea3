import { defineJob, type KeyedProcessContext, keyedProcess, type Sink, state, t } from '@flinkjob/runtime';
import { GeneratedValues } from './generated-values.ts';
import { KeySequence } from './key-sequence.ts';
import { largeStateSizes } from './large-state-records.ts';
import { ProgressFile } from './progress-file.ts';
import { steadyAfterFirst } from './steady-source.ts';

const version = t.struct({ key: t.int, version: t.int });
/** After every key has its value: enough to be work, little enough that processes which restart have the processor. */
const updatesPerSecondDefault = '5000';

/**
 * Fills its state as fast as it can, then updates it at a steady rate. Every value that is read must be the one that was written last: a restart that
 * loses or repeats an update fails the job. Each subtask of the sink says to a file of its own when it got its first record.
 */
export default defineJob<{ keys: string; updatesPerSecond?: string; progress: string }>(({ env, args }) => {
  const keyCount = Number(args.keys);
  const sequence = new KeySequence({ seed: 1, keyCount });
  const recordsPerSecond = Number(args.updatesPerSecond ?? updatesPerSecondDefault);
  env
    .source(
      steadyAfterFirst({ type: t.int, recordAt: (index) => sequence.keyAt(index), firstCount: keyCount, recordsPerSecond }),
      { uid: 'keys' },
    )
    .keyBy((key) => key, t.int)
    .process(update(), { uid: 'values', type: version })
    .sink(firstRecords(args.progress), { uid: 'sink' });
});

function update() {
  const values = new GeneratedValues(largeStateSizes);
  return keyedProcess({
    state: { stored: state.value(t.struct({ version: t.int, value: t.bytes })) },
    element(key: number, ctx: KeyedProcessContext<number, { key: number; version: number }>, { stored }) {
      const before = stored.get();
      if (before !== undefined && Buffer.compare(before.value, values.valueOf(key, before.version)) !== 0) {
        throw new Error(`wrong state: the value of key ${key} is not what was written as version ${before.version}`);
      }
      const version = (before?.version ?? 0) + 1;
      stored.set({ version, value: values.valueOf(key, version) });
      ctx.emit({ key, version });
    },
  });
}

function firstRecords(directory: string): Sink<{ key: number; version: number }> {
  return {
    name: 'first-records',
    guarantee: 'AtLeastOnce',
    createWriter: ({ subtaskIndex }) => {
      let records = 0;
      const progress = new ProgressFile({ directory, subtaskIndex, records: () => records });
      return {
        write(batch) {
          if (records === 0) {
            progress.sample(0, String(Date.now()));
          }
          records += batch.length;
        },
        prepareCommit: async () => [],
        commit: async () => {},
        close: async () => progress.close(),
      };
    },
  };
}
