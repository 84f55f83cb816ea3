import { readdir, readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';

/** V8's format: sampled nodes of a call tree, and the time from each sample to the next. */
interface Profile {
  readonly nodes: readonly { readonly id: number; readonly callFrame: CallFrame }[];
  readonly samples: readonly number[];
  /** Microseconds. */
  readonly timeDeltas: readonly number[];
}

interface CallFrame {
  readonly functionName: string;
  readonly url: string;
  readonly lineNumber: number;
}

const rowCountMax = 20;
const notWork = new Set(['(idle)', '(root)']);

/** Where the busiest thread spent its time: a row per function with its share and, as the thread does all the work, time per record. */
export async function profileReport(directory: string, recordsPerCpuSecond: number): Promise<string> {
  const files = (await readdir(directory)).filter((file) => file.endsWith('.cpuprofile'));
  const threads = await Promise.all(
    files.map(async (file) => ({ file, self: selfTimes(JSON.parse(await readFile(join(directory, file), 'utf8')) as Profile) })),
  );
  const [busiest] = threads.toSorted((a, b) => total(b.self) - total(a.self));
  if (busiest === undefined) {
    throw new Error(`there is no CPU profile in ${directory}: did the TaskManager end before it could write one?`);
  }
  const whole = total(busiest.self);
  const rows = [...busiest.self].toSorted(([, a], [, b]) => b - a).slice(0, rowCountMax);
  return [
    `Self time of the busiest thread (${join(directory, busiest.file)}); garbage collection is a row like others:`,
    ...rows.map(([place, microseconds]) => {
      const share = microseconds / whole;
      return `${(share * 100).toFixed(1).padStart(6)} % ${((share * 1e9) / recordsPerCpuSecond).toFixed(1).padStart(7)} ns/record  ${place}`;
    }),
  ].join('\n');
}

function selfTimes({ nodes, samples, timeDeltas }: Profile): ReadonlyMap<string, number> {
  const places = new Map(nodes.map(({ id, callFrame }) => [id, placeOf(callFrame)]));
  const times = new Map<string, number>();
  for (const [index, id] of samples.entries()) {
    const place = places.get(id) ?? '(unknown)';
    if (!notWork.has(place)) {
      // The time up to the next sample is this one's.
      times.set(place, (times.get(place) ?? 0) + Math.max(0, timeDeltas[index + 1] ?? 0));
    }
  }
  return times;
}

function placeOf({ functionName, url, lineNumber }: CallFrame): string {
  const name = functionName === '' ? '(anonymous)' : functionName;
  return url === '' ? name : `${name} ${basename(url)}:${lineNumber + 1}`;
}

function total(times: ReadonlyMap<string, number>): number {
  return [...times.values()].reduce((sum, time) => sum + time, 0);
}
