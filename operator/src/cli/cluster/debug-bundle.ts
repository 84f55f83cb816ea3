import { writeFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { stringify } from 'yaml';
import { group, labels } from '../../api/labels.ts';
import { ApiError } from '../../kubernetes/api-error.ts';
import type { KubernetesObject, ObjectKind } from '../../kubernetes/object-client.ts';
import { kinds } from '../../platform/kubernetes/kubernetes-objects.ts';
import { exitCodes } from '../command.ts';
import { formatBytes, plural } from '../format.ts';
import { type Cluster, type FlinkJobObject, getFlinkJob, storedFlinkJob } from './cluster.ts';
import { clusterCommand } from './cluster-command.ts';
import { askJobManager, askPod, jobManagerOf } from './job-manager-proxy.ts';
import { eventsOf, type JobPod, podsOf, processNameOf } from './job-objects.ts';
import { lineageListing } from './lineage-listing.ts';
import { logLines } from './logs.ts';
import { redactText, redactValue } from './redact.ts';
import { statusTree } from './status-tree.ts';
import { type TarFile, tarArchive } from './tar.ts';

/** Of one container; the end of a log is what counts. */
const logLinesMax = 20_000;
const logSizeMaxBytes = 8 * 2 ** 20;
/** In the pods of the chart. */
const operatorContainer = 'operator';

export const debugBundle = clusterCommand(
  {
    name: 'debug-bundle',
    summary: 'Pack what is needed to look into a job elsewhere into one file, without credentials',
    details: [
      'In it: the FlinkJob, its revisions, savepoints, workloads, pods and events; the logs of its pods, also of containers that were restarted; what the JobManager answers, with metrics; what is in the lineage, where this machine can read the checkpoint storage.',
      'Secrets are not read. Values of environment variables, arguments whose names sound like credentials, and what looks like a key or a token in logs are hidden; read it before you give it away all the same.',
      'What could not be had is named in README.txt, with the reason.',
    ],
    positionals: [{ name: 'NAME', required: true, meaning: 'the job' }],
    options: {
      output: { type: 'string', short: 'o', value: 'FILE', default: '<name>-<time>.tar.gz', meaning: 'the file to be written' },
      'operator-namespace': { type: 'string', value: 'NS', meaning: 'adds the log of the operator, which runs there' },
    },
    examples: [{ line: 'flinkjob debug-bundle word-count', meaning: 'the name of the file is the only line on standard output' }],
  },
  async (cluster, parsed, output) => {
    const name = parsed.positionals[0] ?? '';
    const bundle = new Bundle();
    await collect(
      cluster,
      { flinkJob: await getFlinkJob(cluster, name), operatorNamespace: parsed.text('operator-namespace') },
      bundle,
    );
    const time = new Date().toISOString().replace(/[-:]|\.\d+/g, '');
    const directory = `${name}-${time}`;
    const file = parsed.text('output') ?? `${directory}.tar.gz`;
    const readme = readmeOf(cluster, name, bundle.missing);
    const archive = tarArchive(
      [{ name: 'README.txt', content: readme }, ...bundle.files].map((each) => ({ ...each, name: `${directory}/${each.name}` })),
    );
    const compressed = await promisify(gzip)(archive);
    await writeFile(file, compressed, { mode: 0o600 });
    output.print(file);
    output.report(
      `${plural(bundle.files.length + 1, 'file')}, ${formatBytes(compressed.length)}. Read it before you give it away.`,
    );
    bundle.missing.map((line) => `Not in it: ${line}`).forEach(output.report);
    return exitCodes.ok;
  },
);

class Bundle {
  readonly files: TarFile[] = [];
  readonly missing: string[] = [];

  addObject(name: string, object: unknown): void {
    this.files.push({ name, content: stringify(redactValue(JSON.parse(JSON.stringify(object)))) });
  }

  addText(name: string, text: string): void {
    this.files.push({ name, content: redactText(text) });
  }

  /** What one part cannot have must not keep the rest back. */
  async attempt(what: string, add: () => Promise<void>): Promise<void> {
    try {
      await add();
    } catch (error) {
      this.missing.push(`${what}: ${error instanceof ApiError ? (error.said ?? error.message) : (error as Error).message}`);
    }
  }
}

async function collect(
  cluster: Cluster,
  { flinkJob, operatorNamespace }: { readonly flinkJob: FlinkJobObject; readonly operatorNamespace: string | undefined },
  bundle: Bundle,
): Promise<void> {
  bundle.addObject('flinkjob.yaml', flinkJob);
  const { name, uid } = flinkJob.metadata;
  const own = `${labels.flinkJob}=${name},${labels.uid}=${uid}`;
  const lists: readonly (readonly [string, ObjectKind, string | undefined])[] = [
    ['revisions', { apiVersion: 'apps/v1', kind: 'ControllerRevision' }, `${group}/flink-job=${name}`],
    ['deployments', kinds.deployment, own],
    ['statefulsets', { apiVersion: 'apps/v1', kind: 'StatefulSet' }, own],
    ['jobs', kinds.job, own],
    ['services', kinds.service, own],
    ['network-policies', kinds.networkPolicy, own],
    ['pod-disruption-budgets', kinds.podDisruptionBudget, own],
  ];
  for (const [file, kind, labelSelector] of lists) {
    await bundle.attempt(file, async () => {
      const found = await cluster.client.list<KubernetesObject>(kind, { namespace: cluster.namespace, labelSelector });
      bundle.addObject(`${file}.yaml`, found);
    });
  }
  await bundle.attempt('savepoints', async () => {
    const savepoints = { apiVersion: `${group}/v1alpha1`, kind: 'FlinkSavepoint' };
    const found = await cluster.client.list<KubernetesObject & { readonly spec?: object }>(savepoints, {
      namespace: cluster.namespace,
    });
    bundle.addObject(
      'savepoints.yaml',
      found.filter(({ spec }) => JSON.stringify(spec ?? {}).includes(`"${name}"`)),
    );
  });
  let pods: readonly JobPod[] = [];
  await bundle.attempt('pods and their logs', async () => {
    pods = await podsOf(cluster, flinkJob);
    bundle.addObject('pods.yaml', pods);
  });
  for (const pod of pods) {
    await addLogs(cluster, pod, bundle);
  }
  await addStatus(cluster, { flinkJob, pods }, bundle);
  if (operatorNamespace !== undefined) {
    await addOperatorLogs({ ...cluster, namespace: operatorNamespace }, bundle);
  }
  const lineage = await lineageListing(flinkJob);
  if (lineage.ok) {
    bundle.addText('lineage.json', lineage.value);
  } else {
    bundle.missing.push(`lineage: ${lineage.why}`);
  }
}

async function addStatus(
  cluster: Cluster,
  { flinkJob, pods }: { readonly flinkJob: FlinkJobObject; readonly pods: readonly JobPod[] },
  bundle: Bundle,
): Promise<void> {
  const job = await askJobManager(cluster, pods, flinkJob.status?.attempt?.token);
  await bundle.attempt('events', async () => {
    const events = await eventsOf(cluster, flinkJob, pods);
    bundle.addObject('events.yaml', events);
    const facts = { flinkJob: storedFlinkJob(flinkJob), pods, events, job, nowMs: Date.now() };
    bundle.addText(
      'status.txt',
      `${statusTree(facts)
        .map((line) => line.map(({ text }) => text).join(''))
        .join('\n')}\n`,
    );
  });
  if (!job.ok) {
    bundle.missing.push(`answers of the JobManager: ${job.why}`);
  } else {
    bundle.addText('job-manager/v1-status.json', JSON.stringify(job.value, null, 2));
  }
  const jobManager = jobManagerOf(pods);
  if (!job.ok || jobManager === undefined) {
    return;
  }
  const paths = [
    ['metrics.txt', '/metrics'],
    ['checkpoints.json', `/jobs/${job.value.jobId}/checkpoints`],
    ['exceptions.json', `/jobs/${job.value.jobId}/exceptions`],
    ['plan.json', `/jobs/${job.value.jobId}/plan`],
  ] as const;
  for (const [file, path] of paths) {
    const answer = await askPod(cluster, jobManager, { portName: 'rest', path });
    if (answer.ok) {
      bundle.addText(`job-manager/${file}`, answer.value);
    } else {
      bundle.missing.push(`${path} of the JobManager: ${answer.why}`);
    }
  }
}

async function addLogs(cluster: Cluster, pod: JobPod, bundle: Bundle): Promise<void> {
  const process = processNameOf(pod);
  await bundle.attempt(`log of ${process}`, async () => {
    bundle.addText(`logs/${process}.log`, await wholeLog(cluster, pod, {}));
  });
  const restarts = pod.status?.containerStatuses?.reduce((sum, { restartCount = 0 }) => sum + restartCount, 0) ?? 0;
  if (restarts > 0) {
    await bundle.attempt(`log of ${process} before its last restart`, async () => {
      bundle.addText(`logs/${process}.previous.log`, await wholeLog(cluster, pod, { previous: true }));
    });
  }
}

async function wholeLog(
  cluster: Cluster,
  pod: JobPod,
  which: { readonly previous?: boolean; readonly container?: string },
): Promise<string> {
  const lines: string[] = [];
  let sizeBytes = 0;
  for await (const line of logLines(cluster, pod, { ...which, tail: String(logLinesMax) })) {
    lines.push(line);
    sizeBytes += line.length + 1;
    while (sizeBytes > logSizeMaxBytes) {
      sizeBytes -= (lines.shift()?.length ?? 0) + 1;
    }
  }
  return lines.map((line) => `${line}\n`).join('');
}

async function addOperatorLogs(cluster: Cluster, bundle: Bundle): Promise<void> {
  await bundle.attempt(`log of the operator in namespace ${cluster.namespace}`, async () => {
    const labelSelector = `${labels.application}=flinkjob-operator`;
    const pods = await cluster.client.list<JobPod>(kinds.pod, { namespace: cluster.namespace, labelSelector });
    if (pods.length === 0) {
      throw new Error(`there is no pod with ${labelSelector}`);
    }
    for (const pod of pods) {
      bundle.addText(`logs/operator-${pod.metadata.name}.log`, await wholeLog(cluster, pod, { container: operatorContainer }));
    }
  });
}

function readmeOf(cluster: Cluster, name: string, missing: readonly string[]): string {
  return [
    `FlinkJob ${cluster.namespace}/${name}, ${new Date().toISOString()}, Kubernetes ${cluster.version}.`,
    'Secrets were not read; values that look like credentials are hidden.',
    'Begin with status.txt.',
    ...(missing.length === 0 ? [] : ['', 'What could not be had:', ...missing.map((line) => `- ${redactText(line)}`)]),
    '',
  ].join('\n');
}
