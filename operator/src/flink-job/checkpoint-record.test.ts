import assert from 'node:assert/strict';
import { test } from 'node:test';
import { running } from '../../test/fakes/controlled-job.ts';
import { revisionWith } from '../../test/fakes/flink-job-builders.ts';
import { initialStatus } from '../api/flink-job-status.ts';
import { recordCheckpointSparingly } from './checkpoint-record.ts';
import type { DecideInput } from './decision.ts';
import { defaultLimits } from './limits.ts';

// When a newer checkpoint is worth a write of the status. That a job at rest makes none is tested over an API server.

const checkpointRecordMaxMs = 2_400_000;
const startedAtMs = Date.parse('2026-01-01T00:00:00.000Z');

function at(minutes: number): string {
  return new Date(startedAtMs + minutes * 60_000).toISOString();
}

function statusWith(id: number, minutes: number, kind: 'Checkpoint' | 'Savepoint' = 'Checkpoint'): typeof initialStatus {
  const completedTime = at(minutes);
  return {
    ...initialStatus,
    attempt: { number: 1, token: 't', startedTime: at(0), taskManagers: 1, instance: 1, restoreFrom: 'Latest' },
    lastCheckpoint: { id, kind, path: `chk-${id}`, completedTime },
    lastCheckpointTime: completedTime,
  };
}

function recorded(before: typeof initialStatus, after: typeof initialStatus): boolean {
  const limits = { ...defaultLimits, checkpointRecordMaxMs };
  return recordCheckpointSparingly({ status: before, limits } as DecideInput, after) === after;
}

test('the longer an attempt runs, the further apart are records of its checkpoints, up to forty minutes', () => {
  let last = statusWith(0, -5);
  const minutes: number[] = [];
  for (let minute = 1; minute <= 200; minute += 1) {
    const next = statusWith(minute, minute);
    if (recorded(last, next)) {
      minutes.push(minute);
      last = next;
    }
  }
  assert.deepEqual(minutes, [1, 2, 4, 8, 16, 32, 64, 104, 144, 184]);
});

test('a savepoint, a lineage that began anew, and what comes with another change are recorded at once', () => {
  const before = statusWith(10, 30);
  assert.equal(recorded(before, statusWith(11, 31)), false);
  assert.equal(recorded(before, statusWith(11, 31, 'Savepoint')), true);
  assert.equal(recorded(before, statusWith(3, 31)), true);
  assert.equal(recorded(before, { ...statusWith(11, 31), restarts: 1 }), true);
  assert.equal(recorded(before, { ...before, lastCheckpoint: undefined, lastCheckpointTime: undefined }), true);
});

test('decisions see the newest checkpoint, and every one is recorded while a rollout is under way', () => {
  const { world, controller } = running();
  controller.limits = { checkpointRecordMaxMs };
  const recordedId = () => controller.status.lastCheckpoint?.id ?? 0;
  const before = recordedId();
  controller.run(8);
  assert.equal(recordedId(), before, 'a minute has not passed');
  assert.equal(controller.status.conditions.find(({ type }) => type === 'CheckpointFresh')?.status, 'True');

  const next = revisionWith({ job: { args: { version: 'next' } } });
  world.stuck.add(next.name);
  controller.apply(next);
  controller.pass();
  assert.notEqual(controller.status.rollout, undefined);
  assert.ok(recordedId() > before, 'the newest is there when a rollout begins');
});
