import type { Problem } from '../api/flink-job-status.ts';

/** Of an end that the process itself did not explain. */
export const processEndedCode = 'ProcessEnded';

/** What a process said last: its last error, else its last line that is no ordinary log entry. */
export function problemInLastWords(text: string): Problem | undefined {
  const lines = text.split('\n').filter((line) => line.trim() !== '');
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
