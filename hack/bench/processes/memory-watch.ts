import { readFileSync } from 'node:fs';
import { median } from '../median.ts';

const intervalMs = 200;
const mebibyte = 1024 * 1024;

export interface MemorySample {
  readonly atMs: number;
  /** Resident: all of it, and without what is mapped from files (code), which the kernel can drop. */
  readonly residentBytes: number;
  readonly anonymousBytes: number;
}

/** Resident memory of a process, five times a second, for as long as it lives or until it is disposed. */
export class MemoryWatch implements Disposable {
  readonly #pid: number;
  readonly #samples: MemorySample[] = [];
  readonly #timer: NodeJS.Timeout;

  constructor(pid: number) {
    this.#pid = pid;
    this.#timer = setInterval(() => this.#sample(), intervalMs);
    this.#sample();
  }

  /** Taken since then. */
  since(fromMs: number): readonly MemorySample[] {
    return this.#samples.filter(({ atMs }) => atMs >= fromMs);
  }

  get last(): MemorySample | undefined {
    return this.#samples.at(-1);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }

  #sample(): void {
    const sample = memoryNow(this.#pid);
    if (sample === undefined) {
      clearInterval(this.#timer);
    } else {
      this.#samples.push(sample);
    }
  }
}

/** Undefined when the process is gone. */
export function memoryNow(pid: number): MemorySample | undefined {
  let status: string;
  try {
    status = readFileSync(`/proc/${pid}/status`, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ESRCH') {
      return undefined;
    }
    throw error;
  }
  const bytes = (field: string) => Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(status)?.[1]) * 1024;
  const sample = { atMs: Date.now(), residentBytes: bytes('VmRSS'), anonymousBytes: bytes('RssAnon') };
  // A process that has ended and is not yet forgotten has no memory.
  return Number.isNaN(sample.residentBytes) ? undefined : sample;
}

export interface MemorySummary {
  readonly maxMebibytes: number;
  readonly maxAnonymousMebibytes: number;
  readonly medianMebibytes: number;
  /** Of the line through all samples (least squares). */
  readonly mebibytesPerMinute: number;
}

/** Pure. */
export function summarizeMemory(samples: readonly MemorySample[]): MemorySummary {
  const resident = samples.map(({ residentBytes }) => residentBytes / mebibyte);
  return {
    maxMebibytes: Math.round(Math.max(...resident)),
    maxAnonymousMebibytes: Math.round(Math.max(...samples.map(({ anonymousBytes }) => anonymousBytes)) / mebibyte),
    medianMebibytes: Math.round(median(resident)),
    mebibytesPerMinute: Math.round(slopePerMs(samples) * (60_000 / mebibyte) * 10) / 10,
  };
}

function slopePerMs(samples: readonly MemorySample[]): number {
  const meanAt = mean(samples.map(({ atMs }) => atMs));
  const meanBytes = mean(samples.map(({ residentBytes }) => residentBytes));
  let above = 0;
  let below = 0;
  for (const { atMs, residentBytes } of samples) {
    above += (atMs - meanAt) * (residentBytes - meanBytes);
    below += (atMs - meanAt) ** 2;
  }
  return above / below;
}

function mean(numbers: readonly number[]): number {
  return numbers.reduce((sum, number) => sum + number, 0) / numbers.length;
}
