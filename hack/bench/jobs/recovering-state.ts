import { defineJob, type KeyedProcessContext, keyedProcess, type Sink, type Source, state, t } from '@flinkjob/runtime';
import { GeneratedValues } from './generated-values.ts';
import { KeySequence } from './key-sequence.ts';
import { largeStateSizes } from './large-state-records.ts';
import { ProgressFile } from './progress-file.ts';

const version = t.struct({ key: t.int, version: t.int });
/** After every key has its value: enough to be work, little enough that processes which restart have the processor. */
const updatesPerSecondDefault = '5000';
/** Between looks at the clock when nothing is due. */
const pauseMs = 2;

/**
 * Fills its state as fast as it can, then updates it at a steady rate. Every value that is read must be the one that was written last: a restart that
 * loses or repeats an update fails the job. Each subtask of the sink says to a file of its own when it got its first record.
 */
export default defineJob<{ keys: string; updatesPerSecond?: string; progress: string }>(({ env, args }) => {
  const keyCount = Number(args.keys);
  env
    .source(keys(keyCount, Number(args.updatesPerSecond ?? updatesPerSecondDefault)), { uid: 'keys' })
    .keyBy((key) => key, t.int)
    .process(update(), { uid: 'values', type: version })
    .sink(firstRecords(args.progress), { uid: 'sink' });
});

function keys(keyCount: number, updatesPerSecond: number): Source<number, { readonly next: number }> {
  const sequence = new KeySequence({ seed: 1, keyCount });
  return {
    name: 'keys',
    recordType: t.int,
    positionType: t.struct({ next: t.int }),
    bounded: false,
    replayable: true,
    parallelismMax: 1,
    discoverSplits: async () => [{ id: 'all', position: { next: 0 } }],
    createReader: ({ nowMs, wake }, [split]) => {
      if (split === undefined) {
        return { poll: () => 'End', positions: () => [], close: async () => {} };
      }
      let { next } = split.position;
      let paced: { readonly sinceMs: number; readonly first: number } | undefined;
      let pause: NodeJS.Timeout | undefined;
      const due = (): number => {
        if (next < keyCount) {
          return keyCount - next;
        }
        paced ??= { sinceMs: nowMs(), first: next };
        return paced.first + Math.floor(((nowMs() - paced.sinceMs) * updatesPerSecond) / 1000) - next;
      };
      return {
        poll(countMax) {
          const count = Math.min(countMax, due());
          if (count <= 0) {
            clearTimeout(pause);
            pause = setTimeout(wake, pauseMs);
            return 'Pending';
          }
          const records = Array.from({ length: count }, (_, offset) => sequence.keyAt(next + offset));
          next += count;
          return { splitId: split.id, records };
        },
        positions: () => [{ id: split.id, position: { next } }],
        isReadable: () => due() > 0,
        close: async () => clearTimeout(pause),
      };
    },
  };
}

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
