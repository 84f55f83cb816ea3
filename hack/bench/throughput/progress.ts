import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

export interface Count {
  readonly atMs: number;
  readonly records: number;
}

/** What the sink saw at its record number `index`. */
export interface Sample {
  readonly index: number;
  readonly values: readonly string[];
}

/** Of the job's one sink, from the file that jobs/progress-file.ts or ProgressFile.java writes. */
export interface Progress {
  readonly counts: readonly Count[];
  readonly samples: readonly Sample[];
}

/** Undefined until the sink is open. Throws when there was more than one attempt: what it measured would be a restart. */
export async function readProgress(directory: string): Promise<Progress | undefined> {
  const [file, ...more] = await readdir(directory);
  if (file === undefined) {
    return undefined;
  }
  if (more.length > 0) {
    throw new Error(`the job was restarted while it was measured: ${more.length + 1} attempts wrote to ${directory}`);
  }
  const text = await readFile(join(directory, file), 'utf8');
  // The last line may be half written.
  const lines = text.slice(0, text.lastIndexOf('\n') + 1).split('\n');
  return {
    counts: lines.filter((line) => line.startsWith('count ')).map(parseCount),
    samples: lines.filter((line) => line.startsWith('sample ')).map(parseSample),
  };
}

/** Between the counts before and after. Throws for a time that the counts do not surround. */
export function recordsAt(counts: readonly Count[], atMs: number): number {
  const afterIndex = counts.findIndex((count) => count.atMs >= atMs);
  const after = counts[afterIndex];
  const before = counts[afterIndex - 1];
  if (after === undefined || before === undefined) {
    throw new Error(`no progress is known at ${new Date(atMs).toISOString()}: did the job stand still?`);
  }
  return before.records + ((after.records - before.records) * (atMs - before.atMs)) / (after.atMs - before.atMs);
}

function parseCount(line: string): Count {
  const [, atMs, records] = line.split(' ');
  return { atMs: Number(atMs), records: Number(records) };
}

function parseSample(line: string): Sample {
  const [, index, ...values] = line.split(' ');
  return { index: Number(index), values };
}
