import assert from 'node:assert/strict';
import { findCondition } from '../../src/api/conditions.ts';
import type { Command } from '../../src/flink-job/decision.ts';
import { FakeWorld } from './fake-world.ts';
import { revisionWith } from './flink-job-builders.ts';
import { PureController } from './pure-controller.ts';

export interface ControlledJob {
  readonly world: FakeWorld;
  readonly controller: PureController;
  /** Every command that was decided. */
  readonly said: Command[];
}

/** A controller that has not looked yet. */
export function controlled(revision = revisionWith()): ControlledJob {
  const world = new FakeWorld();
  const controller = new PureController(world, revision);
  const said: Command[] = [];
  controller.onCommand((command) => said.push(command));
  return { world, controller, said };
}

/** A job that runs, and is stable. */
export function running(revision = revisionWith()): ControlledJob {
  const all = controlled(revision);
  all.controller.run(10);
  assert.equal(all.controller.status.state, 'Running');
  assert.equal(all.controller.status.rollout, undefined);
  all.said.length = 0;
  return all;
}

/** Without repetitions. */
export function commandTypes(said: readonly Command[]): readonly string[] {
  return said.map(({ type }) => type).filter((type, index, list) => type !== list[index - 1]);
}

export function conditionOf(controller: PureController, type: Parameters<typeof findCondition>[1]): string {
  const found = findCondition(controller.status.conditions, type);
  assert.ok(found !== undefined);
  return `${found.status} ${found.reason}`;
}
