import { randomUUID } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { OperationStatus } from '@flinkjob/runtime/rest';
import { formatKey, keyOf, type StoredFlinkJob } from '../../api/flink-job.ts';
import { checkpointStorageOf } from '../../api/parse-flink-job.ts';
import { lineageUrlOf } from '../../api/storage-url.ts';
import type { JobClient } from '../../engine/engine.ts';
import { machineClusterId } from '../../platform/process/cluster-id.ts';
import { type Command, CommandFailure, type CommandOutput, exitCodes } from '../command.ts';
import { CommandLineError, type ParsedCommandLine } from '../command-line.ts';
import { pause } from '../file-watch.ts';
import { formatDuration } from '../format.ts';
import { jobClient, readJobStatus } from '../local-jobs.ts';
import { nearest } from '../nearest.ts';
import { getFlinkJob, keyFrom, openExistingStore, workDirectoryOf, workDirectoryOptions } from '../work-directory.ts';

const pollIntervalMs = 200;
const reportIntervalMs = 2000;

const actions = ['create', 'ls', 'export', 'release', 'import'] as const;
type Action = (typeof actions)[number];

export const savepoint: Command = {
  description: {
    name: 'savepoint',
    summary: 'Take, list, export, release and import savepoints',
    details: [
      'A savepoint belongs to whoever asked for it: newer checkpoints never remove it, only its release does.',
      'create NAME takes one of a running job; the JobManager does that itself, no controller has to run. NAME alone means the same.',
      'ls NAME or ls LINEAGE lists them with owner, format and reason, and says what is pinned and by whom.',
      'export SAVEPOINT --to PLACE makes a self-contained copy that can be moved and restored anywhere; a checkpoint will do, too. Doing it again continues a copy that was interrupted. The job may run meanwhile.',
      'release SAVEPOINT gives it free for deletion; release LINEAGE --pin ID removes a pin that an interrupted copy has left.',
      'import SAVEPOINT --to LINEAGE brings one into the lineage of a job that has no state yet, and its first start continues from it. A job that has state is pointed to a savepoint in its YAML: restore.from Path, restore.path URL.',
      'SAVEPOINT, LINEAGE and PLACE are directories or URLs, file: or s3:; a lineage is <checkpointStorage>/<namespace>/<name>.',
    ],
    positionals: [
      { name: 'ACTION', required: true, meaning: 'create, ls, export, release or import; or a job, to take a savepoint of it' },
      { name: 'TARGET', required: false, meaning: 'the job, savepoint or lineage that it is about' },
    ],
    options: {
      ...workDirectoryOptions,
      format: {
        type: 'string',
        value: 'FORMAT',
        choices: ['Native', 'Canonical'],
        default: 'Native',
        meaning: 'create: Native costs nothing more than a checkpoint, Canonical is read by every state backend',
      },
      reason: { type: 'string', value: 'TEXT', meaning: 'create: why, kept with the savepoint' },
      timeout: {
        type: 'string',
        value: 'SECONDS',
        default: '600',
        meaning: 'create: how long to wait; the savepoint itself goes on',
      },
      to: { type: 'string', value: 'PLACE', meaning: 'export: the folder to be made; import: the lineage' },
      verify: { type: 'boolean', meaning: 'export: read everything back and compare its content' },
      pin: { type: 'string', value: 'ID', meaning: 'release: the pin to be removed' },
      owner: { type: 'string', value: 'OWNER', meaning: 'import: cluster/namespace/name, where it is not a job of this machine' },
      output: { type: 'string', short: 'o', value: 'FORMAT', choices: ['json'], meaning: 'ls: for programs' },
    },
    examples: [
      { line: 'flinkjob savepoint create word-count', meaning: 'the location is the only line on standard output' },
      { line: 'flinkjob savepoint ls word-count', meaning: 'what is kept, for whom and why' },
      {
        line: 'flinkjob savepoint export s3://my-bucket/checkpoints/default/word-count/savepoints/000118-e7 --to s3://my-backups/word-count',
        meaning: 'copied by the server; also while the job runs',
      },
    ],
  },
  async run(parsed, output) {
    const [first = '', second] = parsed.positionals;
    const action = actions.find((each) => each === first);
    if (action === undefined && second === undefined) {
      return await create(parsed, { name: first, output });
    }
    if (action === undefined) {
      const near = nearest(first, actions);
      throw new CommandLineError(
        `flinkjob savepoint: there is no action ${first}`,
        near === undefined ? `It is one of ${actions.join(', ')}.` : `Did you mean flinkjob savepoint ${near}?`,
      );
    }
    if (second === undefined) {
      throw new CommandLineError(
        `flinkjob savepoint ${action}: ${action === 'create' ? 'the name of a job' : 'a place'} is missing`,
        'flinkjob savepoint --help says what each action takes.',
      );
    }
    return await carryOut(action, parsed, { target: second, output });
  },
};

async function carryOut(
  action: Action,
  parsed: ParsedCommandLine,
  { target, output }: { readonly target: string; readonly output: CommandOutput },
): Promise<number> {
  switch (action) {
    case 'create':
      return await create(parsed, { name: target, output });
    case 'ls':
      return await runtime(['ls', await lineageOf(parsed, target), ...option(parsed, 'output')]);
    case 'export':
      return await runtime(['export', target, ...option(parsed, 'to'), ...(parsed.flag('verify') ? ['--verify'] : [])]);
    case 'release':
      return await release(parsed, { target, output });
    case 'import':
      return await runtime(['import', target, ...option(parsed, 'to'), '--owner', await ownerOf(parsed)]);
  }
}

/** What lies in checkpoint storage is the runtime's business. */
async function runtime(args: readonly string[]): Promise<number> {
  const { main } = await import('@flinkjob/runtime/command');
  return await main(['savepoint', ...args]);
}

function option(parsed: ParsedCommandLine, name: string): readonly string[] {
  const value = parsed.text(name);
  return value === undefined ? [] : [`--${name}`, value];
}

/** A job by its name, or a lineage by its place; a name has neither slash nor colon. */
async function lineageOf(parsed: ParsedCommandLine, target: string): Promise<string> {
  if (/[/:]/.test(target) || (await stat(target).catch(() => undefined))?.isDirectory()) {
    return target;
  }
  const store = await openExistingStore(workDirectoryOf(parsed));
  const flinkJob = await getFlinkJob(store, keyFrom(parsed, target));
  const url = lineageOfFlinkJob(flinkJob);
  if (url === undefined) {
    throw new CommandFailure(
      `${formatKey(keyOf(flinkJob))} has a spec that is not valid, so it does not say where its lineage is`,
      'Give the lineage itself: <checkpointStorage>/<namespace>/<name>.',
    );
  }
  return url;
}

function lineageOfFlinkJob(flinkJob: StoredFlinkJob): string | undefined {
  const storage = checkpointStorageOf(flinkJob);
  return storage === undefined ? undefined : lineageUrlOf(storage, keyOf(flinkJob));
}

/** Of a job on this machine that has the lineage's name, unless another is given. */
async function ownerOf(parsed: ParsedCommandLine): Promise<string> {
  const given = parsed.text('owner');
  if (given !== undefined) {
    return given;
  }
  const [namespace, name] = (parsed.text('to') ?? '').replace(/\/+$/, '').split('/').slice(-2);
  return `${await machineClusterId()}/${namespace ?? ''}/${name ?? ''}`;
}

/** The JobManager appends it while it runs; without one, it is appended here. A JobManager that starts in between meets the entry. */
async function release(
  parsed: ParsedCommandLine,
  { target, output }: { readonly target: string; readonly output: CommandOutput },
): Promise<number> {
  if (parsed.text('pin') !== undefined) {
    return await runtime(['release', await lineageOf(parsed, target), ...option(parsed, 'pin')]);
  }
  const location = /^[a-z][a-z0-9+.-]*:\/\//.test(target) ? target : pathToFileURL(resolve(target.replace(/^file:/, ''))).href;
  const client = await jobManagerOf(parsed, location);
  if (client === undefined) {
    return await runtime(['release', location]);
  }
  const operationId = `release-${randomUUID()}`;
  await client.releaseSavepoint(operationId, location);
  const operation = await outcomeOf(client, { operationId, timeoutMs: 60_000 });
  if (operation?.state !== 'Completed') {
    throw new CommandFailure(
      `the savepoint was not released: ${operation?.error?.message ?? 'the JobManager gave no answer in time'}`,
      operation?.error?.remedy ?? 'Ask again; releasing twice does no harm.',
    );
  }
  output.report('It is released; the JobManager deletes it with the next cleaning.');
  return exitCodes.ok;
}

/** Of the job of this work directory whose lineage the savepoint is in, if its JobManager answers. */
async function jobManagerOf(parsed: ParsedCommandLine, location: string): Promise<JobClient | undefined> {
  const store = await openExistingStore(workDirectoryOf(parsed)).catch(() => undefined);
  const flinkJobs = (await store?.list()) ?? [];
  const flinkJob = flinkJobs.find((each) => {
    const url = lineageOfFlinkJob(each);
    return url !== undefined && location.startsWith(`${url}/`);
  });
  return flinkJob !== undefined && (await readJobStatus(flinkJob)) !== undefined
    ? jobClient(flinkJob, workDirectoryOf(parsed).root)
    : undefined;
}

async function create(
  parsed: ParsedCommandLine,
  { name: jobName, output }: { readonly name: string; readonly output: CommandOutput },
): Promise<number> {
  const timeoutMs = secondsToMs(parsed.text('timeout') ?? '600');
  const store = await openExistingStore(workDirectoryOf(parsed));
  const flinkJob = await getFlinkJob(store, keyFrom(parsed, jobName));
  const name = formatKey(keyOf(flinkJob));
  const client = jobClient(flinkJob, workDirectoryOf(parsed).root);
  if (client === undefined) {
    throw new CommandFailure(
      `${name} has no JobManager: it is ${flinkJob.status?.state ?? 'Unknown'}`,
      `flinkjob describe ${flinkJob.metadata.name} says why.`,
    );
  }
  const operationId = `savepoint-${randomUUID()}`;
  const startedAtMs = Date.now();
  const stateFormat = parsed.text('format') === 'Canonical' ? 'Canonical' : 'Native';
  // In a list it says more than an id that nobody chose.
  const reason = parsed.text('reason') ?? 'flinkjob savepoint create';
  await client.savepoint(operationId, { stateFormat, reason });
  output.report(`A savepoint of ${name} is being taken …`);
  const operation = await outcomeOf(client, { operationId, timeoutMs, output });
  if (operation === undefined) {
    throw new CommandFailure(
      `the savepoint is not complete after ${formatDuration(timeoutMs)}; it goes on`,
      `flinkjob describe ${flinkJob.metadata.name} shows the state of the job.`,
    );
  }
  if (operation.state === 'Failed') {
    throw new CommandFailure(
      `the savepoint failed: ${operation.error?.message ?? 'no reason was given'}`,
      operation.error?.remedy,
    );
  }
  output.report(`Savepoint ${operation.checkpointId ?? ''} is complete after ${formatDuration(Date.now() - startedAtMs)}:`);
  output.print(operation.location ?? `checkpoint ${operation.checkpointId}`);
  return exitCodes.ok;
}

/** Undefined when it is not known in time. */
async function outcomeOf(
  client: JobClient,
  options: { readonly operationId: string; readonly timeoutMs: number; readonly output?: CommandOutput },
): Promise<OperationStatus | undefined> {
  const { operationId, timeoutMs, output } = options;
  const startedAtMs = Date.now();
  for (let reportedAtMs = startedAtMs; ; ) {
    const job = await client.readStatus();
    const operation = job.operations.find((each) => each.operationId === operationId);
    if (operation !== undefined && operation.state !== 'InProgress') {
      return operation;
    }
    const nowMs = Date.now();
    if (nowMs - startedAtMs > timeoutMs) {
      return undefined;
    }
    if (nowMs - reportedAtMs >= reportIntervalMs) {
      output?.report(`… for ${formatDuration(nowMs - startedAtMs)}; the job is ${job.state}`);
      reportedAtMs = nowMs;
    }
    await pause(pollIntervalMs, new AbortController().signal);
  }
}

function secondsToMs(text: string): number {
  const seconds = Number(text);
  if (!(seconds > 0)) {
    throw new CommandLineError(`flinkjob savepoint: --timeout cannot be "${text}"`, 'Give a number of seconds, such as 60.');
  }
  return seconds * 1000;
}
