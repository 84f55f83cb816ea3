/** `kubectl flinkjob` as a person uses it on a job that runs: what each command says, and what becomes of the job. Its other answers are in operator/test/api/kubectl-flinkjob.test.ts. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import { clusterEnvironment } from '../../../../hack/kind/cluster.ts';
import { attempt, type Outcome } from '../../../../hack/kind/command.ts';
import { binDirectory } from '../../../../hack/kind/paths.ts';
import type { KubernetesObject } from '../../../src/kubernetes/object-client.ts';
import { find, kubectl, objectsInBucket, operatorNamespace, until } from '../cluster-under-test.ts';
import { conditionOf, JobInCluster } from '../job-in-cluster.ts';
import { secretKeyOfBucket } from '../pod-run.ts';
import { Story } from '../story.ts';

const root = fileURLToPath(new URL('../../../..', import.meta.url));
/** Of a command that waits for the operator. */
const commandTimeoutMs = 300_000;
const job = new JobInCluster('plugin', { recordCount: 400_000, recordsPerSecond: 400, parallelism: 1 });
const story = new Story(job);
let directory: string;
before(() => {
  directory = mkdtempSync(join(tmpdir(), 'flinkjob-plugin-'));
});
after(() => rmSync(directory, { recursive: true, force: true }));

/** By kubectl, which finds the plugin on the PATH. `code` is what it has to end with. */
async function flinkjob(code: number, ...args: readonly string[]): Promise<Outcome> {
  const path = [join(root, 'bin'), join(root, 'node_modules', '.bin'), process.env['PATH']].join(delimiter);
  const env = { ...clusterEnvironment, PATH: path };
  const all = ['flinkjob', ...args, '--namespace', job.namespace];
  const outcome = await attempt(join(binDirectory, 'kubectl'), all, { env, timeoutMs: commandTimeoutMs });
  assert.equal(outcome.code, code, `kubectl ${all.join(' ')}: ${outcome.stdout}${outcome.stderr}`);
  return outcome;
}

async function imageThatRuns(): Promise<string | undefined> {
  return (await job.pods('taskmanager'))[0]?.spec?.containers?.[0]?.image;
}

test(
  'status shows a job that runs as a tree down to its pods',
  story.step(async () => {
    await job.apply();
    await job.untilRunning();
    await job.untilMoreIsCommitted();
    const { stdout } = await flinkjob(0, 'status', job.name);
    assert.match(stdout, /^FlinkJob streams\/plugin {2}Running {2}age /);
    assert.match(stdout, /├─ Attempt 1 {2}revision \S+, parallelism 1, /);
    assert.match(stdout, /├─ JobManager +plugin-jm-\S+ +Running +flinkjob-worker2? /);
    assert.match(stdout, /└─ TaskManager +plugin-tm-\S+ +Running +flinkjob-worker2? /);
    // That the JobManager itself has said, through the API server.
    assert.match(stdout, /\d+ completed, \d+ failed, \d under way/);
    assert.match(stdout, /Ready=True {2}Running, /);
    assert.match(stdout, /RolloutCompleted {2}revision \S+ is stable as attempt 1/);
  }),
);

test(
  'savepoint waits for a savepoint that is proven restorable, and prints where it is',
  story.step(async () => {
    const { stdout } = await flinkjob(0, 'savepoint', job.name, '--name', 'by-plugin', '--drill');
    const path = stdout.trim();
    assert.match(path, /^\S+$/);
    const folder = path.replace(/^s3:\/\/checkpoints\/jobs\/streams\/plugin\//, '');
    const objects = await objectsInBucket();
    assert.ok(objects.includes(`jobs/streams/plugin/${folder}/_metadata`), `${path} is not among\n${objects.join('\n')}`);
    const savepoint = await find<KubernetesObject & { readonly status?: { readonly conditions?: readonly object[] } }>(
      job.namespace,
      'flinksavepoint',
      'by-plugin',
    );
    assert.match(
      JSON.stringify(savepoint?.status?.conditions),
      /"type":"Restorable"[^}]*"status":"True"|"status":"True"[^}]*"type":"Restorable"/,
    );
    return path;
  }),
);

test(
  'plan shows what apply would do, and does nothing',
  story.step(async () => {
    const file = join(directory, 'next.yaml');
    writeFileSync(file, JSON.stringify(job.manifest({ image: 'keyed-count:2' })));
    const before = await job.whatRuns();
    const generation = (await job.read())?.metadata.generation;
    const { stdout } = await flinkjob(0, 'plan', file);
    assert.match(
      stdout,
      /would be changed:\n {2}spec\.image: "keyed-count:1" → "keyed-count:2" {2}\(replaces the revision that runs\)\n/,
    );
    assert.equal((await job.read())?.metadata.generation, generation);
    assert.deepEqual(await job.whatRuns(), before);
  }),
);

test(
  'rollback takes the job back to the revision before, with the newest state',
  story.step(async () => {
    await job.change(() => job.apply({ image: 'keyed-count:2' }));
    assert.equal(await imageThatRuns(), 'keyed-count:2');
    assert.match((await flinkjob(0, 'history', job.name)).stdout, /keyed-count:2.*keyed-count:1/s);
    const { revision } = await job.untilRunning();
    const { stderr } = await flinkjob(0, 'rollback', job.name, '--dry-run');
    assert.match(stderr, /spec\.image: "keyed-count:2" → "keyed-count:1"/);
    assert.equal((await job.untilRunning()).revision, revision);
    const { stdout } = await flinkjob(0, 'rollback', job.name, '--wait');
    assert.match(stdout, /^flinkjob\.flinkjob\.dev\/plugin rolled back\n/);
    const status = await job.untilRunning();
    assert.notEqual(status.revision, revision);
    assert.equal(conditionOf(status, 'Ready'), 'True Running');
    assert.match(status.restored ?? '', /savepoint/i);
    assert.equal(await imageThatRuns(), 'keyed-count:1');
  }),
);

test(
  'suspend leaves no pod of it, resume goes on from there',
  story.step(async () => {
    await flinkjob(0, 'suspend', job.name, '--wait');
    await until('its processes have ended', async () => {
      const pods = [...(await job.pods('jobmanager')), ...(await job.pods('taskmanager'))];
      return pods.length === 0 ? true : undefined;
    });
    assert.match((await flinkjob(0, 'status', job.name)).stdout, /^FlinkJob streams\/plugin {2}Suspended /);
    await flinkjob(0, 'resume', job.name, '--wait');
    assert.match((await job.untilRunning()).restored ?? '', /savepoint/i);
  }),
);

test(
  'restart starts the same once more',
  story.step(async () => {
    const before = await job.untilRunning();
    await flinkjob(0, 'restart', job.name, '--wait');
    const status = await job.untilRunning((before.attempt?.number ?? 0) + 1);
    assert.equal(status.history?.[0]?.reason, 'Restart');
    assert.match(status.restored ?? '', /savepoint/i);
    await job.untilMoreIsCommitted();
  }),
);

test(
  'logs has the lines of all processes, or of one',
  story.step(async () => {
    const { stdout } = await flinkjob(0, 'logs', job.name);
    assert.match(stdout, /^job-manager\S* .*checkpoint completed/m);
    assert.match(stdout, /^task-manager\S* .*registered/m);
    const ofOne = (await flinkjob(0, 'logs', job.name, 'job-manager', '--tail', '5')).stdout;
    assert.equal(ofOne.trim().split('\n').length, 5);
    assert.doesNotMatch(ofOne, /task-manager\S* /);
  }),
);

test(
  'debug-bundle packs all of it, and no secret',
  story.step(async () => {
    const file = join(directory, 'bundle.tar.gz');
    const operator = ['--operator-namespace', operatorNamespace];
    const { stdout, stderr } = await flinkjob(0, 'debug-bundle', job.name, '-o', file, ...operator);
    assert.equal(stdout.trim(), file);
    const listed = await attempt('tar', ['--list', '--gzip', '--file', file]);
    assert.equal(listed.code, 0, listed.stderr);
    const names = listed.stdout.split('\n').map((name) => name.replace(/^[^/]*\//, ''));
    for (const expected of [
      ...['README.txt', 'status.txt', 'flinkjob.yaml', 'revisions.yaml', 'deployments.yaml', 'pods.yaml', 'events.yaml'],
      ...['savepoints.yaml', 'job-manager/v1-status.json', 'job-manager/metrics.txt', 'job-manager/checkpoints.json'],
    ]) {
      assert.ok(names.includes(expected), `no ${expected}: ${names.join(', ')}\n${stderr}`);
    }
    for (const process of ['job-manager', 'task-manager', 'operator']) {
      assert.ok(
        names.some((name) => name.startsWith(`logs/${process}`)),
        `no log of ${process}: ${names.join(', ')}\n${stderr}`,
      );
    }
    assert.ok(!gunzipSync(readFileSync(file)).includes(secretKeyOfBucket), 'the secret key of the bucket is in it');
    return `${names.length} files`;
  }),
);

test(
  'in the end output and bucket are exact',
  story.step(async () => {
    await kubectl('--namespace', job.namespace, 'delete', 'flinksavepoint', 'by-plugin', '--timeout=120s');
    await job.hurry();
    return await job.finishExactly();
  }),
);
