/**
 * What a scan of ports sees: every port that the processes of a cluster listen on, found by what the kernel says, and what each answers to somebody unknown. The table in docs/security.md is
 * held against it. Real processes; the operator stands beside an API server in memory.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { after, before } from 'node:test';
import { JobCredentials } from '../../src/credentials/job-credentials.ts';
import { localArguments, type RenderedProcess } from '../../src/engine/engine.ts';
import { typescriptEngine } from '../../src/engine/typescript/typescript-engine.ts';
import { FakeApiServer } from '../fakes/api-server.ts';
import { eventually } from '../fakes/eventually.ts';
import { revisionWith } from '../fakes/flink-job-builders.ts';
import { OperatorProcess } from '../fakes/operator-process.ts';
import { jobModule } from './job-under-test.ts';
import { listeningPorts } from './listening-ports.ts';
import { viewOf } from './unknown-client.ts';

interface LogLine {
  readonly msg: string;
  readonly [field: string]: unknown;
}

interface Started {
  readonly child: ChildProcess;
  readonly log: readonly LogLine[];
}

const directory = mkdtempSync(join(tmpdir(), 'port-scan-'));
const job = { namespace: 'default', name: 'scanned', uid: 'uid-1' };
const children: ChildProcess[] = [];
let jobManager: Started;
let taskManager: Started;

before(async () => {
  const key = { current: Buffer.from('k'.repeat(44)), next: undefined, previous: undefined };
  const keyFile = join(directory, 'keys.json');
  writeFileSync(keyFile, new JobCredentials({ roots: () => key, nowMs: Date.now }).keyFileOf(job).content);
  const addressFile = join(directory, 'address.json');
  const args = { seed: '1', count: '100000000', out: join(directory, 'out'), recordsPerSecond: '10' };
  const place = {
    revision: revisionWith({
      job: { module: jobModule('keyed-count.ts'), args, parallelism: 2 },
      ...{ taskManager: { slots: 2 }, checkpointStorage: `file://${directory}/storage` },
    }),
    ...{ namespace: job.namespace, name: job.name, clusterId: 'scan', host: '127.0.0.1', keyFile },
    // As in a pod, but chosen by the system: all that a cluster's processes open is open.
    ports: { rest: 0, rpc: 0, data: 0, metrics: 0 },
  };
  const attempt = { number: 1, token: 'attempt' };
  jobManager = start(
    typescriptEngine.renderJobManager({ ...place, attempt, podUid: 'pod', restore: { from: 'Latest' }, addressFile }),
    'job-manager',
  );
  taskManager = start(
    typescriptEngine.renderTaskManager({ ...place, taskManagerId: 'tm', jobManager: { addressFile }, localDirectories: [] }),
    'task-manager',
  );
  await eventually('the job is Running', async () => (await status())?.state === 'Running');
});

after(() => {
  for (const child of children) {
    child.kill('SIGKILL');
  }
  rmSync(directory, { recursive: true, force: true, maxRetries: 5 });
});

function start(rendered: RenderedProcess, name: string): Started {
  const config = join(directory, `${name}.json`);
  writeFileSync(config, JSON.stringify(rendered.config));
  const child = spawn(process.execPath, [...localArguments(rendered, config)], { stdio: ['ignore', 'ignore', 'pipe'] });
  children.push(child);
  const log: LogLine[] = [];
  let rest = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    const lines = (rest + text).split('\n');
    rest = lines.pop() ?? '';
    log.push(...lines.filter((line) => line.startsWith('{')).map((line) => JSON.parse(line) as LogLine));
  });
  return { child, log };
}

/** From the address `host:port` that a process has said. */
function portIn({ log }: Started, message: string, field: string): number {
  const address = log.find(({ msg }) => msg === message)?.[field];
  return Number(String(address).split(':').at(-1));
}

async function ask(path: string): Promise<Record<string, unknown>> {
  const port = portIn(jobManager, 'JobManager listens', 'rest');
  return (await (await fetch(`http://127.0.0.1:${port}${path}`)).json()) as Record<string, unknown>;
}

async function status(): Promise<{ readonly state?: string; readonly jobId?: string } | undefined> {
  // Nobody listens yet.
  return ask('/v1/status').catch(() => undefined);
}

/** Held against docs/security.md, line by line. */
const documented = readFileSync(new URL('../../../docs/security.md', import.meta.url), 'utf8').split('\n');

async function assertView(
  pid: number,
  ports: readonly {
    readonly name: string;
    readonly port: number;
    readonly paths: { readonly get: string; readonly post: string };
    readonly expected: readonly string[];
  }[],
): Promise<void> {
  assert.deepEqual(
    listeningPorts(pid),
    ports.map(({ port }) => port).sort((a, b) => a - b),
    'there is no port that this test does not know',
  );
  for (const { name, port, paths, expected } of ports) {
    const view = await viewOf(port, paths);
    assert.deepEqual([view.get, view.post, view.grpc, view.noise, view.silence], expected, name);
    const row = `| ${[name, ...expected].join(' | ')} |`;
    assert.ok(documented.includes(row), `docs/security.md has the row\n${row}`);
  }
}

test('a JobManager shows what it does to everybody, and takes orders and TaskManagers from nobody unknown', async () => {
  const { jobId } = (await status()) ?? {};
  await assertView(jobManager.child.pid ?? 0, [
    {
      name: 'JobManager, `rest` 8081',
      port: portIn(jobManager, 'JobManager listens', 'rest'),
      paths: { get: '/v1/status', post: `/jobs/${jobId}/stop` },
      expected: ['HTTP 200', 'HTTP 401', 'closed', 'HTTP 400', 'HTTP 408'],
    },
    {
      name: 'JobManager, `rpc` 6123',
      port: portIn(jobManager, 'JobManager listens', 'rpc'),
      paths: { get: '/', post: '/' },
      expected: ['closed', 'closed', 'gRPC status 16', 'closed', 'closed'],
    },
  ]);
  assert.equal((await status())?.state, 'Running');
  const refusal = jobManager.log.find(({ msg }) => msg === 'a peer was refused');
  assert.equal(refusal?.['code'], 'CredentialMissing');
  assert.match(String(refusal?.['peer']), /127\.0\.0\.1/);
});

test('a TaskManager shows its metrics, and takes records from nobody unknown', async () => {
  const { taskmanagers } = (await ask('/taskmanagers')) as { readonly taskmanagers: readonly { readonly dataPort: number }[] };
  await assertView(taskManager.child.pid ?? 0, [
    {
      name: 'TaskManager, `data` 6122',
      port: taskmanagers[0]?.dataPort ?? 0,
      paths: { get: '/', post: '/' },
      expected: ['closed', 'closed', 'closed', 'closed', 'closed'],
    },
    {
      name: 'TaskManager, `metrics` 9249',
      port: portIn(taskManager, 'metrics are served', 'metrics'),
      paths: { get: '/metrics', post: '/metrics' },
      expected: ['HTTP 200', 'HTTP 405', 'closed', 'HTTP 400', 'HTTP 408'],
    },
  ]);
  assert.equal((await status())?.state, 'Running');
});

test('the operator shows its probes and metrics and can be told nothing', async () => {
  await using server = await FakeApiServer.start();
  server.create({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'kube-system' } });
  const kubeconfig = join(directory, 'kubeconfig');
  const [context, cluster] = [{ cluster: 'fake', user: 'nobody', namespace: 'ops' }, { server: server.url }];
  writeFileSync(
    kubeconfig,
    JSON.stringify({
      ...{ apiVersion: 'v1', kind: 'Config', 'current-context': 'fake', contexts: [{ name: 'fake', context }] },
      ...{ clusters: [{ name: 'fake', cluster }], users: [{ name: 'nobody', user: {} }] },
    }),
  );
  await using operator = new OperatorProcess([
    ...['--platform=kubernetes', `--kubeconfig=${kubeconfig}`, '--http-address=127.0.0.1:0'],
  ]);
  await operator.said('this process leads now');
  await assertView(operator.pid, [
    {
      name: 'operator, `http` 8080',
      port: operator.log.find(({ msg }) => msg === 'probes and metrics are served')?.port ?? 0,
      paths: { get: '/metrics', post: '/metrics' },
      expected: ['HTTP 200', 'HTTP 405', 'closed', 'HTTP 400', 'HTTP 408'],
    },
  ]);
});

test('a foreign TaskManager, which is the same program with the keys of another job, does not get in', async () => {
  const foreignKeys = join(directory, 'foreign-keys.json');
  const root = { current: Buffer.from('f'.repeat(44)), next: undefined, previous: undefined };
  writeFileSync(foreignKeys, new JobCredentials({ roots: () => root, nowMs: Date.now }).keyFileOf(job).content);
  const foreign = start(
    typescriptEngine.renderTaskManager({
      revision: revisionWith({
        job: { module: jobModule('keyed-count.ts'), args: { seed: '1', count: '1', out: directory }, parallelism: 2 },
        ...{ taskManager: { slots: 2 }, checkpointStorage: `file://${directory}/storage` },
      }),
      ...{ namespace: job.namespace, name: job.name, clusterId: 'scan', host: '127.0.0.1', keyFile: foreignKeys },
      ...{ taskManagerId: 'foreign', jobManager: { addressFile: join(directory, 'address.json') }, localDirectories: [] },
    }),
    'foreign',
  );
  const refusal = /JobManagerUnproven|who is, and takes us for, a part of this job/;
  await eventually('it says that it is not taken', () => foreign.log.some((line) => refusal.test(JSON.stringify(line))));
  const { taskmanagers } = (await ask('/taskmanagers')) as { readonly taskmanagers: readonly { readonly id: string }[] };
  assert.deepEqual(
    taskmanagers.map(({ id }) => id),
    ['tm'],
  );
  foreign.child.kill('SIGKILL');
  await once(foreign.child, 'close');
});
