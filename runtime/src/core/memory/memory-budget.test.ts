// How memory is divided, by table; that the parts are kept is shown by benchmarks on real processes.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { JobError } from '../job-error.ts';
import { formatMemoryBudget, type MemoryBudget, planMemory } from './memory-budget.ts';

const mebibyte = 1024 * 1024;

function sum(budget: MemoryBudget, threadCount: number): number {
  const { reserveSizeBytes, mainHeapSizeBytes, threadHeapSizeBytes, networkSizeBytes, rocksDb } = budget;
  return (
    reserveSizeBytes +
    mainHeapSizeBytes +
    threadCount * threadHeapSizeBytes +
    networkSizeBytes +
    (rocksDb?.capacitySizeBytes ?? 0) +
    (rocksDb?.overheadSizeBytes ?? 0)
  );
}

for (const stateBackend of ['HashMap', 'RocksDB'] as const) {
  for (const threadCount of [1, 2, 16]) {
    test(`the parts come to no more than the total (${stateBackend}, ${threadCount} threads)`, () => {
      for (const totalMebibytes of [512, 1024, 2048, 16 * 1024, 200 * 1024]) {
        try {
          const budget = planMemory({ totalSizeBytes: totalMebibytes * mebibyte, threadCount, stateBackend });
          assert(sum(budget, threadCount) <= totalMebibytes * mebibyte, formatMemoryBudget(budget, threadCount));
          assert(sum(budget, threadCount) > (totalMebibytes - 1) * mebibyte, 'nothing is left unused');
          assert(budget.heapStateSizeBytes < threadCount * budget.threadHeapSizeBytes);
          assert((budget.rocksDb?.writeBufferSizeBytes ?? 0) * 2 <= (budget.rocksDb?.capacitySizeBytes ?? 0));
        } catch (error) {
          assert(error instanceof JobError && error.code === 'MemoryTooSmall' && totalMebibytes < 2048 && threadCount === 16);
        }
      }
    });

    test(`what the refusal asks for is enough, and one MiB less is not (${stateBackend}, ${threadCount} threads)`, () => {
      for (const storageClientSizeBytes of [0, 61 * mebibyte]) {
        const options = { threadCount, stateBackend, storageClientSizeBytes };
        let needed = 0;
        try {
          planMemory({ ...options, totalSizeBytes: 64 * mebibyte });
        } catch (error) {
          assert(error instanceof JobError);
          needed = Number(/it needs (\d+) MiB/.exec(error.message)?.[1]);
          assert.match(error.remedy ?? '', new RegExp(`${needed} MiB`));
        }
        planMemory({ ...options, totalSizeBytes: needed * mebibyte });
        assert.throws(() => planMemory({ ...options, totalSizeBytes: (needed - 1) * mebibyte }), { code: 'MemoryTooSmall' });
      }
    });

    test(`what the client of the storage needs is taken from the rest (${stateBackend}, ${threadCount} threads)`, () => {
      const options = { threadCount, stateBackend, totalSizeBytes: 4096 * mebibyte };
      const client = 61 * mebibyte;
      const [without, with61] = [planMemory(options), planMemory({ ...options, storageClientSizeBytes: client })];
      assert.equal(with61.reserveSizeBytes - without.reserveSizeBytes, client);
      assert(sum(with61, threadCount) <= options.totalSizeBytes);
    });
  }
}
