import { CommandFailure, exitCodes } from '../command.ts';
import { type FlinkJobObject, getFlinkJob, patchFlinkJob } from './cluster.ts';
import { clusterCommand } from './cluster-command.ts';
import { isObserved, isReady, waitFor, waitOptions } from './wait.ts';

/** What a person asks of a job's life. Each writes one field of the spec, as anybody could with `kubectl patch`; the operator does the rest. */

const positionals = [{ name: 'NAME', required: true, meaning: 'the job' }];

function desiredStateOf({ spec }: FlinkJobObject): string {
  return (spec['job'] as { readonly desiredState?: string } | undefined)?.desiredState ?? 'Running';
}

/** Refused as a conflict when somebody changed it since it was read: a person decided on what was seen. */
function based({ metadata }: FlinkJobObject, spec: object): object {
  return { metadata: { resourceVersion: metadata.resourceVersion }, spec };
}

export const suspend = clusterCommand(
  {
    name: 'suspend',
    summary: 'Stop a job with a savepoint and keep its state (spec.job.desiredState Suspended)',
    positionals,
    options: waitOptions,
    examples: [{ line: 'flinkjob suspend word-count --wait', meaning: 'return when its pods are gone' }],
  },
  async (cluster, parsed, output) => {
    const name = parsed.positionals[0] ?? '';
    const found = await getFlinkJob(cluster, name);
    if (desiredStateOf(found) === 'Suspended') {
      output.report(`${name} is already to be suspended; nothing was changed.`);
    } else {
      await patchFlinkJob(cluster, name, based(found, { job: { desiredState: 'Suspended' } }));
      output.print(`flinkjob.flinkjob.dev/${name} suspended`);
      output.report('It is stopped with a savepoint; kubectl flinkjob resume continues from there.');
    }
    if (parsed.flag('wait')) {
      const isDone = (flinkJob: FlinkJobObject) =>
        isObserved(flinkJob) && flinkJob.status?.ended !== undefined && flinkJob.status.rollout === undefined;
      await waitFor(cluster, { name, parsed, output, isDone });
    }
    return exitCodes.ok;
  },
);

export const resume = clusterCommand(
  {
    name: 'resume',
    summary: 'Start a suspended job where it stopped (spec.job.desiredState Running)',
    positionals,
    options: waitOptions,
    examples: [{ line: 'flinkjob resume word-count --wait', meaning: 'return when it runs' }],
  },
  async (cluster, parsed, output) => {
    const name = parsed.positionals[0] ?? '';
    const found = await getFlinkJob(cluster, name);
    if (desiredStateOf(found) === 'Running') {
      output.report(`${name} is already to be running; nothing was changed.`);
    } else {
      await patchFlinkJob(cluster, name, based(found, { job: { desiredState: 'Running' } }));
      output.print(`flinkjob.flinkjob.dev/${name} resumed`);
    }
    if (parsed.flag('wait')) {
      await waitFor(cluster, { name, parsed, output, isDone: isReady });
    }
    return exitCodes.ok;
  },
);

export const restart = clusterCommand(
  {
    name: 'restart',
    summary: 'Stop a job and start the same revision again, with its state (spec.restartNonce)',
    details: ['As an upgrade does it: pre-flight first, then a stop by spec.upgrade.mode, then the start from there.'],
    positionals,
    options: waitOptions,
    examples: [{ line: 'flinkjob restart word-count --wait', meaning: 'return when it runs again' }],
  },
  async (cluster, parsed, output) => {
    const name = parsed.positionals[0] ?? '';
    const found = await getFlinkJob(cluster, name);
    if (desiredStateOf(found) === 'Suspended') {
      throw new CommandFailure(
        `${name} is suspended, so there is nothing to restart`,
        `Start it with kubectl flinkjob resume ${name}.`,
      );
    }
    const before = found.spec['restartNonce'];
    const nonce = (typeof before === 'number' ? before : 0) + 1;
    const patched = await patchFlinkJob(cluster, name, based(found, { restartNonce: nonce }));
    if (patched.spec['restartNonce'] !== nonce) {
      throw new CommandFailure(
        'this cluster has a definition of FlinkJob without spec.restartNonce, so nothing was restarted',
        'Upgrade the operator with its chart.',
      );
    }
    output.print(`flinkjob.flinkjob.dev/${name} restarted`);
    if (parsed.flag('wait')) {
      await waitFor(cluster, { name, parsed, output, isDone: isReady });
    }
    return exitCodes.ok;
  },
);
