import { decideDeletion } from './decide-deletion.ts';
import { type Command, type DecideInput, type Decision, wantsProcesses } from './decision.ts';
import { foldFacts } from './fold-facts.ts';
import { keepProcesses } from './keep-processes.ts';
import { advanceRollout, type Step } from './rollout.ts';
import { describeStatus } from './status.ts';

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
 * 6. Every state of a rollout has a way out that needs nobody's help, or needs only another spec; a spec is accepted in any state.
 */
export function decide(input: DecideInput): Decision {
  if (input.deleting) {
    return decideDeletion(input);
  }
  const folded = foldFacts(input);
  const step: Step = advanceRollout({ ...input, status: folded });
  const kept = keepProcesses({ ...input, status: step.status });
  const status = describeStatus({ ...input, status: { ...kept.status, observedGeneration: input.generation } });
  const commands: readonly Command[] = [...step.commands, ...kept.commands];
  // An attempt that is not Running yet, or not any more, changes too.
  const isQuiet =
    status.rollout === undefined &&
    commands.length === 0 &&
    (!wantsProcesses(status) || input.facts.document?.state === 'Running');
  const { idlePollMs, busyPollMs } = input.limits;
  return { status, commands, requeueAfterMs: isQuiet ? idlePollMs : busyPollMs };
}
