/** Of one field of a line; `-o json` has all of it. */
const valueLengthMax = 200;

/** What every line of a process repeats, or the line says elsewhere. */
const fieldsOfEveryLine: ReadonlySet<string> = new Set([
  ...['level', 'time', 'msg', 'pid', 'hostname', 'err'],
  ...['process', 'namespace', 'podUid'],
]);

/** pino's numbers. */
const levels: ReadonlyMap<unknown, string> = new Map([
  [10, 'TRACE'],
  [20, 'DEBUG'],
  [30, 'INFO'],
  [40, 'WARN'],
  [50, 'ERROR'],
  [60, 'FATAL'],
]);

/**
 * A line of a process's log for people: time, level, message, what is special about it, then what went wrong on lines of its own. What is not of the logger, such
 * as what a job prints, stays as it is. `process` is the file that it is from: the controller's names the jobs, a job's own need not.
 */
export function readableLogLine(line: string, process: string): readonly string[] {
  const entry = parseEntry(line);
  if (entry === undefined) {
    return [line];
  }
  const { time, level, msg, err } = entry;
  const fields = Object.entries(entry)
    .filter(([name]) => !fieldsOfEveryLine.has(name) && (name !== 'flinkJob' || process === 'operator'))
    .map(([name, value]) => `${name}=${formatValue(value)}`);
  const first = [formatTime(time), (levels.get(level) ?? String(level)).padEnd(5), String(msg ?? ''), ...fields].join(' ');
  return [first, ...(err === undefined ? [] : errorLines(err).map((text) => `    ${text}`))];
}

type Entry = Readonly<Record<string, unknown>>;

function parseEntry(line: string): Entry | undefined {
  if (!line.startsWith('{')) {
    return undefined;
  }
  try {
    const value = JSON.parse(line) as Entry;
    return 'level' in value && 'time' in value ? value : undefined;
  } catch {
    return undefined;
  }
}

/** Processes of a job write ISO times, the controller milliseconds. */
function formatTime(time: unknown): string {
  const date = new Date(time as string | number);
  return Number.isNaN(date.getTime()) ? String(time) : date.toISOString().replace('T', ' ');
}

function formatValue(value: unknown): string {
  const text = typeof value === 'string' && /^[^\s"=]+$/.test(value) ? value : JSON.stringify(value);
  return text.length <= valueLengthMax ? text : `${text.slice(0, valueLengthMax)}…`;
}

/** What has a code is foreseen, and says what to do; of anything else the stack is what helps. */
function errorLines(err: unknown): readonly string[] {
  const { message, code, remedy, stack } = (typeof err === 'object' && err !== null ? err : { message: err }) as Entry;
  const said = `${String(message)}${code === undefined ? '' : ` [${String(code)}]`}`;
  if (code === undefined && typeof stack === 'string') {
    return stack.split('\n').map((text) => text.trimEnd());
  }
  return [...said.split('\n'), ...(typeof remedy === 'string' ? remedy.split('\n') : [])];
}
