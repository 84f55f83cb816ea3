import { decideDeletion } from './decide-deletion.ts';
import { decideDrill } from './decide-drill.ts';
import { decideTaking } from './decide-taking.ts';
import { isTerminal, type SavepointDecision, type SavepointInput, type SavepointStep } from './decision.ts';
import { describeSavepoint } from './describe-savepoint.ts';

/**
 * What becomes of one FlinkSavepoint. Pure: spec, status, facts and time → the next status and the commands that follow from it, which are carried out after that
 * status is stored.
 *
 * 1. An operation id is in the status before anybody hears of it, and means one thing for ever: whoever dies in between asks again for the same.
 * 2. One savepoint of a job is taken at a time.
 * 3. Every state but Completed, Failed and Abandoned has a deadline.
 * 4. Nothing is called Completed but what the JobManager or the lineage says is there.
 * 5. The resource goes: when its savepoint is dealt with, when there is nobody left to deal with it, or past the deadline.
 */
export function decideSavepoint(input: SavepointInput): SavepointDecision {
  const { limits, nowMs } = input;
  const steps = input.deleting ? [decideDeletion] : [decideTaking, decideDrill, decideExpiry];
  let step: SavepointStep = { status: input.status, commands: [] };
  const isAtRest = !input.deleting && isTerminal(input.status);
  let wakeAtMs = nowMs + (isAtRest ? limits.restPollMs : limits.idlePollMs);
  for (const decide of steps) {
    const next = decide({ ...input, status: step.status });
    wakeAtMs = Math.min(wakeAtMs, next.wakeAtMs ?? wakeAtMs);
    step = { status: next.status, commands: [...step.commands, ...next.commands] };
  }
  const status = describeSavepoint({ ...input, status: step.status });
  return { status, commands: step.commands, againAtMs: Math.max(nowMs, wakeAtMs) };
}

/** The last of a schedule stays until there is another: without it its time would be taken for one that has passed unseen. */
function decideExpiry({ status, spec, nowMs, limits, isLastOfSchedule }: SavepointInput): SavepointStep {
  const ttlSeconds = spec.ok ? spec.value.ttlSeconds : undefined;
  if (ttlSeconds === undefined || isLastOfSchedule || !isTerminal(status) || status.completedTime === undefined) {
    return { status, commands: [] };
  }
  const endsAtMs = Date.parse(status.completedTime) + ttlSeconds * 1000;
  return nowMs >= endsAtMs
    ? { status, commands: [{ type: 'Remove' }], wakeAtMs: nowMs + limits.busyPollMs }
    : { status, commands: [], wakeAtMs: endsAtMs };
}
