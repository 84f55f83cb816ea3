import { beginRollout, dropSuperseded } from './choose-rollout.ts';
import { type Command, type DecideInput, revisionNamed } from './decision.ts';
import type { Step } from './lifecycle-state.ts';
import { blocked, preFlight } from './pre-flight.ts';
import { stabilizing, starting } from './stabilize.ts';
import { stopFailed, stopping } from './stop-job.ts';
import type { Move } from './transitions.ts';

export interface Advance {
  readonly status: Step['status'];
  readonly commands: readonly Command[];
  readonly moves: readonly Move[];
}

/** More moves than that at one moment would be a circle in the table: every circle of it passes a state that waits for time or for the world. */
const movesMax = 12;

/**
 * Takes the rollout as far along the table of `transitions.ts` as facts and time allow. Another spec ends a rollout at once, except while a stop that was sent is
 * undecided; then a new rollout begins, with ids and timers of its own.
 */
export function advanceRollout(input: DecideInput): Advance {
  const moves: Move[] = [];
  let { status } = input;
  for (;;) {
    // The revision that `status` names may be another one since the last step.
    const step = next({ ...input, status, current: revisionNamed(input, status.revision) });
    status = step.status;
    if (step.move === undefined) {
      return { status, commands: step.commands, moves };
    }
    moves.push(step.move);
    if (moves.length > movesMax) {
      throw new Error(`bug: no rest after ${moves.map(({ from, event }) => `${from} ${event}`).join(', ')}`);
    }
  }
}

function next(input: DecideInput): Step {
  const dropped = dropSuperseded(input);
  if (dropped.move !== undefined) {
    return dropped;
  }
  switch (input.status.rollout?.state) {
    case undefined:
      return beginRollout(input);
    case 'PreFlight':
      return preFlight(input);
    case 'Blocked':
      return blocked(input);
    case 'Stopping':
      return stopping(input);
    case 'StopFailed':
      return stopFailed(input);
    case 'Starting':
      return starting(input);
    case 'Stabilizing':
      return stabilizing(input);
  }
}
