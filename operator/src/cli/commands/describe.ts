import type { ImportStatus, JobStatusDocument } from '@flinkjob/runtime/rest';
import type { StoredFlinkJob } from '../../api/flink-job.ts';
import type { FlinkJobStatus, PastRollout } from '../../api/flink-job-status.ts';
import { annotations } from '../../api/labels.ts';
import { parseFlinkJobSpec } from '../../api/parse-flink-job.ts';
import { checkpointRecordOf } from '../../flink-job/checkpoint-record.ts';
import { type Command, exitCodes } from '../command.ts';
import { formatAge, formatBytes, formatCount, formatDuration } from '../format.ts';
import { describeRestored } from '../live-view/job-events.ts';
import { formatBacklog, formatLoad, formatSizes } from '../live-view/render.ts';
import { readJobStatus } from '../local-jobs.ts';
import {
  findController,
  getFlinkJob,
  keyFrom,
  openExistingStore,
  workDirectoryOf,
  workDirectoryOptions,
} from '../work-directory.ts';

export const describe: Command = {
  description: {
    name: 'describe',
    summary: 'Explain one job: state, errors with remedies, rollout, checkpoints',
    positionals: [{ name: 'NAME', required: true, meaning: 'the job' }],
    options: workDirectoryOptions,
    examples: [{ line: 'flinkjob describe word-count', meaning: 'why does it not run?' }],
  },
  async run(parsed, output) {
    const workDirectory = workDirectoryOf(parsed);
    const store = await openExistingStore(workDirectory);
    const flinkJob = await getFlinkJob(store, keyFrom(parsed, parsed.positionals[0] ?? ''));
    const job = await readJobStatus(flinkJob);
    const holder = await findController(workDirectory);
    for (const line of describeLines({ flinkJob, job, nowMs: Date.now() })) {
      output.print(line);
    }
    if (holder === undefined) {
      output.print('');
      output.print(
        'No controller runs on this work directory: what is said above is what it saw last. `flinkjob dev FILE` starts one.',
      );
    }
    return exitCodes.ok;
  },
};

interface DescribeInput {
  readonly flinkJob: StoredFlinkJob;
  /** What the JobManager answered, if one did. */
  readonly job: JobStatusDocument | undefined;
  readonly nowMs: number;
}

/** Pure. What is wrong comes first. */
export function describeLines(input: DescribeInput): readonly string[] {
  const { flinkJob, job, nowMs } = input;
  const { metadata, status } = flinkJob;
  const ago = (time: string) => `${formatAge(nowMs - Date.parse(time))} ago`;
  return [
    ...fields([
      ['Name', metadata.name],
      ['Namespace', metadata.namespace],
      [
        'State',
        metadata.deletionTimestamp === undefined
          ? (status?.state ?? 'Unknown')
          : `Deleting, since ${ago(metadata.deletionTimestamp)}`,
      ],
      ['Revision', status?.revision],
      [
        'Attempt',
        status?.attempt === undefined ? undefined : `${status.attempt.number}, started ${ago(status.attempt.startedTime)}`,
      ],
      ['Restored', job?.restored === undefined ? status?.restored : describeRestored(job.restored)],
      ['Importing', job?.importing === undefined ? undefined : describeImport(job.importing)],
      ['Parallelism', status?.parallelism === undefined ? undefined : String(status.parallelism)],
      ['Restarts', String(status?.restarts ?? 0)],
      ['REST', status?.jobManagerAddress === undefined ? undefined : `http://${status.jobManagerAddress}`],
      ['Age', formatAge(nowMs - Date.parse(metadata.creationTimestamp))],
    ]),
    ...errorLines(status, job),
    ...specLines(flinkJob),
    ...rolloutLines(status, ago),
    ...rolledBackLines(status, ago),
    ...historyLines(status, ago),
    ...endedLines(status, ago),
    ...checkpointLines(status, job, ago),
    ...vertexLines(job),
    ...conditionLines(status, ago),
  ];
}

function describeImport({ url, copiedSizeBytes, totalSizeBytes, copiedFiles, totalFiles }: ImportStatus): string {
  return `${formatBytes(copiedSizeBytes)} of ${formatBytes(totalSizeBytes)} copied, ${copiedFiles} of ${totalFiles} files, from ${url}`;
}

function section(title: string, lines: readonly string[]): readonly string[] {
  return lines.length === 0 ? [] : ['', `${title}:`, ...lines.map((line) => `  ${line}`)];
}

function fields(rows: readonly (readonly [string, string | undefined])[]): readonly string[] {
  const known = rows.flatMap(([name, value]) => (value === undefined ? [] : [[name, value] as const]));
  const width = Math.max(0, ...known.map(([name]) => name.length));
  return known.map(([name, value]) => `${`${name}:`.padEnd(width + 2)} ${value}`);
}

function errorLines(status: FlinkJobStatus | undefined, job: JobStatusDocument | undefined): readonly string[] {
  const errors = [status?.error, status?.rollout?.problem, job?.error].filter((error) => error !== undefined);
  const distinct = new Map(errors.map((error) => [`${error.code} ${error.message}`, error]));
  return section(
    'Error',
    [...distinct.values()].flatMap(({ code, message, remedy }) => [
      `${code}: ${message}`,
      ...(remedy === undefined ? [] : [`What to do: ${remedy}`]),
    ]),
  );
}

function specLines(flinkJob: StoredFlinkJob): readonly string[] {
  const spec = parseFlinkJobSpec(flinkJob.spec);
  if (!spec.ok) {
    return section(
      'Spec',
      spec.problems.flatMap(({ message, remedy }) => [message, ...(remedy === undefined ? [] : [`What to do: ${remedy}`])]),
    );
  }
  const { job, state, upgrade, checkpoints, restore } = spec.value;
  return section(
    'Spec',
    fields([
      ['Module', flinkJob.metadata.annotations?.[annotations.moduleSource] ?? job.module],
      [
        'Arguments',
        Object.entries(job.args)
          .map(([name, value]) => `${name}=${value}`)
          .join(' ') || undefined,
      ],
      ['Parallelism', `${job.parallelism}, at most ${job.maxParallelism}`],
      ['Desired state', job.desiredState],
      ['Upgrade', upgrade.mode],
      ['Restore', restore.from === 'Latest' ? undefined : [restore.from, restore.path, restore.token].filter(Boolean).join(' ')],
      ['Checkpoints', `every ${checkpoints.intervalSeconds} s to ${state.checkpointStorage}`],
    ]),
  );
}

function rolloutLines(status: FlinkJobStatus | undefined, ago: (time: string) => string): readonly string[] {
  const rollout = status?.rollout;
  return rollout === undefined
    ? []
    : section(
        'Rollout',
        fields([
          ['For', rollout.reason],
          ['Revision', rollout.revision],
          ['State', `${rollout.state}, entered ${ago(rollout.stateTime)}${rollout.try > 1 ? `, try ${rollout.try}` : ''}`],
          ['Stop', rollout.stopReason],
          ['Deadline', rollout.deadlineTime],
          ['Next try', rollout.retryTime],
        ]),
      );
}

function rolledBackLines(status: FlinkJobStatus | undefined, ago: (time: string) => string): readonly string[] {
  const rolledBack = status?.rolledBack;
  return rolledBack === undefined
    ? []
    : section(
        'Rolled back',
        fields([
          ['Revision', rolledBack.revision],
          ['When', ago(rolledBack.time)],
          ['Why', rolledBack.problem.message],
        ]),
      );
}

function historyLines(status: FlinkJobStatus | undefined, ago: (time: string) => string): readonly string[] {
  return section(
    'Rollouts that are over',
    (status?.history ?? []).map((past) => pastRolloutLine(past, ago)),
  );
}

/** `3 Upgrade to 5d0c1e, RolledBack 2m 00s ago: TooManyRestarts: it restarted 4 times`. */
export function pastRolloutLine(
  { id, reason, revision, outcome, endedTime, problem }: PastRollout,
  ago: (time: string) => string,
): string {
  const what = revision === undefined ? reason : `${reason} to ${revision}`;
  const why = problem === undefined ? '' : `: ${problem.code}: ${problem.message}`;
  return `${id} ${what}, ${outcome} ${ago(endedTime)}${why}`;
}

function endedLines(status: FlinkJobStatus | undefined, ago: (time: string) => string): readonly string[] {
  const ended = status?.ended;
  const checkpoint = ended?.checkpointId === undefined ? undefined : `checkpoint ${ended.checkpointId}`;
  return ended === undefined
    ? []
    : section(
        'Ended',
        fields([
          ['How', ended.state],
          ['When', ago(ended.time)],
          ['State kept in', checkpoint],
        ]),
      );
}

function checkpointLines(
  status: FlinkJobStatus | undefined,
  job: JobStatusDocument | undefined,
  ago: (time: string) => string,
): readonly string[] {
  const detail = job?.lastCheckpoint;
  const last = detail === undefined ? status?.lastCheckpoint : checkpointRecordOf(detail);
  const counts = job?.checkpointCounts;
  return section(
    'Checkpoints',
    fields([
      ['Last', last === undefined ? undefined : `${last.kind} ${last.id}, ${ago(last.completedTime)}, ${last.path}`],
      [
        'Size',
        detail === undefined
          ? undefined
          : `${formatSizes(detail)}${detail.uploadedSizeBytes === undefined ? '' : `, ${formatBytes(detail.uploadedSizeBytes)} uploaded`}, took ${formatDuration(detail.completedAtMs - detail.triggeredAtMs)}`,
      ],
      [
        'Counts',
        counts === undefined
          ? undefined
          : `${counts.completed} completed, ${counts.failed} failed, ${counts.inProgress} under way`,
      ],
      [
        'At risk',
        job?.restorableAgeSeconds === undefined
          ? undefined
          : `${formatAge(job.restorableAgeSeconds * 1000)} of work, which a failure now would repeat`,
      ],
      ...(job?.guarantees ?? []).map(({ uid, guarantee, reason }) => [`Sink ${uid}`, `${guarantee}: ${reason}`] as const),
    ]),
  );
}

function vertexLines(job: JobStatusDocument | undefined): readonly string[] {
  const vertices = job?.vertices ?? [];
  const backlog = formatBacklog(vertices);
  return section('Vertices', [
    ...vertices.map(
      ({ name, runningSubtasks, endedSubtasks, parallelism, recordsIn, recordsOut, stateSizeBytes, load }) =>
        `${name}: ${load === undefined ? '' : `${formatLoad(load)}, `}${runningSubtasks} of ${parallelism} subtasks run${endedSubtasks > 0 ? `, ${endedSubtasks} ended` : ''}, ${formatCount(recordsIn)} records in, ${formatCount(recordsOut)} out, ${formatBytes(stateSizeBytes)} of state`,
    ),
    ...(backlog === '' ? [] : [`Sources: ${backlog}`]),
  ]);
}

function conditionLines(status: FlinkJobStatus | undefined, ago: (time: string) => string): readonly string[] {
  return section(
    'Conditions',
    (status?.conditions ?? []).map(
      ({ type, status: holds, reason, message, lastTransitionTime }) =>
        `${type}=${holds} ${reason}, since ${ago(lastTransitionTime)}: ${message}`,
    ),
  );
}
