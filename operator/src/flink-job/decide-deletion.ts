import { decidePurge } from './decide-purge.ts';
import { type Command, currentJobManager, type DecideInput, type Decision, toMs, toTime } from './decision.ts';
import { describeStatus } from './status.ts';

/**
 * Deletion: cancel, end the processes, purge the lineage if `checkpoints.onDelete` says so, let the resource go. Past the deadline the
 * resource goes whatever is left, so that nobody waits for ever for a process that cannot be ended, or a storage that does not answer.
 */
export function decideDeletion(input: DecideInput): Decision {
  const { status, facts, limits, nowMs, uid } = input;
  const deletion = status.deletion ?? { deadlineTime: toTime(nowMs + limits.deletionTimeoutMs), operationId: `${uid}/delete` };
  const next = { ...status, deletion, rollout: undefined, observedGeneration: input.generation };
  const described = describeStatus({ ...input, status: next });
  const processes = [...facts.jobManagers, ...facts.taskManagers];
  const late = nowMs >= toMs(deletion.deadlineTime);
  if (processes.length === 0 || late) {
    const orphaned = processes.length > 0;
    const purge = decidePurge(input, deletion, { orphaned });
    if (purge.type === 'Pending') {
      const purging = describeStatus({ ...input, status: { ...next, deletion: purge.deletion } });
      return { status: purging, commands: purge.commands, requeueAfterMs: limits.busyPollMs };
    }
    const unpurged = purge.type === 'GivenUp' ? purge.problem : undefined;
    const release: Command = { type: 'Release', operationId: `${deletion.operationId}/release`, orphaned, unpurged };
    return { status: described, commands: [release], requeueAfterMs: limits.idlePollMs };
  }
  const address = currentJobManager(status, facts)?.restAddress;
  const begunMs = toMs(deletion.deadlineTime) - limits.deletionTimeoutMs;
  const cancelling = address !== undefined && isCancellable(facts.document?.state) && nowMs - begunMs < limits.cancelTimeoutMs;
  const command: Command = cancelling
    ? { type: 'CancelJob', operationId: `${deletion.operationId}/cancel`, address }
    : { type: 'Terminate', operationId: `${deletion.operationId}/end`, which: { type: 'All' }, graceMs: limits.terminateGraceMs };
  return { status: described, commands: [command], requeueAfterMs: limits.busyPollMs };
}

/** In the other states there is nothing to cancel. */
export function isCancellable(state: string | undefined): boolean {
  return state === 'Running' || state === 'Restarting' || state === 'Deploying' || state === 'WaitingForTaskManagers';
}
