import type { FlinkJobKey } from '../../api/flink-job.ts';
import type { LogFile } from '../local-jobs.ts';
import { LogTail } from '../log-tail.ts';

/** What a job's TaskManagers print, from the moment this was made. */
export class JobOutput {
  readonly #logs: (key: FlinkJobKey) => Promise<readonly LogFile[]>;
  readonly #key: FlinkJobKey;
  readonly #tails = new Map<string, LogTail>();
  #first = true;

  constructor(key: FlinkJobKey, logs: (key: FlinkJobKey) => Promise<readonly LogFile[]>) {
    this.#key = key;
    this.#logs = logs;
  }

  async read(): Promise<readonly { readonly process: string; readonly line: string }[]> {
    const files = (await this.#logs(this.#key)).filter(({ process }) => process.startsWith('task-manager'));
    const lines = await Promise.all(
      files.map(async ({ process, path }) => {
        let tail = this.#tails.get(path);
        if (tail === undefined) {
          // What was there before is of an earlier session.
          tail = new LogTail(path, this.#first ? { lineCount: 0 } : 'beginning');
          this.#tails.set(path, tail);
        }
        return (await tail.read()).filter((line) => !isLogLine(line)).map((line) => ({ process, line }));
      }),
    );
    this.#first = false;
    return lines.flat();
  }
}

/** A line of a process' own log, which is for `flinkjob logs`, and not of what the job prints. */
export function isLogLine(line: string): boolean {
  return line.startsWith('{"level":') && line.includes('"time":') && line.endsWith('}');
}
