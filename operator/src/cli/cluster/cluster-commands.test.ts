// Covers what the commands of the kubectl plugin print and write, on a fake API server. The real one, with the real kubectl, is in
// test/api/kubectl-flinkjob.test.ts.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { type ClusterOfAJob, startClusterOfAJob } from '../../../test/fakes/cluster-of-a-job.ts';
import { eventually } from '../../../test/fakes/eventually.ts';
import { apiVersion, kind } from '../../api/labels.ts';
import { CommandFailure } from '../command.ts';
import { commandHelp, parseCommandLine } from '../command-line.ts';
import type { FlinkJobObject } from './cluster.ts';
import { clusterCommands } from './cluster-commands.ts';
import { completions } from './completion.ts';

interface Said {
  readonly code: number;
  readonly printed: string;
  readonly reported: string;
}

async function run(cluster: ClusterOfAJob, ...[name, ...args]: readonly string[]): Promise<Said> {
  const command = clusterCommands.find(({ description }) => description.name === name);
  assert(command, name);
  const [printed, reported]: [string[], string[]] = [[], []];
  const parsed = parseCommandLine(command.description, [...args, '--kubeconfig', cluster.kubeconfig]);
  const code = await command.run(parsed, { print: (line) => printed.push(line), report: (line) => reported.push(line) });
  return { code, printed: printed.join('\n'), reported: reported.join('\n') };
}

async function withCluster(body: (cluster: ClusterOfAJob, directory: string) => Promise<void>): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'flinkjob-cli-'));
  try {
    await using cluster = await startClusterOfAJob(directory);
    await body(cluster, directory);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

const job = { apiVersion, kind, namespace: 'streams', name: 'word-count' };
const specOf = ({ server }: ClusterOfAJob) =>
  server.find<FlinkJobObject>(job)?.spec as { job: Record<string, unknown>; image: string };

test('every command explains itself with an example that it accepts, by the name it was called by', () => {
  for (const { description } of clusterCommands) {
    const help = commandHelp(description, 'kubectl flinkjob');
    assert(help.includes(`kubectl flinkjob ${description.name}`), help);
    for (const { line } of description.examples) {
      const [program, name, ...args] = line.split(' ');
      assert.deepEqual([program, name], ['flinkjob', description.name]);
      parseCommandLine(description, args);
    }
  }
});

test('status draws a job from its resource to its pods, with what only the JobManager knows', async () => {
  await withCluster(async (cluster) => {
    const { code, printed } = await run(cluster, 'status', 'word-count');
    assert.equal(code, 0);
    for (const line of [
      /^FlinkJob streams\/word-count {2}Running/,
      /JobManager {3}word-count-jm-\S+ +Running {2}node-1 .* 0 restarts/,
      /TaskManager {2}word-count-tm-\S+ +Running {2}node-1 .* 1 restart$/m,
      /Checkpoint 42, .*chk-000042-e3; 12\.3 KiB/,
      /12 completed, 0 failed/,
      /Ready=True/,
      /RolloutCompleted/,
    ]) {
      assert.match(printed, line);
    }
  });
});

test('status leaves out what it has no right to ask for, and says so', async () => {
  await withCluster(async (cluster) => {
    cluster.server.interfere({ type: 'Refuse', status: 403, reason: 'Forbidden' }, { path: /\/proxy\//, times: 9 });
    const { code, printed } = await run(cluster, 'status', 'word-count');
    assert.equal(code, 0);
    assert.match(printed, /was not asked for more: you may not get pods\/proxy in namespace streams/);
  });
});

test('status does not wait long for a JobManager that the API server does not reach', async () => {
  await withCluster(async (cluster) => {
    cluster.server.interfere({ type: 'Hang' }, { path: /\/proxy\// });
    const { code, printed } = await run(cluster, 'status', 'word-count');
    assert.equal(code, 0);
    assert.match(printed, /the API server does not reach pod word-count-jm-\S+; does a network policy keep it out\?/);
  });
});

test('a job that is not ready is exit code 1, and what is wrong comes first', async () => {
  await withCluster(async (cluster) => {
    const error = { code: 'ImagePullFailed', message: 'image words:3 cannot be had', remedy: 'Correct spec.image.' };
    const conditions = [{ type: 'Ready', status: 'False', reason: 'X', message: '', lastTransitionTime: '2026-01-01T00:00:00Z' }];
    cluster.server.patch(job, { status: { error, conditions } }, 'status');
    const { code, printed } = await run(cluster, 'status', 'word-count');
    assert.equal(code, 1);
    assert.match(
      printed.split('\n').slice(1, 3).join('\n'),
      /ImagePullFailed: image words:3 .*\n.*What to do: Correct spec.image/,
    );
  });
});

test('a name that is mistyped, or of another namespace, is answered with the right one', async () => {
  await withCluster(async (cluster) => {
    const remedyOf = async (...args: readonly string[]) => {
      const error = await run(cluster, ...args).catch((failure: unknown) => failure);
      assert(error instanceof CommandFailure);
      return error.remedy;
    };
    assert.equal(await remedyOf('status', 'wordcount'), 'Did you mean word-count?');
    assert.equal(await remedyOf('status', 'other'), 'There is: word-count.');
    assert.match((await remedyOf('status', 'word-count', '-n', 'default')) ?? '', /--namespace streams/);
  });
});

test('suspend, resume and restart write the one field that says so', async () => {
  await withCluster(async (cluster) => {
    await run(cluster, 'suspend', 'word-count');
    assert.equal(specOf(cluster).job['desiredState'], 'Suspended');
    const again = await run(cluster, 'suspend', 'word-count');
    assert.match(again.reported, /already/);
    await assert.rejects(run(cluster, 'restart', 'word-count'), /suspended, so there is nothing to restart/);
    await run(cluster, 'resume', 'word-count');
    assert.equal(specOf(cluster).job['desiredState'], 'Running');
    await run(cluster, 'restart', 'word-count');
    await run(cluster, 'restart', 'word-count');
    assert.equal(Reflect.get(specOf(cluster), 'restartNonce'), 2);
  });
});

test('savepoint makes a FlinkSavepoint, waits for it, and says where it is or why it failed', async () => {
  await withCluster(async (cluster) => {
    const savepoint = { apiVersion, kind: 'FlinkSavepoint', namespace: 'streams', name: 'one' };
    const created = () => eventually('it is created', () => cluster.server.find(savepoint) !== undefined);
    const taken = run(cluster, 'savepoint', 'word-count', '--name', 'one', '--format', 'Canonical');
    await created();
    const path = 's3://bucket/jobs/streams/word-count/savepoints/000043-e3';
    cluster.server.patch(savepoint, { status: { state: 'Completed', checkpointId: 43, path } }, 'status');
    assert.equal((await taken).printed, path);
    const { spec } = cluster.server.find<FlinkJobObject>(savepoint) ?? {};
    assert.deepEqual(spec, { flinkJobName: 'word-count', format: 'Canonical' });
    cluster.server.remove(savepoint);
    const failing = run(cluster, 'savepoint', 'word-count', '--name', 'one');
    await created();
    const problem = { code: 'JobNotRunning', message: 'the job did not run in time', remedy: 'Start it.' };
    cluster.server.patch(savepoint, { status: { state: 'Failed', problem } }, 'status');
    await assert.rejects(
      failing,
      (error: CommandFailure) => /did not run in time/.test(error.message) && error.remedy === 'Start it.',
    );
  });
});

test('rollback writes the older spec back, and leaves the wishes of now alone', async () => {
  await withCluster(async (cluster) => {
    await run(cluster, 'suspend', 'word-count');
    cluster.server.patch(job, { spec: { upgrade: { mode: 'LastState' } } });
    const { reported } = await run(cluster, 'rollback', 'word-count');
    assert.match(reported, /To revision 1 /);
    assert.match(reported, /spec\.image: "words:2" → "words:1" {2}\(replaces the revision that runs\)/);
    const spec = specOf(cluster);
    assert.equal(spec.image, 'words:1');
    assert.deepEqual(spec.job['args'], { topic: 'a' });
    assert.equal(spec.job['desiredState'], 'Suspended');
    assert.equal((Reflect.get(spec, 'upgrade') as { mode: string }).mode, 'LastState');
    assert.match((await run(cluster, 'rollback', 'word-count', '--to-revision', '1')).reported, /nothing was changed/);
    await assert.rejects(run(cluster, 'rollback', 'word-count', '--to-revision', '7'), /has no revision 7/);
  });
});

test('rollback without a wish goes to the last stable revision, also when that is the one that runs instead of the spec', async () => {
  await withCluster(async (cluster) => {
    const { printed } = await run(cluster, 'history', 'word-count', '-o', 'json');
    const [older] = JSON.parse(printed) as { readonly revision: { readonly name: string } }[];
    const problem = { code: 'RolledBack', message: 'it was not stable' };
    const rolledBack = { revision: 'bad', generation: 1, time: '2026-01-01T00:00:00Z', problem };
    const rollbackTarget = {
      revision: older?.revision.name,
      check: 'Unreadable',
      checkpointId: 4,
      problem: { code: 'X', message: 'no such state' },
    };
    const stable = { revision: older?.revision.name, time: '2026-01-01T00:00:00Z' };
    cluster.server.patch(job, { status: { revision: older?.revision.name, stable, rolledBack, rollbackTarget } }, 'status');
    assert.match((await run(cluster, 'status', 'word-count')).printed, /RolledBack: it was not stable/);
    assert.match((await run(cluster, 'history', 'word-count')).printed, /words:1 {2}running, stable\n/);
    const { reported } = await run(cluster, 'rollback', 'word-count');
    assert.match(reported, /To revision 1 /);
    assert.match(reported, /cannot read that state: no such state/);
    assert.equal(specOf(cluster).image, 'words:1');
  });
});

test('history says what changed from one revision to the next, without credentials', async () => {
  await withCluster(async (cluster) => {
    const { printed } = await run(cluster, 'history', 'word-count');
    assert.match(printed, /^REVISION {2}NAME/);
    assert.match(printed, /words:2 {2}running, in the spec\n +spec\.image: "words:1" → "words:2"/);
    assert.match(printed, /apiToken: none → "\(hidden\)"/);
  });
});

test('logs of all processes have the process before each line; of one, chosen as people type it, they have not', async () => {
  await withCluster(async (cluster) => {
    const all = await run(cluster, 'logs', 'word-count');
    assert.match(all.printed, /^job-manager-x7k2p \| 2026-01-01 10:00:00.000Z INFO {2}started/);
    assert.match(all.printed, /^task-manager-q2m8d \| a line of the job/m);
    for (const wanted of ['jm', 'jobmanager', 'job-manager-x7k2p']) {
      assert.match((await run(cluster, 'logs', 'word-count', wanted)).printed, /^2026-01-01 10:00:00.000Z INFO/, wanted);
    }
    await assert.rejects(run(cluster, 'logs', 'word-count', 'task-manager-zzzzz'), /has no process/);
  });
});

test('a debug bundle is an archive that tar reads, with everything and without a credential', async () => {
  await withCluster(async (cluster, directory) => {
    const file = join(directory, 'bundle.tar.gz');
    const operator = ['--operator-namespace', 'flinkjob-system'];
    const { printed, reported } = await run(cluster, 'debug-bundle', 'word-count', '-o', file, ...operator);
    assert.equal(printed, file);
    assert.match(reported, /Not in it: lineage: /);
    const names = execFileSync('tar', ['-tzf', file], { encoding: 'utf8' });
    for (const name of [
      ...['README.txt', 'status.txt', 'flinkjob.yaml', 'revisions.yaml', 'savepoints.yaml', 'pods.yaml', 'events.yaml'],
      ...[
        'logs/job-manager-x7k2p.log',
        'logs/task-manager-q2m8d.previous.log',
        'logs/operator-flinkjob-operator-5d8f7-h2w4c.log',
        'job-manager/v1-status.json',
        'job-manager/metrics.txt',
      ],
    ]) {
      assert(names.includes(`/${name}\n`), `${name} in\n${names}`);
    }
    const content = execFileSync('tar', ['-xzOf', file], { encoding: 'utf8' });
    assert.match(content, /chk-000042-e3/);
    // The fake's credentials: in an argument, an environment variable, a field of a log line, a URL.
    assert.doesNotMatch(content, /hunter\d/);
  });
});

test('completion offers commands, options, choices and the jobs of the namespace', async () => {
  await withCluster(async ({ kubeconfig }) => {
    const complete = (...words: readonly string[]) => completions(words, clusterCommands);
    assert.deepEqual(await complete('sus'), ['suspend']);
    assert.deepEqual(await complete('get', '--all'), ['--all-namespaces']);
    assert.deepEqual(await complete('status', 'x', '-o', ''), ['json', 'yaml']);
    assert.deepEqual(await complete('status', '--kubeconfig', kubeconfig, 'w'), ['word-count']);
  });
});

test('a cluster that is not there is said at once', async () => {
  await withCluster(async (cluster) => {
    await cluster.server.down();
    await assert.rejects(
      run(cluster, 'get'),
      (error: CommandFailure) => /does not answer/.test(error.message) && /--context/.test(error.remedy ?? ''),
    );
  });
});
