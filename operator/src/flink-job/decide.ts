import type { FlinkJobStatus } from '../api/flink-job-status.ts';
import { recordCheckpointSparingly } from './checkpoint-record.ts';
import { decideDeletion } from './decide-deletion.ts';
import { type Command, type DecideInput, type Decision, revisionNamed, toMs, toTime, wantsProcesses } from './decision.ts';
import { foldFacts } from './fold-facts.ts';
import { keepProcesses } from './keep-processes.ts';
import { lifecycleState } from './lifecycle-state.ts';
import { lingeringPollMs } from './limits.ts';
import { foldPause } from './pause.ts';
import { isRejected } from './policies.ts';
import { foldRestorable } from './restorable.ts';
import { advanceRollout } from './rollout.ts';
import { describeStatus } from './status.ts';
import type { Move } from './transitions.ts';

/**
 * The controller's mind. Pure: spec, status, facts and time → the next status and the commands that follow from it. The caller stores
 * the status before it carries the commands out, so that a controller that dies in between decides the same again.
 *
 * 1. A start has an attempt number above every earlier one and above the lineage's head as its pre-flight read it; status holds it
 *    before a process exists.
 * 2. Nothing starts without a pre-flight of its very revision in the same rollout.
 * 3. A running job is touched only after the new revision has passed its pre-flight.
 * 4. After a stop with savepoint the next revision starts only on the receipt: the JobManager says `closed`, or may not run any more.
 * 5. An operation id means one thing for ever.
 * 6. Every state has a way out that needs nobody's help, or needs only another spec; a spec is accepted in any state. `transitions.ts` has them all.
 * 7. A paused job is sent no command, unless it is deleted.
 */
export function decide(input: DecideInput): Decision {
  if (input.deleting) {
    return decideDeletion(input);
  }
  const paused = { ...input, status: forgetRejected({ ...input, status: foldPause(input) }) };
  const folded = foldRestorable({ ...paused, status: foldFacts(paused) });
  const ended = endMove(paused.status, folded);
  const seen = { ...input, status: folded };
  const advance = input.paused ? { status: folded, commands: [], moves: [] } : advanceRollout(seen);
  const current = revisionNamed(input, advance.status.revision);
  const kept = keepProcesses({ ...input, current, status: advance.status });
  const described = { ...kept.status, observedGeneration: input.generation };
  const status = recordCheckpointSparingly(input, describeStatus({ ...input, current, status: described }));
  const commands: readonly Command[] = input.paused ? [] : [...advance.commands, ...kept.commands, ...expire(input, status)];
  const moves = ended === undefined ? advance.moves : [ended, ...advance.moves];
  return { status, commands, moves, requeueAfterMs: pollMs({ ...input, status }, commands) };
}

/** Soon while something is about to change, and not before where only time changes something: a job that waits for a person costs no more than one that runs. */
function pollMs(input: DecideInput, commands: readonly Command[]): number {
  const { status, facts, limits, nowMs, paused } = input;
  const { idlePollMs, busyPollMs } = limits;
  if (paused) {
    return idlePollMs;
  }
  // On a machine that does not answer processes stay, and telling them again every second helps nobody. That one has gone is heard of.
  const isEndingOnly = commands.every(({ type }) => type === 'Terminate');
  // An attempt that is not Running yet, or not any more, changes too.
  if (!isEndingOnly || (wantsProcesses(status) && facts.document?.state !== 'Running')) {
    return busyPollMs;
  }
  const lingersMs = nowMs - toMs(status.ended?.time ?? status.attempt?.startedTime ?? toTime(nowMs));
  const usualMs = rolloutPollMs(input);
  return commands.length === 0 ? usualMs : Math.min(usualMs, lingeringPollMs(limits, lingersMs));
}

function rolloutPollMs({ status, limits, nowMs }: DecideInput): number {
  const { rollout } = status;
  const { idlePollMs, busyPollMs, stabilizingPollMs } = limits;
  const untilMs = (time: string | undefined) => (time === undefined ? idlePollMs : toMs(time) - nowMs);
  const within = (ms: number) => Math.min(idlePollMs, Math.max(busyPollMs, ms));
  switch (rollout?.state) {
    case undefined:
      return within(untilMs(status.ended?.retryTime));
    case 'Blocked':
    case 'StopFailed':
      return within(untilMs(rollout.retryTime));
    case 'Stabilizing':
      return untilMs(rollout.deadlineTime) <= 0 ? idlePollMs : Math.min(idlePollMs, stabilizingPollMs);
    case 'PreFlight':
    case 'Stopping':
    case 'Starting':
      return busyPollMs;
  }
}

/** Once the spec has asked for something else, it may ask for the same again. */
function forgetRejected(input: DecideInput): FlinkJobStatus {
  const { status, desired } = input;
  return status.rolledBack !== undefined && desired.valid && !isRejected(input) ? { ...status, rolledBack: undefined } : status;
}

/** Within a rollout an attempt that ends is one of the things that the rollout sees; without one it is a move of its own. */
function endMove(before: FlinkJobStatus, after: FlinkJobStatus): Move | undefined {
  const to = after.ended?.state;
  return lifecycleState(before) === 'Steady' && to !== undefined ? { from: 'Steady', event: 'Ended', to } : undefined;
}

/** `spec.ttlSecondsAfterFinished`: the resource goes as if somebody had deleted it. While the spec cannot be used nobody has asked for that: whoever wrote it wants something else of the job. */
function expire(input: DecideInput, { ended, rollout }: FlinkJobStatus): readonly Command[] {
  const ttlSecondsAfterFinished = input.desired.valid ? input.desired.revision.spec.ttlSecondsAfterFinished : undefined;
  const isOver =
    ttlSecondsAfterFinished !== undefined &&
    rollout === undefined &&
    ended?.state === 'Finished' &&
    input.nowMs - toMs(ended.time) >= ttlSecondsAfterFinished * 1000;
  return isOver ? [{ type: 'DeleteResource', operationId: `${input.uid}/expire` }] : [];
}
