import { randomUUID } from 'node:crypto';
import type { OperationStatus } from '@flinkjob/runtime/rest';
import { formatKey, keyOf } from '../../api/flink-job.ts';
import { type Command, CommandFailure, exitCodes } from '../command.ts';
import { pause } from '../file-watch.ts';
import { formatDuration } from '../format.ts';
import { jobClient } from '../local-jobs.ts';
import { getFlinkJob, keyFrom, openExistingStore, workDirectoryOf, workDirectoryOptions } from '../work-directory.ts';

const pollIntervalMs = 200;
const reportIntervalMs = 2000;

export const savepoint: Command = {
  description: {
    name: 'savepoint',
    summary: 'Take a savepoint of a running job and print where it is',
    details: [
      'A savepoint is never removed by newer checkpoints. It is taken by the JobManager itself; no controller has to run.',
    ],
    positionals: [{ name: 'NAME', required: true, meaning: 'the job' }],
    options: {
      ...workDirectoryOptions,
      timeout: { type: 'string', value: 'SECONDS', default: '600', meaning: 'how long to wait; the savepoint itself goes on' },
    },
    examples: [{ line: 'flinkjob savepoint word-count', meaning: 'the location is the only line on standard output' }],
  },
  async run(parsed, output) {
    const timeoutMs = secondsToMs(parsed.text('timeout') ?? '600');
    const store = await openExistingStore(workDirectoryOf(parsed));
    const flinkJob = await getFlinkJob(store, keyFrom(parsed, parsed.positionals[0] ?? ''));
    const name = formatKey(keyOf(flinkJob));
    const client = jobClient(flinkJob);
    if (client === undefined) {
      throw new CommandFailure(
        `${name} has no JobManager: it is ${flinkJob.status?.state ?? 'Unknown'}`,
        `flinkjob describe ${flinkJob.metadata.name} says why.`,
      );
    }
    const operationId = `savepoint-${randomUUID()}`;
    const startedAtMs = Date.now();
    await client.savepoint(operationId);
    output.report(`A savepoint of ${name} is being taken …`);
    for (let reportedAtMs = startedAtMs; ; ) {
      const job = await client.readStatus();
      const operation = job.operations.find((each) => each.operationId === operationId);
      if (operation !== undefined && operation.state !== 'InProgress') {
        return finished(operation, { output, durationMs: Date.now() - startedAtMs });
      }
      const nowMs = Date.now();
      if (nowMs - startedAtMs > timeoutMs) {
        throw new CommandFailure(
          `the savepoint is not complete after ${formatDuration(timeoutMs)}; it goes on`,
          `flinkjob describe ${flinkJob.metadata.name} shows the state of the job.`,
        );
      }
      if (nowMs - reportedAtMs >= reportIntervalMs) {
        output.report(`… for ${formatDuration(nowMs - startedAtMs)}; the job is ${job.state}`);
        reportedAtMs = nowMs;
      }
      await pause(pollIntervalMs, new AbortController().signal);
    }
  },
};

function finished(
  operation: OperationStatus,
  context: {
    readonly output: { readonly print: (line: string) => void; readonly report: (line: string) => void };
    readonly durationMs: number;
  },
): number {
  if (operation.state === 'Failed') {
    throw new CommandFailure(
      `the savepoint failed: ${operation.error?.message ?? 'no reason was given'}`,
      operation.error?.remedy,
    );
  }
  context.output.report(`Savepoint ${operation.checkpointId ?? ''} is complete after ${formatDuration(context.durationMs)}:`);
  context.output.print(operation.location ?? `checkpoint ${operation.checkpointId}`);
  return exitCodes.ok;
}

function secondsToMs(text: string): number {
  const seconds = Number(text);
  if (!(seconds > 0)) {
    throw new CommandFailure(`--timeout cannot be "${text}"`, 'Give a number of seconds, such as 60.');
  }
  return seconds * 1000;
}
