import { defineJob, type KeyedProcessContext, keyedProcess, type Sink, state, t } from '@flinkjob/runtime';
import { GeneratedValues } from './generated-values.ts';
import { KeySequence } from './key-sequence.ts';
import { ProgressFile } from './progress-file.ts';
import { steadyAfterFirst } from './steady-source.ts';

const valueSizeBytes = 100;
const sampleInterval = 1024;

const arrived = t.struct({ index: t.int, key: t.int });
const updated = t.struct({ index: t.int, key: t.int, version: t.int });
interface Updated {
  readonly index: number;
  readonly key: number;
  readonly version: number;
}

/**
 * Gives every key a value as fast as it can, then replaces values at a steady rate; the counterpart of flink/…/VersionedValuesJob.java. A value that is
 * read must be the one that was written last.
 */
export default defineJob<{ seed: string; keys: string; updatesPerSecond: string; progress: string }>(({ env, args }) => {
  const keyCount = Number(args.keys);
  const keys = new KeySequence({ seed: Number(args.seed), keyCount });
  env
    .source(
      steadyAfterFirst({
        ...{ type: arrived, recordAt: (index) => ({ index, key: keys.keyAt(index) }) },
        ...{ firstCount: keyCount, recordsPerSecond: Number(args.updatesPerSecond) },
      }),
      { uid: 'keys' },
    )
    .keyBy(({ key }) => key, t.int)
    .process(update(keyCount), { uid: 'values', type: updated })
    .sink(versionsSink(args.progress), { uid: 'sink' });
});

function update(keyCount: number) {
  const values = new GeneratedValues({ sizeBytesMin: valueSizeBytes, sizeBytesMax: valueSizeBytes });
  return keyedProcess({
    state: { stored: state.value(t.struct({ version: t.int, value: t.bytes })) },
    element(
      { index, key }: { readonly index: number; readonly key: number },
      ctx: KeyedProcessContext<number, Updated>,
      { stored },
    ) {
      const before = stored.get();
      const isExpected = index >= keyCount;
      const isRight = before === undefined || Buffer.compare(before.value, values.valueOf(key, before.version)) === 0;
      if (isExpected !== (before !== undefined) || !isRight) {
        throw new Error(`wrong state of key ${key} at record ${index}`);
      }
      const version = (before?.version ?? 0) + 1;
      stored.set({ version, value: values.valueOf(key, version) });
      ctx.emit({ index, key, version });
    },
  });
}

/** Samples one of 1024 records, by their number in the source, which does not depend on parallelism and restarts. */
function versionsSink(progressDirectory: string): Sink<Updated> {
  return {
    name: 'versions',
    guarantee: 'AtLeastOnce',
    createWriter: ({ subtaskIndex }) => {
      let records = 0;
      const progress = new ProgressFile({ directory: progressDirectory, subtaskIndex, records: () => records });
      return {
        write(batch) {
          if (records === 0) {
            progress.firstRecord();
          }
          for (const { index, key, version } of batch) {
            if (index % sampleInterval === 0) {
              progress.sample(index, `${key} ${version}`);
            }
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
