import type { Sink } from '@flinkjob/runtime';
import { ProgressFile } from './progress-file.ts';

const sampleInterval = 65_536;

/** Discards its records: counts them, and samples one of 65,536 for the check of results. The counterpart of flink/…/CountingSink.java. */
export function countingSink<T>(options: {
  readonly progressDirectory: string;
  readonly describe: (record: T) => string;
}): Sink<T> {
  return {
    name: 'counting-sink',
    guarantee: 'AtLeastOnce',
    createWriter: ({ subtaskIndex }) => {
      let records = 0;
      let nextSample = 0;
      const progress = new ProgressFile({ directory: options.progressDirectory, subtaskIndex, records: () => records });
      return {
        write(batch) {
          while (nextSample < records + batch.length) {
            progress.sample(nextSample, options.describe(batch[nextSample - records] as T));
            nextSample += sampleInterval;
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
