import { globSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import type { FlinkJobStatus } from '../../../operator/src/api/flink-job-status.ts';
import { apiVersion, kind } from '../../../operator/src/api/labels.ts';
import { connectToApi } from '../../../operator/src/kubernetes/api-connection.ts';
import { createApiAccess, createObjectClient } from '../../../operator/src/kubernetes/api-object-client.ts';
import { openClusterAccess } from '../../../operator/src/kubernetes/cluster-access.ts';
import type { KubernetesObject, ObjectClient } from '../../../operator/src/kubernetes/object-client.ts';
import { buildApiServerPrograms, startApiServer } from '../../kind/api-server.ts';
import { announce } from '../announce.ts';
import { freePort } from '../processes/free-port.ts';
import { processorSecondsOf, requireProcessAccounting, residentBytesOf } from '../processes/processor-time.ts';
import type { Measurement, MeasurementOptions } from '../repeated-measurement.ts';
import { waitUntil } from '../throughput/wait-until.ts';
import { OperatorReplica } from './operator-replica.ts';
import { assertWithin } from './ranges.ts';
import { SimulatedCluster } from './simulated-cluster.ts';
import { SimulatedJobManagers } from './simulated-job-managers.ts';

interface FlinkJob extends KubernetesObject {
  readonly spec: object;
  readonly status?: FlinkJobStatus;
}

const crds = fileURLToPath(new URL('../../../crds/*.yaml', import.meta.url));
const namespaceCount = 10;
const checkpointIntervalMs = 10_000;
/** Creating so many, with pods, on a machine that does the cluster's work too. */
const startTimeoutMs = 1_200_000;
const mebibyte = 1024 * 1024;

/** What a pre-flight answers for each of them. */
const plan = JSON.stringify({
  ...{ ok: true, problems: [], jobGraphHash: 'graph', vertices: [], slotsRequired: 1, restore: [], bytesToMove: 0 },
  ...{ bytesToMoveBySubtask: [], lineage: { attemptNumber: 0, epoch: 0 } },
});

/**
 * FlinkJobs by the thousand on a real API server, the operator as a process, everything else simulated: JobManagers answer over HTTP and complete a checkpoint every ten seconds. What
 * the operator costs at rest, how soon a change is acted on, and how soon another replica leads.
 */
export async function measureThousandJobs({ isQuick, count, signal }: MeasurementOptions): Promise<Measurement> {
  requireProcessAccounting();
  await buildApiServerPrograms();
  const flinkJobCount = count ?? (isQuick ? 200 : 1_000);
  const restMs = isQuick ? 30_000 : 300_000;
  const directory = mkdtempSync(join(tmpdir(), 'flinkjob-bench-thousand-'));
  try {
    await using server = await startApiServer();
    const connection = connectToApi(await openClusterAccess({ kubeconfig: server.kubeconfigFile }));
    const access = createApiAccess({ connection });
    const client = createObjectClient(access);
    await prepare(client, signal);
    await using jobManagers = new SimulatedJobManagers({ port: await freePort(), checkpointIntervalMs });
    await using cluster = new SimulatedCluster({ access, jobManagers, answer: plan });
    await cluster.synced();
    const replica = (name: string) => OperatorReplica.start({ name, directory, kubeconfigFile: server.kubeconfigFile });
    await using first = await replica('first');
    await first.leads(signal);
    await using second = await replica('second');

    const startedAtMs = performance.now();
    announce(`thousand-jobs: ${flinkJobCount} FlinkJobs are created …`);
    for (let index = 0; index < flinkJobCount; index += 1) {
      await client.create(flinkJobOf(index, 1, jobManagers.port));
    }
    await allRunning(client, first, { count: flinkJobCount, signal });
    const allRunningSeconds = (performance.now() - startedAtMs) / 1000;

    announce(`thousand-jobs: all run after ${Math.round(allRunningSeconds)} s; at rest for ${restMs / 1000} s …`);
    await delay(checkpointIntervalMs * 2, undefined, { signal });
    const rest = await atRest(first, { restMs, jobManagers, signal });
    announce('thousand-jobs: changes …');
    const actedMs = await changeSome(client, cluster, { flinkJobCount, port: jobManagers.port });
    announce('thousand-jobs: another replica leads, as planned and not …');
    const plannedMs = await handOver(first, second, { end: (replica_) => replica_[Symbol.asyncDispose](), signal });
    await using third = await replica('third');
    await third.said('the cluster is reached; waiting for the lease', signal);
    const unplannedMs = await handOver(second, third, { end: ({ process: killed }) => killed.kill(), signal });
    const per100 = (rest.apiRequests / (restMs / 1000) / flinkJobCount) * 100;
    const result: Measurement = {
      flinkJobs: flinkJobCount,
      allRunningSeconds: Math.round(allRunningSeconds),
      residentMebibytes: Math.round(rest.residentBytes / mebibyte),
      cores: round(rest.processorSeconds / (restMs / 1000), 3),
      apiRequestsPerJobHour: round((rest.apiRequests / flinkJobCount / restMs) * 3_600_000, 2),
      apiRequestsPerSecondPer100Jobs: round(per100, 3),
      statusReadsPerSecondPer100Jobs: round((rest.statusReads / (restMs / 1000) / flinkJobCount) * 100, 2),
      changeToActionMedianMs: percentile(actedMs, 0.5),
      changeToActionP99Ms: percentile(actedMs, 0.99),
      plannedHandOverMs: Math.round(plannedMs),
      unplannedHandOverMs: Math.round(unplannedMs),
    };
    assertWithin(result);
    return result;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

async function prepare(client: ObjectClient, signal: AbortSignal): Promise<void> {
  for (const file of globSync(crds)) {
    await client.create(parse(readFileSync(file, 'utf8')));
  }
  for (let index = 0; index < namespaceCount; index += 1) {
    await client.create({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: `team-${index}` } });
  }
  await waitUntil({
    what: 'that FlinkJobs are served',
    ...{ timeoutMs: 60_000, intervalMs: 100, signal },
    look: () => client.list({ apiVersion, kind }, {}).catch(() => undefined), // Not established yet.
  });
}

function flinkJobOf(index: number, version: number, restPort: number): FlinkJob {
  return {
    ...{ apiVersion, kind },
    metadata: { namespace: `team-${index % namespaceCount}`, name: `job-${index}` },
    spec: {
      image: `example/job:${version}`,
      job: { module: '/app/job.js', args: { topic: `topic-${index}` } },
      state: { checkpointStorage: 's3://bucket/jobs' },
      checkpoints: { intervalSeconds: checkpointIntervalMs / 1000 },
      jobManager: { restPort },
    },
  };
}

async function allRunning(
  client: ObjectClient,
  leader: OperatorReplica,
  { count, signal }: { count: number; signal: AbortSignal },
): Promise<void> {
  await waitUntil({
    what: `that ${count} FlinkJobs run`,
    ...{ timeoutMs: startTimeoutMs, intervalMs: 2_000, signal },
    look: async () => {
      leader.process.assertAlive();
      const all = await client.list<FlinkJob>({ apiVersion, kind }, {});
      const running = all.filter(({ status }) => status?.state === 'Running' && status.rollout === undefined);
      return running.length === count ? running : undefined;
    },
  });
}

async function atRest(
  replica: OperatorReplica,
  { restMs, jobManagers, signal }: { restMs: number; jobManagers: SimulatedJobManagers; signal: AbortSignal },
): Promise<{ apiRequests: number; statusReads: number; processorSeconds: number; residentBytes: number }> {
  const { pid } = replica.process;
  const look = async () => ({
    apiRequests: await replica.counter('flinkjob_operator_api_requests_total', signal),
    statusReads: jobManagers.requestCount,
    processorSeconds: processorSecondsOf(pid),
  });
  const before = await look();
  await delay(restMs, undefined, { signal });
  const after = await look();
  return {
    apiRequests: after.apiRequests - before.apiRequests,
    statusReads: after.statusReads - before.statusReads,
    processorSeconds: after.processorSeconds - before.processorSeconds,
    // Since it began: what a limit has to allow.
    residentBytes: residentBytesOf(pid).peak,
  };
}

/** One after the other, each as soon as the one before is acted on: from the answer to the change until the Job of its pre-flight is there. */
async function changeSome(
  client: ObjectClient,
  cluster: SimulatedCluster,
  { flinkJobCount, port }: { flinkJobCount: number; port: number },
): Promise<readonly number[]> {
  const waits: number[] = [];
  for (let index = 0; index < Math.min(100, flinkJobCount); index += 1) {
    const changed = flinkJobOf(index, 2, port);
    const acted = cluster.nextJobOf(`${changed.metadata.namespace}/${changed.metadata.name}`);
    await client.apply(changed);
    const changedAtMs = performance.now();
    waits.push((await acted) - changedAtMs);
  }
  return waits;
}

/** From the end of the one that leads until the other does. */
async function handOver(
  leader: OperatorReplica,
  next: OperatorReplica,
  { end, signal }: { end: (replica: OperatorReplica) => Promise<void>; signal: AbortSignal },
): Promise<number> {
  const startedAtMs = performance.now();
  const ending = end(leader);
  await next.leads(signal);
  const tookMs = performance.now() - startedAtMs;
  await ending;
  return tookMs;
}

function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return Math.round(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN);
}

function round(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}
