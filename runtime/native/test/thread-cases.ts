// The processes of threads.test.ts: `node thread-cases.ts CASE PATH`. In a worker, the same file runs what its data says.
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdirSync, openSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import type { NativeBinding, NativeDatabase } from '../../src/state-backend/rocksdb/native-binding.ts';
import { loadNativeBinding } from '../../src/state-backend/rocksdb/native-loader.ts';
import { type BatchRecord, batchOf, columnFamily } from './native-batches.ts';

const memory = { capacityBytes: 64 << 20, writeBufferBytes: 16 << 20 };

function binding(): NativeBinding {
  const native = loadNativeBinding();
  native.configureMemory(memory);
  return native;
}

function open(path: string): Promise<NativeDatabase> {
  return binding().open({
    path,
    createIfMissing: true,
    columnFamilies: [columnFamily('default', { writeBufferBytes: 64 << 20 })],
    maxOpenFiles: 100,
    maxBackgroundJobs: 2,
    statistics: false,
  });
}

/** `count` entries of 1 KB under `prefix`. */
function fill(database: NativeDatabase, prefix: string, count: number): void {
  for (let start = 0; start < count; start += 500) {
    const size = Math.min(500, count - start);
    const records = Array.from({ length: size }, (_, index): BatchRecord => ['put', 0, `${prefix}${start + index}`, noise]);
    const batch = batchOf(records);
    database.write(batch, batch.length);
  }
}

/** Does not compress much. */
const noise = Uint8Array.from({ length: 1000 }, (_, index) => (index * 7919 + (index >> 3) * 104729) & 0xff);

/** Starts everything that takes time, and awaits nothing. */
function keepBusy(database: NativeDatabase, path: string): void {
  const ignore = (): void => {};
  const keys = new Uint8Array(3000).fill(97);
  const ends = Uint32Array.from({ length: 1000 }, (_, index) => index * 3);
  const batch = batchOf([['put', 0, 'async', noise]]);
  database.iterator(0, {}).next(new Uint8Array(100_000), new Uint32Array(100));
  database.snapshot();
  const results = [new Uint8Array(10), new Uint32Array(1000), new Uint8Array(1000)] as const;
  for (const promise of [
    database.flush(),
    database.compact(0),
    database.writeAsync(batch, batch.length),
    database.multiGetAsync(0, keys, ends, 1000, ...results),
    database.checkpoint(`${path}-checkpoint-${Math.random()}`),
    database.exportColumnFamily(0, `${path}-export-${Math.random()}`),
  ]) {
    promise.catch(ignore);
  }
}

function startWorker(task: string, path: string): Worker {
  return new Worker(fileURLToPath(import.meta.url), { workerData: { task, path } });
}

const workerTasks: Record<string, (path: string) => Promise<void>> = {
  async 'fill-and-wait'(path) {
    const database = await open(path);
    fill(database, 'k', 4000);
    parentPort?.postMessage('filled');
    await once(parentPort as NonNullable<typeof parentPort>, 'message');
    await database.close();
  },
  async busy(path) {
    const database = await open(path);
    fill(database, 'k', 5000);
    keepBusy(database, path);
    parentPort?.postMessage('busy');
    for (;;) {
      try {
        fill(database, 'x', 500);
      } catch (error) {
        if ((error as { code?: string }).code !== 'WriterBusy') {
          throw error;
        }
      }
      await new Promise((resolve) => setImmediate(resolve));
    }
  },
  /** Begins to read a file that never says anything. */
  async hang(path) {
    const database = await open(`${path}/db`);
    database.ingest(0, [`${path}/pipe`], { moveFiles: false, dbGenerated: false }).catch(() => {});
    // Calls begin in the order in which they are made, and what has not begun would be given up: it has when a later one has ended.
    await database.flush();
    parentPort?.postMessage('hanging');
  },
  async forget(path) {
    const database = await open(path);
    fill(database, 'k', 1000);
    database.iterator(0, {}).next(new Uint8Array(100_000), new Uint32Array(100));
  },
};

const cases: Record<string, (path: string) => Promise<void>> = {
  async 'shared-memory'(path) {
    const native = binding();
    const mine = await open(`${path}/main`);
    fill(mine, 'k', 4000);
    const alone = native.memoryUsage().memtableBytes;
    const worker = startWorker('fill-and-wait', `${path}/worker`);
    await once(worker, 'message');
    const together = native.memoryUsage().memtableBytes;
    let later = 'nothing';
    try {
      native.configureMemory({ ...memory, capacityBytes: 128 << 20 });
    } catch (error) {
      later = (error as { code?: string }).code ?? String(error);
    }
    worker.postMessage('end');
    await once(worker, 'exit');
    await mine.close();
    console.log(JSON.stringify({ alone, together, later }));
  },
  async terminate(path) {
    for (let round = 0; round < 10; round++) {
      const worker = startWorker('busy', `${path}/db`);
      await once(worker, 'message');
      await new Promise((resolve) => setTimeout(resolve, (round % 5) * 3));
      await worker.terminate();
      await (await open(`${path}/db`)).close();
      await binding().destroy(`${path}/db`);
    }
    console.log('opened again 10 times');
  },
  async forget(path) {
    await once(startWorker('forget', `${path}/db`), 'exit');
    await (await open(`${path}/db`)).close();
    console.log('opened again');
  },
  async hang(path) {
    execFileSync('mkfifo', [`${path}/pipe`]);
    const worker = startWorker('hang', path);
    await once(worker, 'message');
    await worker.terminate();
    const refusal = await open(`${path}/db`).catch((error: { code?: string }) => error.code);
    // Somebody writes after all, and what hung goes on where its thread has long gone.
    const pipe = openSync(`${path}/pipe`, 'w');
    closeSync(pipe);
    const other = await open(`${path}/other`);
    fill(other, 'k', 100);
    await other.close();
    console.log(refusal);
  },
  async exit(path) {
    const database = await open(`${path}/db`);
    fill(database, 'k', 5000);
    keepBusy(database, path);
    console.log('exiting');
    process.exit(0);
  },
  async 'exit-with-threads'(path) {
    await Promise.all([0, 1, 2].map((index) => once(startWorker('busy', `${path}/db-${index}`), 'message')));
    console.log('exiting');
    process.exit(0);
  },
  async 'leave-open'(path) {
    const database = await open(`${path}/db`);
    fill(database, 'k', 5000);
    database.iterator(0, {}).next(new Uint8Array(100_000), new Uint32Array(100));
    database.snapshot();
    console.log('left');
  },
  async 'keep-alive'(path) {
    const database = await open(`${path}/db`);
    fill(database, 'k', 2000);
    void database.flush().then(() => console.log('flushed'));
  },
  /** Runs with a limit on the size of files that stands for a full disk. */
  async 'disk-fails'(path) {
    const database = await open(path);
    const codes: string[] = [];
    const noteCode = (error: unknown): void => void codes.push(String((error as { code?: string }).code));
    fill(database, 'k', 5000);
    await database.flush().catch(noteCode);
    try {
      // More than all memtables may have: it must end, not wait.
      fill(database, 'k', 100_000);
    } catch (error) {
      noteCode(error);
    }
    await database.close();
    console.log(codes.join(' '));
  },
  async 'make-room'(path) {
    const [idle, active] = await Promise.all([open(`${path}/idle`), open(`${path}/active`)]);
    // Three quarters of all memtables; without help it stays so, for nobody writes to it any more.
    fill(idle, 'k', 11_500);
    fill(active, 'k', 60_000);
    await active.flush();
    const files = (database: NativeDatabase): number =>
      Array.from({ length: 7 }, (_, level) => Number(database.property(0, `rocksdb.num-files-at-level${level}`))).reduce(
        (a, b) => a + b,
      );
    // It is flushed in the background; whoever started this process ends it when that never happens.
    while (files(idle) === 0) {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    console.log(JSON.stringify({ idleFiles: files(idle), activeFiles: files(active) }));
    await Promise.all([idle.close(), active.close()]);
  },
};

if (isMainThread) {
  const [, , name = '', path = ''] = process.argv;
  mkdirSync(path);
  await cases[name]?.(path);
} else {
  const { task, path } = workerData as { task: string; path: string };
  await workerTasks[task]?.(path);
}
