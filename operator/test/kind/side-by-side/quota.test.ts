/** A ResourceQuota that has room for what runs, and none for what is asked for next: refused before anything is stopped, and let through by itself once there is room. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { applyManifest, kubectl } from '../cluster-under-test.ts';
import { conditionOf, JobInCluster } from '../job-in-cluster.ts';
import { Story } from '../story.ts';

const namespace = 'tight';
const job = new JobInCluster('quota', { namespace, recordCount: 400_000, recordsPerSecond: 400, parallelism: 1 });
const story = new Story(job);
const taskManager = (memory: string) => ({ slots: 1, resources: { requests: { cpu: '50m' }, limits: { memory } } });

/** Of all pods together; the JobManager, and a pre-flight beside it, have 512Mi each. */
async function setQuota(memory: string): Promise<void> {
  await applyManifest({
    ...{ apiVersion: 'v1', kind: 'ResourceQuota', metadata: { namespace, name: 'memory' } },
    spec: { hard: { 'limits.memory': memory } },
  });
}

/** Refused before anything is stopped; then there is room, and nobody asks again. */
async function refusedUntilThereIsRoom(change: () => Promise<unknown>, says: RegExp, room: string): Promise<void> {
  const before = await job.whatRuns();
  await change();
  const refused = await job.untilBlocked('QuotaExceeded');
  assert.match(refused.error?.message ?? '', says);
  assert.deepEqual(
    ['Stalled', 'RolloutProgressing', 'Running'].map((type) => conditionOf(refused, type)),
    ['True QuotaExceeded', 'False Blocked', 'True Running'],
  );
  await job.untilEvent('RolloutBlocked', says);
  await job.untilMoreIsCommitted();
  assert.deepEqual(await job.whatRuns(), before);
  await setQuota(room);
}

test(
  'a job runs where a quota has room for it and a pre-flight',
  story.step(async () => {
    await setQuota('2Gi');
    await job.apply({ taskManager: taskManager('1Gi') });
    await job.untilRunning();
  }),
);

test(
  'a rescale for which there is no room is refused before anything stops, and goes through once there is',
  story.step(async () => {
    const { attempt } = await job.untilRunning();
    await refusedUntilThereIsRoom(
      () => kubectl('--namespace', namespace, 'scale', 'flinkjob', job.name, '--replicas=2'),
      /no room for 2 TaskManagers: .*memory/,
      '4Gi',
    );
    const status = await job.untilRunning((attempt?.number ?? 0) + 1);
    assert.equal(status.parallelism, 2);
    assert.match(status.restored ?? '', /savepoint/i);
    await job.untilMoreIsCommitted();
  }),
);

test(
  'so is an upgrade with larger pods; in the end output and bucket are exact',
  story.step(async () => {
    await job.untilRunning();
    job.hasten();
    await refusedUntilThereIsRoom(
      () => job.apply({ taskManager: taskManager('4Gi') }),
      /no room for 1 TaskManagers: .*memory/,
      '6Gi',
    );
    return await job.finishExactly();
  }),
);
