import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { defineJob, fileSink, type KeyedProcessContext, keyedProcess, type Source, state, t } from '@flinkjob/runtime';
import { GeneratedValues } from '../../bench/jobs/generated-values.ts';
import { KeySequence } from '../../bench/jobs/key-sequence.ts';
import { largeStateSizes } from '../../bench/jobs/large-state-records.ts';
import { endFileName, filledFileName, hashAfter, keySeed, stopFileName } from '../exact-output.ts';

const record = t.struct({ index: t.int, key: t.int });
/** Between looks at the clock, and at whether it is time to stop, when nothing is due. */
const pauseMs = 5;

interface Arguments {
  readonly keys: string;
  readonly updatesPerSecond: string;
  /** Where the file appears that ends the job. */
  readonly control: string;
  readonly out: string;
}

/**
 * Fills its state as fast as it can, then updates it at a steady rate until it is told to stop. Each line of its output is `index key version hash`: the
 * hash rests on every record of the key before it, so that one that was lost, doubled or swapped shows in all later lines. Every value that is
 * read must be the one that was written last.
 */
export default defineJob<Arguments>(({ env, args }) => {
  env
    .source(keys(args), { uid: 'keys' })
    .keyBy(({ key }) => key, t.int)
    .process(update(), { uid: 'values', type: t.string })
    .sink(fileSink({ path: args.out }), { uid: 'files' });
});

type KeyRecord = { readonly index: number; readonly key: number };

function keys({ keys, updatesPerSecond, control }: Arguments): Source<KeyRecord, { readonly next: number }> {
  const keyCount = Number(keys);
  const sequence = new KeySequence({ seed: keySeed, keyCount });
  return {
    name: 'keys',
    recordType: record,
    positionType: t.struct({ next: t.int }),
    bounded: true,
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
          // So that no batch goes past it.
          return keyCount - next;
        }
        paced ??= { sinceMs: nowMs(), first: next };
        return paced.first + Math.floor(((nowMs() - paced.sinceMs) * Number(updatesPerSecond)) / 1000) - next;
      };
      const mayEnd = (): boolean => next >= keyCount && existsSync(join(control, stopFileName));
      return {
        poll(countMax) {
          if (mayEnd()) {
            // After a restart it may be another number, before records that were never committed: the last one counts.
            writeFileSync(join(control, endFileName), String(next));
            return 'End';
          }
          const count = Math.min(countMax, due());
          if (count <= 0) {
            clearTimeout(pause);
            pause = setTimeout(wake, pauseMs);
            return 'Pending';
          }
          const records = Array.from({ length: count }, (_, offset) => ({
            index: next + offset,
            key: sequence.keyAt(next + offset),
          }));
          next += count;
          if (next === keyCount) {
            writeFileSync(join(control, filledFileName), '');
          }
          return { splitId: split.id, records };
        },
        positions: () => [{ id: split.id, position: { next } }],
        isReadable: () => due() > 0 || mayEnd(),
        close: async () => clearTimeout(pause),
      };
    },
  };
}

function update() {
  const values = new GeneratedValues(largeStateSizes);
  return keyedProcess({
    state: { stored: state.value(t.struct({ version: t.int, hash: t.int, value: t.bytes })) },
    element({ index, key }: KeyRecord, ctx: KeyedProcessContext<number, string>, { stored }) {
      const before = stored.get();
      if (before !== undefined && Buffer.compare(before.value, values.valueOf(key, before.version)) !== 0) {
        throw new Error(`wrong state: the value of key ${key} is not what was written as version ${before.version}`);
      }
      const version = (before?.version ?? 0) + 1;
      const hash = hashAfter(before?.hash ?? 0, index);
      stored.set({ version, hash, value: values.valueOf(key, version) });
      ctx.emit(`${index} ${key} ${version} ${hash}`);
    },
  });
}
