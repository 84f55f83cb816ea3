import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

// What the sink of jobs/recovering-state.ts says to its progress files: one for each attempt of each subtask.

/** When the last of all subtasks of the sink got its first record since then; undefined while one has none. */
export async function firstRecordsAtMs(
  directory: string,
  { parallelism, sinceMs }: { readonly parallelism: number; readonly sinceMs: number },
): Promise<number | undefined> {
  const firsts = (await progressFiles(directory)).flatMap(({ subtaskIndex, firstRecordAtMs: atMs }) =>
    atMs !== undefined && atMs > sinceMs ? [{ subtaskIndex, atMs }] : [],
  );
  const seen = new Set(firsts.map(({ subtaskIndex }) => subtaskIndex));
  return seen.size === parallelism ? Math.max(...firsts.map(({ atMs }) => atMs)) : undefined;
}

/** Of all attempts together. */
export async function recordCount(directory: string): Promise<number> {
  return (await progressFiles(directory)).reduce((sum, { records }) => sum + records, 0);
}

async function progressFiles(directory: string) {
  const names = await readdir(directory);
  return await Promise.all(
    names.map(async (name) => {
      const lines = (await readFile(join(directory, name), 'utf8')).split('\n').slice(0, -1);
      const first = lines.find((line) => line.startsWith('sample 0 '));
      const count = lines.findLast((line) => line.startsWith('count '));
      return {
        subtaskIndex: Number(name.split('-')[1]),
        firstRecordAtMs: first === undefined ? undefined : Number(first.split(' ')[2]),
        records: Number(count?.split(' ')[2] ?? 0),
      };
    }),
  );
}
