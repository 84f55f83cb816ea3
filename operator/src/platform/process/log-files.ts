import { copyFile, open, rename, stat, truncate } from 'node:fs/promises';
import type { Problem } from '../../api/flink-job-status.ts';

/** A log that is larger is moved aside; with three old ones a process keeps at most 40 MB. */
const sizeBytesMax = 10 * 1024 * 1024;
const oldFilesMax = 3;

/**
 * Moves a log that has grown too large aside. The process keeps its descriptor, opened for appending, so the content is copied and the
 * file emptied: lines written in between are lost, which a log may.
 */
export async function rotateLog(file: string, limitBytes = sizeBytesMax): Promise<void> {
  if ((await sizeOf(file)) <= limitBytes) {
    return;
  }
  for (let index = oldFilesMax - 1; index >= 1; index -= 1) {
    await rename(`${file}.${index}`, `${file}.${index + 1}`).catch(() => undefined);
  }
  await copyFile(file, `${file}.1`);
  await truncate(file, 0);
}

/** Zero when there is no such file. */
export async function sizeOf(file: string): Promise<number> {
  return stat(file).then(
    (found) => found.size,
    () => 0,
  );
}

const tailSizeBytes = 64 * 1024;

/** Of an end that the process itself did not explain. */
export const processEndedCode = 'ProcessEnded';

/** What a process said last, from `offset` on: its last error, else its last line that is no ordinary log entry. */
export async function lastProblem(file: string, offset: number): Promise<Problem | undefined> {
  const lines = (await readTail(file, offset)).split('\n').filter((line) => line.trim() !== '');
  for (const [index, line] of [...lines.entries()].reverse()) {
    const problem = problemInLine(line) ?? printedProblem(line, lines[index + 1]);
    if (problem !== undefined) {
      return problem;
    }
  }
  const printed = lines.filter((line) => parseObject(line) === undefined && !nodeFarewell.test(line));
  // Below what was thrown stands only where.
  const last = printed.findLast((line) => thrown.test(line)) ?? printed.at(-1);
  return last === undefined ? undefined : { code: processEndedCode, message: last.slice(0, 500) };
}

/** The last line that Node prints below an error that nobody caught. */
const nodeFarewell = /^Node\.js v\d/;
const thrown = /^(Uncaught )?[A-Za-z]*(Error|Exception)\b.*: /;

async function readTail(file: string, offset: number): Promise<string> {
  const handle = await open(file, 'r').catch(() => undefined);
  if (handle === undefined) {
    return '';
  }
  try {
    const { size } = await handle.stat();
    // A log that was emptied in between begins anew.
    const from = Math.max(offset > size ? 0 : offset, size - tailSizeBytes);
    const buffer = Buffer.alloc(Math.max(0, size - from));
    const { bytesRead } = await handle.read(buffer, 0, buffer.length, from);
    return buffer.toString('utf8', 0, bytesRead);
  } finally {
    await handle.close();
  }
}

/** Of pino. */
const errorLevel = 50;

/** A pino line at level error or above, or an error printed as JSON. */
function problemInLine(line: string): Problem | undefined {
  const entry = parseObject(line);
  if (typeof entry?.['level'] === 'number' && entry['level'] < errorLevel) {
    return undefined;
  }
  const error =
    entry && (asObject(entry['err']) ?? asObject(entry['error']) ?? (typeof entry['code'] === 'string' ? entry : undefined));
  const message = error?.['message'];
  if (error === undefined || typeof message !== 'string') {
    return undefined;
  }
  const { code, remedy } = error;
  return {
    code: typeof code === 'string' ? code : 'ProcessFailed',
    message,
    remedy: typeof remedy === 'string' ? remedy : undefined,
  };
}

/** As the runtime's commands print an error for people: `error: message [Code]`, then the remedy, indented. */
function printedProblem(line: string, next: string | undefined): Problem | undefined {
  const match = /^error: (.*) \[(\w+)\]$/.exec(line);
  const [, message, code] = match ?? [];
  return message === undefined || code === undefined
    ? undefined
    : { code, message, remedy: next?.startsWith('  ') === true ? next.trim() : undefined };
}

function parseObject(line: string): Readonly<Record<string, unknown>> | undefined {
  if (!line.startsWith('{')) {
    return undefined;
  }
  try {
    return asObject(JSON.parse(line));
  } catch {
    return undefined;
  }
}

function asObject(value: unknown): Readonly<Record<string, unknown>> | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Readonly<Record<string, unknown>>)
    : undefined;
}
