import { fileURLToPath } from 'node:url';
import { checkKeyedCounts } from './check-keyed-counts.ts';
import type { StateBackend } from './engine.ts';
import type { ThroughputBenchmark, ThroughputCase } from './throughput-benchmark.ts';

const seed = 1;
const module = fileURLToPath(new URL('../jobs/keyed-count.ts', import.meta.url));

/** Words over so many keys, uniformly; counted in a `ValueState` per word. */
export const keyedCount: ThroughputBenchmark = {
  id: 'keyed-count',
  summary: 'words counted in keyed state: 1 k and 100 k keys in both state backends, 10 M in RocksDB',
  cases: [
    keyedCountCase('RocksDB', '1k', 1000),
    keyedCountCase('RocksDB', '100k', 100_000),
    keyedCountCase('RocksDB', '10m', 10_000_000),
    keyedCountCase('HashMap', '1k', 1000),
    keyedCountCase('HashMap', '100k', 100_000),
  ],
};

function keyedCountCase(stateBackend: StateBackend, keysName: string, keyCount: number): ThroughputCase {
  return {
    id: `keyed-count-${stateBackend.toLowerCase()}-${keysName}`,
    stateBackend,
    isLong: keyCount > 1_000_000,
    populateRecordCount: keyCount,
    jobOf: (progressDirectory) => ({
      module,
      flinkClass: 'dev.flinkjob.bench.KeyedCountJob',
      args: { seed: `${seed}`, keys: `${keyCount}`, progress: progressDirectory },
    }),
    checkResults: (samples) => checkKeyedCounts(samples, { seed, keyCount }),
  };
}
