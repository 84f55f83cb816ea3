// What the chart makes for Prometheus and Grafana, rendered by the real Helm. Whether the queries are right is in operator/test/monitoring.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { parse, parseAllDocuments } from 'yaml';
import { builtHelm } from './build-helm.ts';

const chart = fileURLToPath(new URL('../../charts/flinkjob-operator', import.meta.url));
const helm = builtHelm();
const skip = helm === undefined && 'Helm is not built (node hack/helm/build-helm.ts; it needs Go)';
const timeoutMs = 60_000;

interface Manifest {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly labels: Readonly<Record<string, string>> };
  readonly data?: Readonly<Record<string, string>>;
  readonly spec?: {
    readonly groups?: readonly { readonly rules: readonly { readonly annotations: Readonly<Record<string, string>> }[] }[];
    readonly namespaceSelector?: object;
    readonly selector?: { readonly matchLabels: Readonly<Record<string, string>> };
    readonly podMetricsEndpoints?: readonly { readonly port: string; readonly relabelings: readonly object[] }[];
  };
}

const kinds = ['ServiceMonitor', 'PodMonitor', 'PrometheusRule', 'ConfigMap'];

async function monitoring(...settings: readonly string[]): Promise<readonly Manifest[]> {
  const sets = settings.flatMap((setting) => ['--set', setting]);
  const args = ['template', 'fj', chart, '--namespace', 'streaming', '--kube-version', '1.34.0', ...sets];
  const { stdout } = await promisify(execFile)(helm ?? 'helm', args, { timeout: timeoutMs, maxBuffer: 16 << 20 });
  return parseAllDocuments(stdout)
    .map((document) => document.toJS() as Manifest)
    .filter(({ kind }) => kinds.includes(kind));
}

function only(manifests: readonly Manifest[], kind: string): Manifest {
  const found = manifests.filter((manifest) => manifest.kind === kind);
  assert.equal(found.length, 1, kind);
  return found[0] as Manifest;
}

test('nothing of it is there unless it is asked for: its definitions may not be in the cluster', { skip }, async () => {
  assert.deepEqual(await monitoring(), []);
});

test('the monitors have the labels that a Prometheus selects by, and jobs get the label that alerts tell them apart by', {
  skip,
}, async () => {
  const label = 'labels.release=prometheus';
  const manifests = await monitoring(
    ...['monitoring.serviceMonitor.enabled=true', `monitoring.serviceMonitor.${label}`],
    ...['monitoring.podMonitor.enabled=true', `monitoring.podMonitor.${label}`],
  );
  assert.equal(only(manifests, 'ServiceMonitor').metadata.labels['release'], 'prometheus');
  const { metadata, spec } = only(manifests, 'PodMonitor');
  assert.equal(metadata.labels['release'], 'prometheus');
  assert.deepEqual(spec?.namespaceSelector, { any: true });
  assert.deepEqual(spec?.selector, { matchLabels: { 'flinkjob.dev/component': 'jobmanager' } });
  const [endpoint] = spec?.podMetricsEndpoints ?? [];
  assert.equal(endpoint?.port, 'rest');
  const relabeling = { sourceLabels: ['__meta_kubernetes_pod_label_flinkjob_dev_name'], targetLabel: 'flinkjob' };
  assert.deepEqual(endpoint?.relabelings, [relabeling]);
});

test('an operator of some namespaces has the jobs of these scraped', { skip }, async () => {
  const manifests = await monitoring('monitoring.podMonitor.enabled=true', 'namespaces={team-a,team-b}');
  assert.deepEqual(only(manifests, 'PodMonitor').spec?.namespaceSelector, { matchNames: ['team-a', 'team-b'] });
});

test('alerts link to the runbooks at the place that is chosen, and keep their own templates', { skip }, async () => {
  const url = 'https://wiki.example/runbooks.md';
  const manifests = await monitoring('monitoring.prometheusRule.enabled=true', `monitoring.prometheusRule.runbooksUrl=${url}`);
  const rules = only(manifests, 'PrometheusRule').spec?.groups?.flatMap((group) => group.rules) ?? [];
  assert.ok(rules.length > 0);
  for (const { annotations } of rules) {
    assert.ok(annotations['runbook_url']?.startsWith(`${url}#`), annotations['runbook_url']);
  }
  assert.ok(rules.some(({ annotations }) => annotations['summary']?.includes('{{ $labels.namespace }}')));
});

test('each dashboard is a ConfigMap with the label that Grafana looks for, and valid JSON below the limit of its size', {
  skip,
}, async () => {
  const manifests = await monitoring('monitoring.dashboards.enabled=true');
  assert.equal(manifests.length, 2);
  for (const { metadata, data = {} } of manifests) {
    assert.equal(metadata.labels['grafana_dashboard'], '1');
    const [[file, content] = ['', '']] = Object.entries(data);
    assert.match(file, /^flinkjob-\w+\.json$/);
    assert.ok(content.length < 900_000);
    assert.ok((JSON.parse(content) as { readonly panels: readonly object[] }).panels.length > 10);
  }
});

test('a ServiceMonitor without a Service to select is refused in words', { skip }, async () => {
  await assert.rejects(
    monitoring('monitoring.serviceMonitor.enabled=true', 'metrics.service=false'),
    /monitoring\.serviceMonitor\.enabled needs metrics\.service/,
  );
});

test('each alert says what is so, what it means, and where it is written what to do', () => {
  const runbooks = readFileSync(new URL('../../docs/runbooks.md', import.meta.url), 'utf8');
  const alerts = alertsOfTheChart();
  const sections = [...runbooks.matchAll(/^## (\w+)$/gm)].map(([, title]) => title ?? '');
  assert.deepEqual(
    sections,
    alerts.map(({ alert }) => alert),
  );
  for (const { alert, annotations } of alerts) {
    assert.ok(annotations['summary'] && annotations['description'], alert);
    assert.equal(annotations['runbook_url'], `runbooks.md#${alert.toLowerCase()}`);
  }
});

interface Alert {
  readonly alert: string;
  readonly annotations: Readonly<Record<string, string>>;
}

function alertsOfTheChart(): readonly Alert[] {
  const { groups } = parse(readFileSync(`${chart}/files/monitoring/alerts.yaml`, 'utf8')) as {
    readonly groups: readonly { readonly rules: readonly Alert[] }[];
  };
  return groups.flatMap(({ rules }) => rules);
}
