import { globSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import type { FlinkJobStatus } from '../../../operator/src/api/flink-job-status.ts';
import { apiVersion, kind } from '../../../operator/src/api/labels.ts';
import { connectToApi } from '../../../operator/src/kubernetes/api-connection.ts';
import { ApiError } from '../../../operator/src/kubernetes/api-error.ts';
import { createApiAccess, createObjectClient } from '../../../operator/src/kubernetes/api-object-client.ts';
import { openClusterAccess } from '../../../operator/src/kubernetes/cluster-access.ts';
import type { KubernetesObject, ObjectClient } from '../../../operator/src/kubernetes/object-client.ts';
import { kubernetesLimits } from '../../../operator/src/platform/kubernetes/kubernetes-platform.ts';
import { buildApiServerPrograms, startApiServer } from '../../kind/api-server.ts';
import { announce } from '../announce.ts';
import { freePort } from '../processes/free-port.ts';
import { processorSecondsOf, requireProcessAccounting, residentBytesOf } from '../processes/processor-time.ts';
import type { Measurement, MeasurementOptions } from '../repeated-measurement.ts';
import { waitUntil } from '../throughput/wait-until.ts';
import { OperatorReplica, operatorOfImage, operatorSources } from './operator-replica.ts';
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
const apiRequests = 'flinkjob_operator_api_requests_total';
/** How old a checkpoint in the status of a job gets that has run for long; see `kubernetesLimits`. */
const recordedAgeMaxMs = kubernetesLimits.checkpointRecordMaxMs ?? 0;
const writeTriesMax = 10;
/** A thousand jobs of which one is changed every second are changed three and a half times an hour each. */
const changeIntervalMs = 1_000;
/** Somewhat more than the 15 s after which a job is looked at. */
const settleLookMs = 20_000;
/** Records of checkpoints go on. */
const settledRequestsMax = 20;
/** For what the last starts leave to be done. */
const settleTimeoutMs = 300_000;

/** What a pre-flight answers for each of them. */
const plan = JSON.stringify({
  ...{ ok: true, problems: [], jobGraphHash: 'graph', vertices: [], slotsRequired: 1, restore: [], bytesToMove: 0 },
  ...{ bytesToMoveBySubtask: [], lineage: { attemptNumber: 0, epoch: 0, restorePath: 'chk-000001-e1' } },
});

/**
 * FlinkJobs by the thousand on a real API server, the operator as a process, everything else simulated: JobManagers answer over HTTP and complete a checkpoint every ten seconds. What
 * the operator costs at rest, how soon a change is acted on, and how soon another replica leads.
 */
export async function measureThousandJobs({ isQuick, count, signal }: MeasurementOptions): Promise<Measurement> {
  await buildApiServerPrograms();
  const flinkJobCount = count ?? (isQuick ? 200 : 1_000);
  const result = await measureFlinkJobs({
    ...{ flinkJobCount, restMs: isQuick ? 30_000 : 300_000, changeCount: Math.min(100, flinkJobCount), signal },
    ...{ handsOver: true, asInPod: true },
  });
  assertWithin(result);
  return result;
}

export interface FlinkJobsOptions {
  readonly flinkJobCount: number;
  readonly restMs: number;
  readonly changeCount: number;
  /** Two more replicas. */
  readonly handsOver: boolean;
  /** The operator as its pod would have it, and not from its sources. */
  readonly asInPod: boolean;
  readonly signal: AbortSignal;
}

/** The programs of the API server are there. */
export async function measureFlinkJobs(options: FlinkJobsOptions): Promise<Measurement> {
  const { flinkJobCount, restMs, changeCount, signal } = options;
  requireProcessAccounting();
  const directory = mkdtempSync(join(tmpdir(), 'flinkjob-bench-thousand-'));
  try {
    await using server = await startApiServer();
    const program = options.asInPod ? await operatorOfImage(server, directory) : operatorSources(server);
    const connection = connectToApi(await openClusterAccess({ kubeconfig: server.kubeconfigFile }));
    const access = createApiAccess({ connection });
    const client = createObjectClient(access);
    await prepare(client, signal);
    await using jobManagers = new SimulatedJobManagers({ port: await freePort(), checkpointIntervalMs });
    await using cluster = new SimulatedCluster({ access, jobManagers, answer: plan });
    await cluster.synced();
    // Where nobody takes it over, a machine that stands still for some seconds need not end the measurement.
    const leaseSeconds = options.handsOver ? undefined : 120;
    const replica = (name: string) => OperatorReplica.start({ name, program, directory, leaseSeconds });
    await using first = await replica('first');
    await first.leads(signal);
    await using second = options.handsOver ? await replica('second') : undefined;

    const startedAtMs = performance.now();
    announce(`thousand-jobs: ${flinkJobCount} FlinkJobs are created …`);
    for (let index = 0; index < flinkJobCount; index += 1) {
      await client.create(flinkJobOf(index, 1, jobManagers.port));
    }
    await allRunning(client, first, { count: flinkJobCount, signal });
    const allRunningSeconds = (performance.now() - startedAtMs) / 1000;

    announce(`thousand-jobs: all run after ${Math.round(allRunningSeconds)} s; at rest for ${restMs / 1000} s …`);
    await pretendLongRun(client);
    await settled(first, signal);
    const rest = await atRest(first, { restMs, jobManagers, signal });
    announce('thousand-jobs: changes …');
    const requestsBefore = await first.counter(apiRequests, signal);
    const changes = { changeCount, port: jobManagers.port, signal };
    const actedMs = await changeSome(client, cluster, { ...changes, version: 2, everyMs: changeIntervalMs });
    await allRunning(client, first, { count: flinkJobCount, signal });
    const requestsOfChanges = (await first.counter(apiRequests, signal)) - requestsBefore;
    announce('thousand-jobs: changes as fast as they are acted on …');
    const hurriedMs = await changeSome(client, cluster, { ...changes, version: 3, everyMs: 0 });
    await allRunning(client, first, { count: flinkJobCount, signal });
    const handOvers = second === undefined ? {} : await measureHandOvers(first, second, { replica, signal });
    const per100 = (rest.apiRequests / (restMs / 1000) / flinkJobCount) * 100;
    const result: Measurement = {
      flinkJobs: flinkJobCount,
      allRunningSeconds: Math.round(allRunningSeconds),
      residentMebibytes: Math.round(rest.residentBytes / mebibyte),
      cores: round(rest.processorSeconds / (restMs / 1000), 3),
      processorSecondsPerJobHour: round((rest.processorSeconds / flinkJobCount / restMs) * 3_600_000, 2),
      apiRequestsPerJobHour: round((rest.apiRequests / flinkJobCount / restMs) * 3_600_000, 2),
      apiRequestsPerSecondPer100Jobs: round(per100, 3),
      statusReadsPerSecondPer100Jobs: round((rest.statusReads / (restMs / 1000) / flinkJobCount) * 100, 2),
      apiRequestsPerChange: round(requestsOfChanges / actedMs.length, 1),
      changeToActionMedianMs: percentile(actedMs, 0.5),
      changeToActionP99Ms: percentile(actedMs, 0.99),
      hurriedChangeToActionMedianMs: percentile(hurriedMs, 0.5),
      hurriedChangeToActionP99Ms: percentile(hurriedMs, 0.99),
      ...handOvers,
    };
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

/**
 * Checkpoints are recorded at growing distances: often in the first hour of an attempt, and every forty minutes in all that come after it. Rest is that: as if each had begun hours ago,
 * with the records of all spread over those minutes.
 */
async function pretendLongRun(client: ObjectClient): Promise<void> {
  const all = await client.list<FlinkJob>({ apiVersion, kind }, {});
  const nowMs = Date.now();
  for (const [index, flinkJob] of all.entries()) {
    const { status } = flinkJob;
    if (status?.attempt !== undefined && status.lastCheckpoint !== undefined) {
      const completedTime = new Date(nowMs - recordedAgeMaxMs * (index / all.length)).toISOString();
      const startedTime = new Date(nowMs - 10 * recordedAgeMaxMs).toISOString();
      const longRun = {
        ...{ ...status, attempt: { ...status.attempt, startedTime }, lastCheckpointTime: completedTime },
        lastCheckpoint: { ...status.lastCheckpoint, completedTime },
      };
      await retried(() => replaceStatus(client, flinkJob, longRun));
    }
  }
}

async function replaceStatus(client: ObjectClient, { metadata }: FlinkJob, status: FlinkJobStatus): Promise<void> {
  const newest = await client.get<FlinkJob>({ apiVersion, kind, namespace: metadata.namespace, name: metadata.name });
  if (newest !== undefined) {
    await client.replace({ ...newest, status }, { subresource: 'status' });
  }
}

/** The operator may have written in between. */
async function retried(write: () => Promise<void>): Promise<void> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await write();
    } catch (error) {
      if (!(error instanceof ApiError && error.reason === 'Conflict') || tries === writeTriesMax) {
        throw error;
      }
    }
  }
}

/** Until the operator has nothing left to do: two looks at its count, longer apart than jobs are looked at, show next to no requests. */
async function settled(replica: OperatorReplica, signal: AbortSignal): Promise<void> {
  await waitUntil({
    what: 'that the operator has nothing left to do',
    ...{ timeoutMs: settleTimeoutMs, intervalMs: 0, signal },
    look: async () => {
      const before = await replica.counter(apiRequests, signal);
      await delay(settleLookMs, undefined, { signal });
      return (await replica.counter(apiRequests, signal)) - before <= settledRequestsMax ? true : undefined;
    },
  });
}

async function atRest(
  replica: OperatorReplica,
  { restMs, jobManagers, signal }: { restMs: number; jobManagers: SimulatedJobManagers; signal: AbortSignal },
): Promise<{ apiRequests: number; statusReads: number; processorSeconds: number; residentBytes: number }> {
  const { pid } = replica.process;
  const look = async () => ({
    apiRequests: await replica.counter(apiRequests, signal),
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

interface Changes {
  readonly changeCount: number;
  readonly version: number;
  readonly everyMs: number;
  readonly port: number;
  readonly signal: AbortSignal;
}

/**
 * One after the other, each `everyMs` after the one before, and when that is acted on: from the answer to the change until the Job of its pre-flight is there. The rollouts go on meanwhile,
 * of some seconds each.
 */
async function changeSome(
  client: ObjectClient,
  cluster: SimulatedCluster,
  { changeCount, version, everyMs, port, signal }: Changes,
): Promise<readonly number[]> {
  const waits: number[] = [];
  const startedAtMs = performance.now();
  for (let index = 0; index < changeCount; index += 1) {
    await delay(Math.max(0, startedAtMs + index * everyMs - performance.now()), undefined, { signal });
    const changed = flinkJobOf(index, version, port);
    const acted = cluster.nextJobOf(`${changed.metadata.namespace}/${changed.metadata.name}`);
    await client.apply(changed);
    const changedAtMs = performance.now();
    waits.push((await acted) - changedAtMs);
  }
  return waits;
}

async function measureHandOvers(
  first: OperatorReplica,
  second: OperatorReplica,
  { replica, signal }: { replica: (name: string) => Promise<OperatorReplica>; signal: AbortSignal },
): Promise<Measurement> {
  announce('thousand-jobs: another replica leads, as planned and not …');
  const plannedMs = await handOver(first, second, { end: (replica_) => replica_[Symbol.asyncDispose](), signal });
  await using third = await replica('third');
  await third.said('the cluster is reached; waiting for the lease', signal);
  const unplannedMs = await handOver(second, third, { end: ({ process: killed }) => killed.kill(), signal });
  return { plannedHandOverMs: Math.round(plannedMs), unplannedHandOverMs: Math.round(unplannedMs) };
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
