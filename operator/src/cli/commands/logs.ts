import { formatKey, keyOf } from '../../api/flink-job.ts';
import { type Command, CommandFailure, exitCodes } from '../command.ts';
import { pause } from '../file-watch.ts';
import { jobLogs, type LogFile } from '../local-jobs.ts';
import { readableLogLine } from '../log-line.ts';
import { LogTail } from '../log-tail.ts';
import { nearest } from '../nearest.ts';
import { getFlinkJob, keyFrom, openExistingStore, workDirectoryOf, workDirectoryOptions } from '../work-directory.ts';

const pollIntervalMs = 250;

export const logs: Command = {
  description: {
    name: 'logs',
    summary: 'Show what the processes of a job wrote',
    positionals: [
      { name: 'NAME', required: true, meaning: 'the job' },
      { name: 'PROCESS', required: false, meaning: 'job-manager, task-manager-0 …, or operator; all of the job without it' },
    ],
    options: {
      ...workDirectoryOptions,
      follow: { type: 'boolean', short: 'f', meaning: 'go on as more is written' },
      tail: { type: 'string', value: 'N', meaning: 'only the last N lines of each' },
      output: {
        type: 'string',
        short: 'o',
        value: 'FORMAT',
        choices: ['json'],
        meaning: 'the lines as they were written, for programs',
      },
    },
    examples: [
      { line: 'flinkjob logs word-count task-manager-0 -f', meaning: 'follow one TaskManager' },
      { line: 'flinkjob logs word-count job-manager --tail 50', meaning: 'the last lines of the JobManager' },
    ],
  },
  async run(parsed, output) {
    const workDirectory = workDirectoryOf(parsed);
    const tail = lineCount(parsed.text('tail'));
    const isRaw = parsed.text('output') === 'json';
    const store = await openExistingStore(workDirectory);
    const flinkJob = await getFlinkJob(store, keyFrom(parsed, parsed.positionals[0] ?? ''));
    const key = keyOf(flinkJob);
    const wanted = parsed.positionals[1];
    const listed = async () =>
      selectLogs([...(await jobLogs(workDirectory.root, key)), { process: 'operator', path: workDirectory.operatorLog }], wanted);
    const first = await listed();
    if (first.length === 0) {
      const names = [...(await jobLogs(workDirectory.root, key)).map(({ process }) => process), 'operator'];
      const near = wanted === undefined ? undefined : nearest(wanted, names);
      throw new CommandFailure(
        wanted === undefined ? `${formatKey(key)} has written no logs yet` : `${formatKey(key)} has no process ${wanted}`,
        near === undefined ? `There are: ${names.join(', ')}.` : `Did you mean ${near}?`,
      );
    }
    const tails = new Map(
      first.map((file) => [file.path, new LogTail(file.path, tail === undefined ? 'beginning' : { lineCount: tail })]),
    );
    do {
      for (const file of await listed()) {
        const known = tails.get(file.path) ?? new LogTail(file.path, 'beginning');
        tails.set(file.path, known);
        for (let lines = await known.read(); lines.length > 0; lines = await known.read()) {
          for (const line of lines) {
            shown(line, file.process, { isRaw, isOfMany: wanted === undefined }).forEach(output.print);
          }
        }
      }
      if (parsed.flag('follow')) {
        await pause(pollIntervalMs, new AbortController().signal);
      }
    } while (parsed.flag('follow'));
    return exitCodes.ok;
  },
};

/** What is raw says itself which process it is of. */
function shown(
  line: string,
  process: string,
  { isRaw, isOfMany }: { readonly isRaw: boolean; readonly isOfMany: boolean },
): readonly string[] {
  if (isRaw) {
    return [line];
  }
  const readable = readableLogLine(line, process);
  return isOfMany ? readable.map((text) => `${process} | ${text}`) : readable;
}

/** `jobmanager` and `taskmanager-0` are what people type after years with Flink. */
export function selectLogs(files: readonly LogFile[], wanted: string | undefined): readonly LogFile[] {
  if (wanted === undefined) {
    return files.filter(({ process }) => process !== 'operator');
  }
  const plain = (name: string) => name.toLowerCase().replaceAll('-', '');
  const exact = files.filter(({ process }) => plain(process) === plain(wanted));
  return exact.length > 0 ? exact : files.filter(({ process }) => plain(process).startsWith(plain(wanted)));
}

function lineCount(text: string | undefined): number | undefined {
  if (text === undefined) {
    return undefined;
  }
  if (!/^\d+$/.test(text)) {
    throw new CommandFailure(`--tail cannot be "${text}"`, 'Give a number of lines, such as 50.');
  }
  return Number(text);
}
