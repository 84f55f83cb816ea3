// Alerts and dashboards of the chart: the rules by promtool, each with a test of its own; and every query of both by the engine of Prometheus, on what it has scraped of
// a real operator and of a real job. A query that finds nothing has to be one of those that only trouble fills, and its metrics have to be documented.
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { parse, stringify } from 'yaml';
import { builtPrometheus } from '../../../hack/prometheus/build-prometheus.ts';
import { apiVersion, kind } from '../../src/api/labels.ts';
import type { KubernetesObject } from '../../src/kubernetes/object-client.ts';
import { JobUnderTest } from '../e2e/job-under-test.ts';
import { startClusterOfAJob } from '../fakes/cluster-of-a-job.ts';
import { eventually } from '../fakes/eventually.ts';
import { OperatorProcess } from '../fakes/operator-process.ts';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const files = join(root, 'charts', 'flinkjob-operator', 'files');
const alertsFile = join(files, 'monitoring', 'alerts.yaml');
const programs = builtPrometheus();
const skip = programs === undefined && 'promtool is not built (npm run test:monitoring builds it; it needs Go)';
/** For a hang, not for a slow machine: processes of Node may take half a minute to start on a busy one. */
const timeoutMs = 300_000;

interface Alert {
  readonly alert: string;
  readonly expr: string;
  readonly annotations: Readonly<Record<string, string>>;
}

interface Panel {
  readonly title: string;
  readonly targets?: readonly { readonly expr: string }[];
}

const alerts = (
  parse(readFileSync(alertsFile, 'utf8')) as { readonly groups: readonly { readonly rules: readonly Alert[] }[] }
).groups.flatMap(({ rules }) => rules);

/** Metrics that have no value before something has happened which does not happen here; whatever asks only for them finds nothing. */
const emptyUntilTrouble: ReadonlySet<string> = new Set([
  'flinkjob_operator_api_repeats_total',
  'flinkjob_operator_watch_failures_total',
  'flinkjob_operator_events_dropped_total',
  // Counted ten minutes after the start for the first time.
  'flinkjob_job_leakedObjects',
  // Of sources that know what waits for them, and of jobs with event time.
  'flink_taskmanager_job_task_operator_pendingRecords',
  'flink_taskmanager_job_task_operator_watermarkLag',
  'flink_taskmanager_job_task_operator_numLateRecordsDropped',
]);

function promtool(...args: readonly string[]): Promise<{ readonly stdout: string; readonly stderr: string }> {
  return promisify(execFile)(programs?.promtool ?? 'promtool', [...args], { timeout: timeoutMs });
}

test('promtool finds nothing wrong with the alerts', { skip }, async () => {
  const { stdout } = await promtool('check', 'rules', '--lint=all', '--lint-fatal', alertsFile);
  assert.match(stdout, new RegExp(`SUCCESS: ${alerts.length} rules found`));
});

test('each alert is raised when it should be, after its time, and stays quiet otherwise', { skip }, async () => {
  const file = fileURLToPath(new URL('alerts.test.yaml', import.meta.url));
  const { tests } = parse(readFileSync(file, 'utf8')) as { readonly tests: readonly { readonly name: string }[] };
  const names = tests.map(({ name }) => name).toSorted();
  assert.deepEqual(names, alerts.flatMap(({ alert }) => [`${alert} is raised`, `${alert} stays quiet`]).toSorted());
  await promtool('test', 'rules', file);
});

interface Answer {
  readonly id: string;
  readonly result: readonly { readonly labels: Readonly<Record<string, string>>; readonly value: string }[];
  readonly error?: string;
}

/** With the variables of a dashboard filled in as Grafana does it. */
function dashboardQueries(): ReadonlyMap<string, string> {
  const queries = globSync(join(files, 'dashboards', '*.json')).flatMap((file) => {
    const { title, panels } = JSON.parse(readFileSync(file, 'utf8')) as {
      readonly title: string;
      readonly panels: readonly Panel[];
    };
    return panels.flatMap((panel) =>
      (panel.targets ?? []).map(({ expr }, index): [string, string] => [
        `${title} / ${panel.title} / ${index}`,
        expr.replaceAll(/\$(namespace|flinkjob)\b/g, '.*').replaceAll('$__rate_interval', '1m'),
      ]),
    );
  });
  return new Map(queries);
}

/** The alert without its threshold, which nothing healthy reaches. */
function alertQueries(): ReadonlyMap<string, string> {
  return new Map(alerts.map(({ alert, expr }) => [alert, expr.trim()]));
}

async function ask(config: string, queries: ReadonlyMap<string, string>): Promise<readonly Answer[]> {
  const child = spawn(programs?.query ?? 'query', ['-config', config, '-scrapes', '5', '-timeout', `${timeoutMs}ms`], {
    stdio: ['pipe', 'pipe', 'pipe'],
    timeout: timeoutMs,
  });
  const said = { stdout: '', stderr: '' };
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    said.stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said.stderr += text;
  });
  child.stdin.end([...queries].map(([id, query]) => `${JSON.stringify({ id, query })}\n`).join(''));
  const code = await new Promise((resolve) => child.on('close', resolve));
  assert.equal(code, 0, said.stderr);
  return said.stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Answer);
}

function metricsIn(query: string): readonly string[] {
  return [...new Set(query.match(/\bflink(?:job)?_\w+/g))];
}

test('every query of dashboards and alerts finds what a real operator and a real job serve', {
  skip,
  timeout: 4 * timeoutMs,
}, async (t) => {
  assert(programs);
  const directory = mkdtempSync(join(tmpdir(), 'flinkjob-monitoring-'));
  await using cluster = await startClusterOfAJob(directory);
  await using operator = new OperatorProcess([
    ...['--platform=kubernetes', `--kubeconfig=${cluster.kubeconfig}`, '--cluster-id=test'],
    ...['--lease-namespace=system', '--lease-name=operator', '--http-address=127.0.0.1:0'],
  ]);
  const job = new JobUnderTest(t);
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  job.edit(
    JobUnderTest.spec(job, 'keyed-count.ts', {
      job: {
        module: join(root, 'operator/test/jobs/keyed-count.ts'),
        args: { seed: '1', out: job.outputDirectory, count: '100000000', recordsPerSecond: '500' },
      },
    }),
  );
  job.dev();
  await operator.said('this process leads now', timeoutMs);
  const first = cluster.server.find<KubernetesObject & { readonly spec: object }>({
    apiVersion,
    kind,
    namespace: 'streams',
    name: 'word-count',
  });
  // A job that begins is an event.
  cluster.server.create({
    apiVersion,
    kind,
    metadata: { namespace: 'streams', name: 'another' },
    spec: first?.spec,
  } as KubernetesObject);
  await eventually(
    'an event is recorded',
    async () => (await operator.ask('/metrics'))[1].includes('events_recorded_total'),
    timeoutMs,
  );
  await eventually(
    'a checkpoint is complete',
    async () => ((await job.status())?.checkpointCounts.completed ?? 0) > 0,
    timeoutMs,
  );
  const rest = (await job.view())?.status.jobManagerAddress;
  assert(rest);
  const probes = operator.log.find(({ msg }) => msg === 'probes and metrics are served')?.port;
  const config = join(directory, 'prometheus.yaml');
  writeFileSync(
    config,
    stringify({
      global: { scrape_interval: '2s', scrape_timeout: '2s' },
      scrape_configs: [
        {
          job_name: 'operator',
          static_configs: [{ targets: [`127.0.0.1:${probes}`], labels: { namespace: 'system', pod: 'operator' } }],
        },
        { job_name: 'jobs', static_configs: [{ targets: [rest], labels: { namespace: 'default', flinkjob: 'subject' } }] },
      ],
    }),
  );
  const documented = readFileSync(join(root, 'docs', 'metrics.md'), 'utf8');
  const dashboards = dashboardQueries();
  const served = new Map([...metricNames()].map((name): [string, string] => [name, `count(${name})`]));
  const answers = await ask(config, new Map([...dashboards, ...alertQueries(), ...served]));
  const resultOf = new Map(answers.map(({ id, result }) => [id, result]));
  for (const { id, error } of answers) {
    assert.equal(error, undefined, `${id}: ${error}`);
  }
  for (const name of served.keys()) {
    const isServed = (resultOf.get(name)?.length ?? 0) > 0;
    assert.ok(documented.includes(`| \`${name}\` |`), `${name} is not in docs/metrics.md`);
    assert.ok(isServed || emptyUntilTrouble.has(name), `${name} is served by neither`);
  }
  for (const [id, query] of dashboards) {
    const mayBeEmpty = metricsIn(query).every((name) => emptyUntilTrouble.has(name));
    assert.ok(mayBeEmpty || (resultOf.get(id)?.length ?? 0) > 0, `${id} finds nothing: ${query}`);
  }
  for (const { alert } of alerts) {
    assert.deepEqual(resultOf.get(alert), [], `${alert} is raised by an operator and a job that are well`);
  }
});

/** All that dashboards and alerts ask for. */
function metricNames(): ReadonlySet<string> {
  return new Set([...dashboardQueries().values(), ...alertQueries().values()].flatMap(metricsIn));
}
