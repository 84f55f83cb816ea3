/**
 * Keys of the bucket that are wrong: when the job is made, and from one moment to the next while it runs. Both are named, nothing is lost, and nobody has to touch the job once the
 * key is right again. A key that was replaced is in pods that start anew.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { kubectl } from '../cluster-under-test.ts';
import { conditionOf, JobInCluster, newestToken } from '../job-in-cluster.ts';
import { createUser, setKeyInSecret, setKeyOnServer, startStorageOfItsOwn } from '../storage-of-its-own.ts';
import { Story } from '../story.ts';

const namespace = 'locked-out';
const job = new JobInCluster('credentials', {
  ...{ namespace, recordCount: 400_000, recordsPerSecond: 400, parallelism: 1, ownStorage: true },
});
const story = new Story(job);
const [firstKey, secondKey, wrongKey] = ['the-first-key', 'the-second-key', 'not-the-key'];
const refusal = /the secret key does not fit the access key; check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY/;

test(
  'a job with a wrong key is refused by name before anything of it starts',
  story.step(async () => {
    await startStorageOfItsOwn(namespace);
    await createUser(namespace, firstKey);
    await setKeyInSecret(namespace, wrongKey);
    await job.apply();
    const refused = await job.untilBlocked('CheckpointStorageNotWritable');
    assert.match(refused.error?.message ?? '', refusal);
    assert.deepEqual(
      ['Ready', 'Stalled', 'RolloutProgressing'].map((type) => conditionOf(refused, type)),
      ['False CheckpointStorageNotWritable', 'True CheckpointStorageNotWritable', 'False Blocked'],
    );
    await job.untilEvent('RolloutBlocked', refusal);
    assert.equal(refused.attempt, undefined);
    assert.deepEqual([...(await job.pods('jobmanager')), ...(await job.pods('taskmanager'))], []);
  }),
);

test(
  'with the right one it starts by itself',
  story.step(async () => {
    await setKeyInSecret(namespace, firstKey);
    await job.untilRunning(1);
    await job.untilMoreIsCommitted();
  }),
);

test(
  'a key that is refused while the job runs is named; the same JobManager goes on once it is right again',
  story.step(async () => {
    const before = await job.untilRunning();
    const [epoch] = newestToken(job.committed());
    await setKeyOnServer(namespace, wrongKey);
    await job.untilEvent('CheckpointFailed', refusal);
    await job.untilStatus('says why its checkpoints fail', ({ conditions }) =>
      conditions.some(({ type, message }) => type === 'CheckpointFresh' && refusal.test(message)),
    );
    await setKeyOnServer(namespace, firstKey);
    await job.untilMoreIsCommitted();
    const after = await job.untilStatus(
      'checkpoints are fresh',
      (status) => conditionOf(status, 'CheckpointFresh') === 'True CheckpointFresh',
    );
    assert.deepEqual(
      [after.attempt?.number, after.attempt?.instance, newestToken(job.committed())[0]],
      [before.attempt?.number, before.attempt?.instance, epoch],
    );
    await job.expectExactOutput();
    return `${after.restarts - before.restarts} restarts of its tasks`;
  }),
);

test(
  'a key that was replaced, on the server and in the Secret, is there when the pods start anew',
  story.step(async () => {
    await setKeyOnServer(namespace, secondKey);
    await setKeyInSecret(namespace, secondKey);
    await job.untilStatus('says why its checkpoints fail', ({ conditions }) =>
      conditions.some(({ type, message }) => type === 'CheckpointFresh' && refusal.test(message)),
    );
    const before = newestToken(job.committed());
    const startedAtMs = performance.now();
    await kubectl('--namespace', namespace, 'delete', 'pods', `--selector=flinkjob.dev/name=${job.name}`, '--wait=false');
    const seconds = await job.untilCommittedAgain(startedAtMs, before);
    await job.expectExactOutput();
    return `commits again ${seconds.toFixed(1)} s after its pods were deleted`;
  }),
);

test(
  'in the end output and bucket are exact',
  story.step(async () => {
    await job.hurry();
    return await job.finishExactly();
  }),
);
