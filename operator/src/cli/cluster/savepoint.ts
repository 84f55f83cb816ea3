import type { Problem } from '../../api/flink-job-status.ts';
import { apiVersion } from '../../api/labels.ts';
import type { KubernetesObject } from '../../kubernetes/object-client.ts';
import { CommandFailure, type CommandOutput, exitCodes } from '../command.ts';
import { pause } from '../file-watch.ts';
import { formatBytes, formatDuration } from '../format.ts';
import { type Cluster, fieldManager, getFlinkJob } from './cluster.ts';
import { clusterCommand } from './cluster-command.ts';
import { timeoutMsOf, waitOptions } from './wait.ts';

/** As much of one as is written and read here. */
interface SavepointObject extends KubernetesObject {
  readonly spec: object;
  readonly status?: {
    readonly state?: string;
    readonly checkpointId?: number;
    readonly path?: string;
    readonly sizeBytes?: number;
    readonly problem?: Problem;
    readonly conditions?: readonly {
      readonly type: string;
      readonly status: string;
      readonly reason: string;
      readonly message: string;
    }[];
  };
}

const savepoints = { apiVersion, kind: 'FlinkSavepoint' };
/** One small request. */
const pollIntervalMs = 1000;

export const savepoint = clusterCommand(
  {
    name: 'savepoint',
    summary: 'Take a savepoint of a running job: makes a FlinkSavepoint and waits for it',
    details: [
      'The savepoint belongs to that resource, and kubectl delete flinksavepoint removes both; with --retain only the resource.',
      'kubectl get flinksavepoints lists them. To start from one, point spec.restore of a FlinkJob at its path.',
    ],
    positionals: [{ name: 'NAME', required: true, meaning: 'the job' }],
    options: {
      format: {
        type: 'string',
        value: 'FORMAT',
        choices: ['Native', 'Canonical'],
        default: 'Native',
        meaning: 'Native costs nothing more than a checkpoint, Canonical is read by every state backend',
      },
      name: { type: 'string', value: 'NAME', default: '<job>-<time>', meaning: 'of the FlinkSavepoint' },
      drill: { type: 'boolean', meaning: 'also prove that it can be restored: a pod reads every file and row' },
      retain: { type: 'boolean', meaning: 'what is in storage stays when the resource is deleted' },
      'no-wait': { type: 'boolean', meaning: 'return as soon as it is asked for' },
      timeout: waitOptions.timeout,
    },
    examples: [{ line: 'flinkjob savepoint word-count', meaning: 'the location is the only line on standard output' }],
  },
  async (cluster, parsed, output) => {
    const flinkJob = await getFlinkJob(cluster, parsed.positionals[0] ?? '');
    const job = flinkJob.metadata.name;
    const timeoutMs = timeoutMsOf(parsed);
    const created = await create(cluster, {
      name: parsed.text('name') ?? `${job}-${new Date().toISOString().replace(/\D/g, '').slice(0, 14)}`,
      spec: {
        flinkJobName: job,
        format: parsed.text('format') ?? 'Native',
        ...(parsed.flag('drill') ? { drill: 'Once' } : {}),
        ...(parsed.flag('retain') ? { deletionPolicy: 'Retain' } : {}),
      },
    });
    const { name } = created.metadata;
    output.report(`flinksavepoint.flinkjob.dev/${name} created`);
    if (flinkJob.status?.state !== 'Running') {
      output.report(`${job} is ${flinkJob.status?.state ?? 'Unknown'}; the savepoint is taken when it runs.`);
    }
    if (!parsed.flag('no-wait')) {
      const done = await awaitCompleted(cluster, { name, timeoutMs, drill: parsed.flag('drill'), output });
      output.print(done.status?.path ?? name);
    }
    return exitCodes.ok;
  },
);

async function create(
  cluster: Cluster,
  { name, spec }: { readonly name: string; readonly spec: object },
): Promise<SavepointObject> {
  const { namespace } = cluster;
  const path = await cluster.access.paths.pathOf(savepoints, { namespace });
  const body = { ...savepoints, metadata: { namespace, name }, spec };
  // Not repeated after a lost answer: the name would be taken by our own.
  const answer = await cluster.access.requests.send(
    { method: 'POST', path, body, query: { fieldManager } },
    { repeatable: false },
  );
  return answer.body as SavepointObject;
}

async function awaitCompleted(
  cluster: Cluster,
  options: { readonly name: string; readonly timeoutMs: number; readonly drill: boolean; readonly output: CommandOutput },
): Promise<SavepointObject> {
  const { name, timeoutMs, drill, output } = options;
  const { namespace } = cluster;
  const startedAtMs = Date.now();
  for (let said = ''; ; ) {
    const found = await cluster.client.get<SavepointObject>({ ...savepoints, namespace, name });
    if (found === undefined) {
      throw new CommandFailure(`FlinkSavepoint ${name} was deleted meanwhile`, 'Take another one.');
    }
    const outcome = outcomeOf(found, drill);
    if (outcome.state === 'Failed') {
      throw new CommandFailure(`the savepoint failed: ${outcome.message}`, outcome.remedy);
    }
    if (outcome.state === 'Done') {
      const { checkpointId, sizeBytes } = found.status ?? {};
      const size = sizeBytes === undefined ? '' : `, ${formatBytes(sizeBytes)} of state`;
      output.report(`Savepoint ${checkpointId ?? ''} is complete after ${formatDuration(Date.now() - startedAtMs)}${size}:`);
      return found;
    }
    if (outcome.message !== said) {
      output.report(`… ${outcome.message}`);
      said = outcome.message;
    }
    if (Date.now() - startedAtMs > timeoutMs) {
      throw new CommandFailure(
        `the savepoint is not complete after ${formatDuration(timeoutMs)}: ${outcome.message}`,
        `It goes on: kubectl get flinksavepoint ${name} --namespace ${namespace}.`,
      );
    }
    await pause(pollIntervalMs, new AbortController().signal);
  }
}

type Outcome =
  | { readonly state: 'Waiting'; readonly message: string }
  | { readonly state: 'Done' }
  | { readonly state: 'Failed'; readonly message: string; readonly remedy: string | undefined };

/** Pure. */
function outcomeOf({ status }: SavepointObject, drill: boolean): Outcome {
  const problem = status?.problem;
  switch (status?.state) {
    case 'Completed':
      return drill ? drillOutcomeOf(status) : { state: 'Done' };
    case 'Failed':
    case 'Abandoned':
      return { state: 'Failed', message: problem?.message ?? 'no reason is given', remedy: problem?.remedy };
    default: {
      const state = status?.state ?? 'no operator has looked at it yet';
      return { state: 'Waiting', message: problem === undefined ? state : `${state}: ${problem.message}` };
    }
  }
}

function drillOutcomeOf(status: NonNullable<SavepointObject['status']>): Outcome {
  const restorable = status.conditions?.find(({ type }) => type === 'Restorable');
  switch (restorable?.status) {
    case 'True':
      return { state: 'Done' };
    case 'False':
      return {
        state: 'Failed',
        message: `it is there, but cannot be restored: ${restorable.message}`,
        remedy: status.problem?.remedy,
      };
    default:
      return {
        state: 'Waiting',
        message: `it is complete, and the drill runs${restorable === undefined ? '' : ` (${restorable.reason})`}`,
      };
  }
}
