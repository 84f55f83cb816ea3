/**
 * The checker: whether what the job of examples/keyed-count has committed is exact. It runs in the cluster, as a Job that mounts the volume which the job writes to:
 *
 *   node check-output.ts DIRECTORY [--records COUNT] [--keys COUNT]
 *
 * Every line is `KEY NUMBER in order`. Read in the order of their checkpoints, the files must number each key's lines 1, 2, 3, …: a line that is missing, one that
 * is there twice and one that comes too late all break that. With `--records` and `--keys` the job has ended, and so many there must be. It says for every key what
 * is wrong, and exits with 1. One file that imports nothing of the project, so that it can be carried into a pod.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

export interface Part {
  /** Of the file. */
  readonly name: string;
  readonly lines: readonly string[];
}

export interface Judgement {
  readonly recordCount: number;
  readonly keyCount: number;
  readonly partCount: number;
  /** What is wrong, each with its key and file; none when the output is exact. */
  readonly complaints: readonly string[];
}

/** More say no more. */
const complaintCountMax = 50;
const partName = /^part-.+-(?<subtask>\d+)-(?<checkpoint>\d+)-e\d+a\d+-[0-9a-f]{8}$/;

export function judgeParts(
  parts: readonly Part[],
  expected: { readonly recordCount?: number | undefined; readonly keyCount?: number | undefined } = {},
): Judgement {
  const complaints: string[] = [];
  const lastNumbers = new Map<string, number>();
  let recordCount = 0;
  for (const { name, lines } of parts.toSorted(byCheckpoint)) {
    for (const line of lines) {
      recordCount += 1;
      const match = /^(?<key>\S+) (?<number>\d+) (?<verdict>.*)$/.exec(line);
      if (match?.groups === undefined) {
        complaints.push(`${name}: '${line}' is no line of this job`);
        continue;
      }
      const { key = '', number = '', verdict = '' } = match.groups;
      const last = lastNumbers.get(key) ?? 0;
      const complaint = complaintAbout({ last, number: Number(number), verdict });
      if (complaint !== undefined) {
        complaints.push(`${key}: ${complaint} (${name})`);
      }
      lastNumbers.set(key, Math.max(last, Number(number)));
    }
  }
  const keyCount = lastNumbers.size;
  if (expected.recordCount !== undefined && recordCount !== expected.recordCount) {
    complaints.push(`there are ${recordCount} lines and not ${expected.recordCount}`);
  }
  if (expected.keyCount !== undefined && keyCount !== expected.keyCount) {
    complaints.push(`there are ${keyCount} keys and not ${expected.keyCount}`);
  }
  return { recordCount, keyCount, partCount: parts.length, complaints };
}

function complaintAbout(line: { readonly last: number; readonly number: number; readonly verdict: string }): string | undefined {
  const { last, number, verdict } = line;
  if (number <= last) {
    return `line ${number} comes after line ${last}: twice, or too late`;
  }
  if (number > last + 1) {
    return `line ${number} comes after line ${last}: what is between them is missing`;
  }
  return verdict === 'in order' ? undefined : `line ${number}: the state missed a record or had one twice: ${verdict}`;
}

function byCheckpoint(one: Part, other: Part): number {
  const [a, b] = [checkpointOf(one.name), checkpointOf(other.name)];
  return a.checkpoint - b.checkpoint || a.subtask - b.subtask;
}

export function isPart(name: string): boolean {
  return partName.test(name);
}

function checkpointOf(name: string): { readonly checkpoint: number; readonly subtask: number } {
  const { checkpoint, subtask } = partName.exec(name)?.groups ?? {};
  return { checkpoint: Number(checkpoint), subtask: Number(subtask) };
}

/**
 * Of a job that is still running. A listing may miss a file that appears while it is made and have a later one; of the checkpoints in a first listing a second one has
 * every file that the same subtask committed before.
 */
function readParts(directory: string): readonly Part[] {
  const list = (): readonly string[] => readdirSync(directory).filter(isPart);
  const newest = Math.max(0, ...list().map((name) => checkpointOf(name).checkpoint));
  return list()
    .filter((name) => checkpointOf(name).checkpoint <= newest)
    .map((name) => {
      const text = readFileSync(join(directory, name), 'utf8');
      // A last line without its end is half a line, and says so by being none.
      return { name, lines: text.endsWith('\n') ? text.slice(0, -1).split('\n') : [...text.split('\n'), '(no end of line)'] };
    });
}

if (import.meta.main) {
  const { values, positionals } = parseArgs({
    options: { records: { type: 'string' }, keys: { type: 'string' } },
    allowPositionals: true,
  });
  const [directory = ''] = positionals;
  const number = (text: string | undefined) => (text === undefined ? undefined : Number(text));
  const judgement = judgeParts(readParts(directory), { recordCount: number(values.records), keyCount: number(values.keys) });
  const { recordCount, keyCount, partCount, complaints } = judgement;
  for (const complaint of complaints.slice(0, complaintCountMax)) {
    console.log(complaint);
  }
  console.log(`${recordCount} lines of ${keyCount} keys in ${partCount} files: ${complaints.length} complaints`);
  process.exitCode = complaints.length === 0 && recordCount > 0 ? 0 : 1;
}
