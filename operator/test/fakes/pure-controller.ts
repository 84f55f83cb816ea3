import assert from 'node:assert/strict';
import { FlinkJobStatus, initialStatus } from '../../src/api/flink-job-status.ts';
import { decide } from '../../src/flink-job/decide.ts';
import type { Command, Desired } from '../../src/flink-job/decision.ts';
import { lifecycleState } from '../../src/flink-job/lifecycle-state.ts';
import { type DecideLimits, defaultLimits } from '../../src/flink-job/limits.ts';
import type { Revision } from '../../src/flink-job/revision.ts';
import { diffRevisions } from '../../src/flink-job/spec-diff.ts';
import { isLegal, type LifecycleState, type Move } from '../../src/flink-job/transitions.ts';
import type { FakeWorld } from './fake-world.ts';

/** The controller's loop without I/O, over a fake world: what is stored, and passes that may die between status and commands. */
export class PureController {
  status: FlinkJobStatus = initialStatus;
  uid = 'uid-1';
  generation = 1;
  deleting = false;
  paused = false;
  expired = false;
  desired: Desired;
  released = false;
  /** Other bounds than usual. */
  limits: Partial<DecideLimits> = {};
  /** As the last pass has decided. */
  requeueAfterMs: number | undefined;
  readonly world: FakeWorld;
  readonly revisions = new Map<string, Revision>();
  /** Every move so far. */
  readonly moves: Move[] = [];
  readonly #listeners: ((command: Command, status: FlinkJobStatus) => void)[] = [];
  #tokens = 0;

  constructor(world: FakeWorld, revision: Revision) {
    this.world = world;
    this.desired = { valid: true, revision };
  }

  onCommand(listener: (command: Command, status: FlinkJobStatus) => void): void {
    this.#listeners.push(listener);
  }

  apply(revision: Revision): void {
    this.desired = { valid: true, revision };
    this.generation += 1;
  }

  applyInvalid(): void {
    this.desired = { valid: false, problem: { code: 'InvalidSpec', message: 'spec.job: wrong', remedy: 'Correct it.' } };
    this.generation += 1;
  }

  /** `dieAfter`: how many commands are carried out before the controller dies; the status is stored in any case. */
  pass(dieAfter = Number.POSITIVE_INFINITY): readonly Command[] {
    const { world, status } = this;
    this.#tokens += 1;
    const decision = decide({
      uid: this.uid,
      generation: this.generation,
      deleting: this.deleting,
      desired: this.desired,
      current: this.revisions.get(status.revision ?? ''),
      target: this.revisions.get(status.rollout?.revision ?? ''),
      stable: this.revisions.get(status.stable?.revision ?? ''),
      rejected: this.revisions.get(status.rolledBack?.revision ?? ''),
      paused: this.paused,
      status,
      facts: world.facts(status),
      limits: { ...defaultLimits, ...this.limits },
      nowMs: world.nowMs,
      freshToken: `${this.uid}-token-${this.#tokens}`,
    });
    this.requeueAfterMs = decision.requeueAfterMs;
    checkMoves({ before: status, moves: decision.moves, after: decision.status });
    this.moves.push(...decision.moves);
    // What a store would do to it, and what it would refuse.
    this.status = FlinkJobStatus.parse(JSON.parse(JSON.stringify(decision.status)));
    if (this.desired.valid) {
      this.revisions.set(this.desired.revision.name, this.desired.revision);
    }
    for (const command of decision.commands) {
      for (const listener of this.#listeners) {
        listener(command, this.status);
      }
    }
    for (const command of decision.commands.slice(0, dieAfter)) {
      world.act(command);
      this.released ||= command.type === 'Release';
      this.expired ||= command.type === 'DeleteResource';
    }
    return decision.commands;
  }

  /** Passes, steps of the world and time, in turn. */
  run(rounds: number, stepMs = 1_000): void {
    for (let round = 0; round < rounds; round += 1) {
      this.pass();
      this.world.progress();
      this.world.nowMs += stepMs;
    }
  }

  /** Whether what the spec asks for is there. */
  isSettled(): boolean {
    const { desired, status } = this;
    if (!desired.valid || status.rollout !== undefined) {
      return false;
    }
    if (status.ended?.state === 'Finished') {
      return true;
    }
    if (desired.revision.spec.job.desiredState === 'Suspended') {
      return status.ended?.state === 'Suspended';
    }
    const current = this.revisions.get(status.revision ?? '');
    const same = current !== undefined && diffRevisions(current, desired.revision).action === 'None';
    return same && status.ended === undefined && this.world.facts(status).document?.state === 'Running';
  }
}

/** Each move is a row of the table, and together they lead from the one status to the other: no state changes without a row. */
function checkMoves({
  before,
  moves,
  after,
}: {
  readonly before: FlinkJobStatus;
  readonly moves: readonly Move[];
  readonly after: FlinkJobStatus;
}): void {
  let at: LifecycleState = lifecycleState(before);
  for (const move of moves) {
    assert.ok(isLegal(move), `not in the table: ${JSON.stringify(move)}`);
    assert.equal(move.from, at, `from ${at}: ${JSON.stringify(moves)}`);
    at = move.to;
  }
  assert.equal(at === 'Gone' ? at : lifecycleState(after), at, `moves ${JSON.stringify(moves)} do not lead there`);
}
