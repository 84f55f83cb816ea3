import { closeSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import type { Sink } from '@flinkjob/runtime';
import { loadNativeBinding } from '../../../runtime/src/state-backend/rocksdb/native-loader.ts';

const intervalMs = 200;

/** A line of the file: what RocksDB counts against its cap, in the whole process. */
export interface NativeMemoryLine {
  readonly atMs: number;
  readonly capacityBytes: number;
  readonly usedBytes: number;
  readonly memtableBytes: number;
  readonly pinnedBytes: number;
}

/** The sink as it is, and a file beside it: five times a second what RocksDB says of its memory. */
export function withNativeMemoryFile<T>(sink: Sink<T>, directory: string): Sink<T> {
  return {
    ...sink,
    createWriter: (context) => {
      const writer = sink.createWriter(context);
      const binding = loadNativeBinding();
      const file = openSync(join(directory, `native-memory-${context.subtaskIndex}.jsonl`), 'ax');
      const timer = setInterval(() => {
        const { capacityBytes, usedBytes, memtableBytes, pinnedBytes } = binding.memoryUsage();
        const line: NativeMemoryLine = { atMs: Date.now(), capacityBytes, usedBytes, memtableBytes, pinnedBytes };
        writeSync(file, `${JSON.stringify(line)}\n`);
      }, intervalMs);
      return {
        ...writer,
        close: async () => {
          clearInterval(timer);
          closeSync(file);
          await writer.close();
        },
      };
    },
  };
}
