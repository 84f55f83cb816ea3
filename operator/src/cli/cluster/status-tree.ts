import type { JobStatusDocument } from '@flinkjob/runtime/rest';
import type { StoredFlinkJob } from '../../api/flink-job.ts';
import { labels } from '../../api/labels.ts';
import { parseFlinkJobSpec } from '../../api/parse-flink-job.ts';
import { checkpointRecordOf } from '../../flink-job/checkpoint-record.ts';
import { containerOf, startProblem } from '../../platform/kubernetes/pod-state.ts';
import { pastRolloutLine } from '../commands/describe.ts';
import { formatAge, formatDuration, plural } from '../format.ts';
import { describeRestored } from '../live-view/job-events.ts';
import { formatSizes } from '../live-view/render.ts';
import type { Line, Tone } from '../live-view/style.ts';
import type { Asked } from './job-manager-proxy.ts';
import { componentOf, eventCount, eventTimeMs, type JobEvent, type JobPod } from './job-objects.ts';

/** A job from its resource down to its pods, with what happened last: everything that `status` prints. */

export interface StatusFacts {
  readonly flinkJob: StoredFlinkJob;
  readonly pods: readonly JobPod[];
  /** Oldest first. */
  readonly events: readonly JobEvent[];
  readonly job: Asked<JobStatusDocument>;
  readonly nowMs: number;
}

interface Branch {
  readonly line: Line;
  readonly children?: readonly Branch[];
}

/** `flinkjob history` has all. */
const pastRolloutsMax = 3;
/** Of the newest; `kubectl events` has all. */
const eventsMax = 8;

/** Pure. */
export function statusTree(facts: StatusFacts): readonly Line[] {
  const root: Branch = {
    line: rootLine(facts),
    children: [
      ...problemBranches(facts),
      ...pausedBranches(facts),
      ...rolloutBranches(facts),
      ...pastRolloutBranches(facts),
      attemptBranch(facts),
      ...otherPodBranches(facts),
      ...checkpointBranches(facts),
      ...conditionBranches(facts),
      ...eventBranches(facts),
    ],
  };
  return [root.line, ...drawn(root.children ?? [], '')];
}

function drawn(branches: readonly Branch[], indent: string): readonly Line[] {
  return branches.flatMap(({ line, children = [] }, index) => {
    const isLast = index === branches.length - 1;
    return [
      [{ text: `${indent}${isLast ? '└─ ' : '├─ '}`, tone: 'quiet' as const }, ...line],
      ...drawn(children, `${indent}${isLast ? '   ' : '│  '}`),
    ];
  });
}

function rootLine({ flinkJob, nowMs }: StatusFacts): Line {
  const { metadata, status } = flinkJob;
  const state = metadata.deletionTimestamp === undefined ? (status?.state ?? 'Unknown') : 'Deleting';
  const isObserved = status?.observedGeneration === metadata.generation;
  return [
    { text: `FlinkJob ${metadata.namespace}/${metadata.name}`, tone: 'strong' },
    { text: '  ', tone: 'plain' },
    { text: state, tone: toneOfState(state, status?.error !== undefined) },
    {
      text: `  age ${formatAge(nowMs - Date.parse(metadata.creationTimestamp))}, generation ${metadata.generation}`,
      tone: 'plain',
    },
    ...(isObserved ? [] : [{ text: ', which no operator has looked at yet: does one run?', tone: 'bad' as const }]),
  ];
}

function toneOfState(state: string, isWrong: boolean): Tone {
  if (isWrong || state === 'Failed' || state === 'Blocked') {
    return 'bad';
  }
  return state === 'Running' || state === 'Finished' ? 'good' : 'busy';
}

/** What is wrong comes before what is. */
function problemBranches({ flinkJob, job }: StatusFacts): readonly Branch[] {
  const { status, spec } = flinkJob;
  const parsed = parseFlinkJobSpec(spec);
  const found = [
    ...(parsed.ok ? [] : parsed.problems),
    status?.error,
    status?.rollout?.problem,
    status?.ended?.problem,
    status?.rolledBack?.problem,
    job.ok ? job.value.error : undefined,
  ].filter((problem) => problem !== undefined);
  const distinct = [...new Map(found.map((problem) => [`${problem.code} ${problem.message}`, problem])).values()];
  return distinct.map(({ code, message, remedy }) => ({
    line: [{ text: `${code}: ${message}`, tone: 'bad' }],
    children: remedy === undefined ? [] : [{ line: [{ text: `What to do: ${remedy}`, tone: 'plain' }] }],
  }));
}

function pausedBranches({ flinkJob, nowMs }: StatusFacts): readonly Branch[] {
  const since = flinkJob.status?.pausedTime;
  const text = `Paused for ${formatAge(nowMs - Date.parse(since ?? ''))} by the annotation flinkjob.dev/paused: the operator changes nothing until it is removed`;
  return since === undefined ? [] : [{ line: [{ text, tone: 'busy' }] }];
}

function rolloutBranches({ flinkJob, nowMs }: StatusFacts): readonly Branch[] {
  const rollout = flinkJob.status?.rollout;
  if (rollout === undefined) {
    return [];
  }
  const since = formatAge(nowMs - Date.parse(rollout.stateTime));
  const next = rollout.retryTime === undefined ? '' : `, next try in ${formatAge(Date.parse(rollout.retryTime) - nowMs)}`;
  const deadline =
    rollout.deadlineTime === undefined ? '' : `, given up in ${formatAge(Date.parse(rollout.deadlineTime) - nowMs)}`;
  const revision = rollout.revision === undefined ? '' : ` to revision ${rollout.revision}`;
  const counted = rollout.state === 'Stabilizing' ? `, ${plural(rollout.completedCheckpoints ?? 0, 'checkpoint')} completed` : '';
  const isStuck = rollout.state === 'Blocked' || rollout.state === 'StopFailed';
  return [
    {
      line: [
        { text: `Rollout ${rollout.id}`, tone: 'strong' },
        { text: `  ${rollout.reason}${revision}: `, tone: 'plain' },
        { text: rollout.state, tone: isStuck ? 'bad' : 'busy' },
        { text: ` for ${since}, try ${rollout.try}${counted}${isStuck ? next : deadline}`, tone: 'plain' },
      ],
    },
  ];
}

function attemptBranch(facts: StatusFacts): Branch {
  const { flinkJob, job, nowMs } = facts;
  const attempt = flinkJob.status?.attempt;
  const revision = flinkJob.status?.revision ?? '–';
  if (attempt === undefined) {
    return {
      line: [
        { text: 'Attempt', tone: 'strong' },
        { text: '  none yet', tone: 'plain' },
      ],
    };
  }
  const restored = job.ok && job.value.restored !== undefined ? describeRestored(job.value.restored) : flinkJob.status?.restored;
  const ended = flinkJob.status?.ended;
  return {
    line: [
      { text: `Attempt ${attempt.number}`, tone: 'strong' },
      {
        text: `  revision ${revision}, parallelism ${flinkJob.status?.parallelism ?? 0}, started ${formatAge(nowMs - Date.parse(attempt.startedTime))} ago, ${plural(flinkJob.status?.restarts ?? 0, 'restart')}${restored === undefined ? '' : `; ${restored}`}`,
        tone: 'plain',
      },
      ...(ended === undefined
        ? []
        : [{ text: `; ${ended.state} ${formatAge(nowMs - Date.parse(ended.time))} ago`, tone: 'busy' as const }]),
    ],
    children: podBranches(ofAttempt(facts, true), nowMs),
  };
}

function ofAttempt({ flinkJob, pods }: StatusFacts, isCurrent: boolean): readonly JobPod[] {
  const number = String(flinkJob.status?.attempt?.number ?? '');
  return pods.filter(({ metadata }) => (metadata.labels?.[labels.attempt] === number) === isCurrent);
}

/** Of older attempts, of a pre-flight, of a purge. */
function otherPodBranches(facts: StatusFacts): readonly Branch[] {
  const children = podBranches(ofAttempt(facts, false), facts.nowMs);
  return children.length === 0 ? [] : [{ line: [{ text: 'Other pods', tone: 'strong' }], children }];
}

function podBranches(pods: readonly JobPod[], nowMs: number): readonly Branch[] {
  const rows = pods.map((pod) => podCells(pod, nowMs));
  const widths = [0, 1, 2, 3, 4].map((column) => Math.max(0, ...rows.map(({ cells }) => (cells[column] ?? '').length)));
  return rows.map(({ cells, tone, problem }) => ({
    line: cells.map((text, column) => ({
      text: column === cells.length - 1 ? text : `${text.padEnd(widths[column] ?? 0)}  `,
      tone: column === 2 ? tone : 'plain',
    })),
    children: problem === undefined ? [] : [{ line: [{ text: problem, tone: 'bad' }] }],
  }));
}

const roles: Readonly<Record<string, string>> = {
  jobmanager: 'JobManager',
  taskmanager: 'TaskManager',
  preflight: 'PreFlight',
  purge: 'Purge',
};

function podCells(
  pod: JobPod,
  nowMs: number,
): { readonly cells: readonly string[]; readonly tone: Tone; readonly problem: string | undefined } {
  const { metadata, status, spec } = pod;
  const container = containerOf(pod);
  const state = podState(pod);
  const restarts = container?.restartCount ?? 0;
  const last = container?.lastState?.terminated;
  const lastEnd = last === undefined ? '' : `, the last ended with ${last.reason ?? 'exit code'} ${last.exitCode}`;
  return {
    cells: [
      roles[componentOf(pod)] ?? componentOf(pod),
      metadata.name,
      state,
      spec?.nodeName ?? 'no node',
      `age ${formatAge(nowMs - Date.parse(metadata.creationTimestamp ?? ''))}`,
      `${plural(restarts, 'restart')}${lastEnd}`,
    ],
    tone: state === 'Running' || state === 'Succeeded' ? 'good' : state === 'Pending' || state === 'Terminating' ? 'busy' : 'bad',
    problem: startProblem(pod, nowMs)?.message ?? status?.message,
  };
}

/** One word, as `kubectl get pods` finds it. */
function podState(pod: JobPod): string {
  if (pod.metadata.deletionTimestamp !== undefined) {
    return 'Terminating';
  }
  const { waiting, terminated } = containerOf(pod)?.state ?? {};
  return waiting?.reason ?? terminated?.reason ?? pod.status?.reason ?? pod.status?.phase ?? 'Unknown';
}

function checkpointBranches({ flinkJob, job, nowMs }: StatusFacts): readonly Branch[] {
  const detail = job.ok ? job.value.lastCheckpoint : undefined;
  // The status may be behind; not every checkpoint is worth a write.
  const last = detail === undefined ? flinkJob.status?.lastCheckpoint : checkpointRecordOf(detail);
  const counts = job.ok ? job.value.checkpointCounts : undefined;
  const newest =
    last === undefined
      ? 'none completed yet'
      : `${last.kind} ${last.id}, ${formatAge(nowMs - Date.parse(last.completedTime))} ago, ${last.path}`;
  const sizes =
    detail === undefined ? '' : `; ${formatSizes(detail)}, took ${formatDuration(detail.completedAtMs - detail.triggeredAtMs)}`;
  const atRisk = job.ok ? job.value.restorableAgeSeconds : undefined;
  return [
    {
      line: [
        { text: 'Checkpoints', tone: 'strong' },
        { text: `  ${newest}${sizes}`, tone: 'plain' },
      ],
      children: [
        ...restorableBranches(flinkJob, nowMs),
        ...(counts === undefined
          ? []
          : [
              plainBranch(
                `${counts.completed} completed, ${counts.failed} failed, ${counts.inProgress} under way${atRisk === undefined ? '' : `; a failure now would repeat ${formatAge(atRisk * 1000)} of work`}`,
              ),
            ]),
        ...(job.ok || flinkJob.status?.attempt === undefined || flinkJob.status.ended !== undefined
          ? []
          : [plainBranch(`the JobManager was not asked for more: ${job.why}`)]),
      ],
    },
  ];
}

/** Whether anybody has ever restored it, and how long ago. */
function restorableBranches({ status }: StoredFlinkJob, nowMs: number): readonly Branch[] {
  const { by, result, time, path, savepoint } = status?.restorable ?? {};
  if (time === undefined) {
    return [];
  }
  const what = [savepoint === undefined ? undefined : `savepoint ${savepoint}`, path].filter(Boolean).join(', ');
  const age = `${formatAge(nowMs - Date.parse(time))} ago`;
  return result === 'NotRestorable'
    ? [{ line: [{ text: `NOT restorable, by a drill ${age}: ${what}`, tone: 'bad' }] }]
    : [plainBranch(`proven restorable by ${by === 'Drill' ? 'a drill' : 'a start'} ${age}: ${what}`)];
}

function plainBranch(text: string): Branch {
  return { line: [{ text, tone: 'plain' }] };
}

/** Only where one of the last did not end well: of a job that was only ever upgraded there is nothing to tell. */
function pastRolloutBranches({ flinkJob, nowMs }: StatusFacts): readonly Branch[] {
  const newest = (flinkJob.status?.history ?? []).slice(0, pastRolloutsMax);
  if (!newest.some(({ outcome }) => outcome === 'RolledBack' || outcome === 'Failed')) {
    return [];
  }
  const ago = (time: string) => `${formatAge(nowMs - Date.parse(time))} ago`;
  return [
    {
      line: [{ text: 'Rollouts that are over', tone: 'strong' }],
      children: newest.map((past) => plainBranch(pastRolloutLine(past, ago))),
    },
  ];
}

function conditionBranches({ flinkJob, nowMs }: StatusFacts): readonly Branch[] {
  const conditions = flinkJob.status?.conditions ?? [];
  if (conditions.length === 0) {
    return [];
  }
  return [
    {
      line: [{ text: 'Conditions', tone: 'strong' }],
      children: conditions.map(({ type, status, reason, message, lastTransitionTime }) => ({
        line: [
          { text: `${type}=${status}`, tone: (status === 'True') === (type !== 'Stalled') ? 'plain' : 'busy' },
          { text: `  ${reason}, for ${formatAge(nowMs - Date.parse(lastTransitionTime))}: ${message}`, tone: 'plain' },
        ],
      })),
    },
  ];
}

function eventBranches({ events, nowMs }: StatusFacts): readonly Branch[] {
  const newest = events.slice(-eventsMax);
  if (newest.length === 0) {
    return [
      {
        line: [
          { text: 'Events', tone: 'strong' },
          { text: '  none; Kubernetes keeps them for an hour', tone: 'plain' },
        ],
      },
    ];
  }
  return [
    {
      line: [{ text: 'Events', tone: 'strong' }],
      children: newest.map((event) => ({
        line: [
          { text: `${formatAge(nowMs - eventTimeMs(event))} ago  `, tone: 'quiet' },
          { text: event.reason ?? 'Unknown', tone: event.type === 'Warning' ? 'bad' : 'plain' },
          {
            text: `${eventCount(event) > 1 ? ` ×${eventCount(event)}` : ''}  ${event.regarding?.kind === 'Pod' ? `${event.regarding.name}: ` : ''}${event.note ?? ''}`,
            tone: 'plain',
          },
        ],
      })),
    },
  ];
}
