import { hostname } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { JobError } from '@flinkjob/runtime/rest';
import { apiVersion, kind } from './api/labels.ts';
import { systemClock } from './clock.ts';
import { clusterControllerOptions, clusterSavepointOptions } from './cluster-controller.ts';
import type { KubernetesConfig } from './config.ts';
import { JobCredentials } from './credentials/job-credentials.ts';
import { openRootKeys } from './credentials/root-keys.ts';
import { leadingEngine } from './engine/leading-engine.ts';
import { typescriptEngine } from './engine/typescript/typescript-engine.ts';
import { Controller } from './flink-job/controller.ts';
import { SavepointController } from './flink-savepoint/controller.ts';
import { ApiError } from './kubernetes/api-error.ts';
import { type ApiAccess, createApiAccess, createObjectClient } from './kubernetes/api-object-client.ts';
import { openClusterAccess } from './kubernetes/cluster-access.ts';
import { EventRecorder } from './kubernetes/event-recorder.ts';
import { leaseLimitsOf } from './kubernetes/leader-lease.ts';
import { prepareLeadership } from './kubernetes/leadership.ts';
import { Metrics } from './kubernetes/metrics.ts';
import type { ObjectClient } from './kubernetes/object-client.ts';
import { startProbeServer } from './kubernetes/probe-server.ts';
import type { Log } from './log.ts';

/**
 * Stopped: as asked, and the next replica leads at once. LeaseLost: others may act by now. CutOff: something that had begun did not end in time. After the last two
 * the process has to end without another step, and the next replica leads when the lease expires.
 */
export type ClusterOperatorOutcome = 'Stopped' | 'LeaseLost' | 'CutOff';

/** For passes under way. With events, and with what giving the lease back takes (7 s at the most), within the 20 s that the chart gives a pod to end. */
const finishWithinMs = 8_000;
/** Events are for people: a lease is not held back for them. */
const eventsWithinMs = 2_000;

/**
 * One replica in a cluster: reaches the API, waits for the leader lease, acts while it holds that, and gives it back when the signal aborts. Until it leads it only
 * reads.
 */
export async function runClusterOperator(options: {
  readonly config: KubernetesConfig;
  readonly log: Log;
  readonly signal: AbortSignal;
}): Promise<ClusterOperatorOutcome> {
  const { config, log, signal } = options;
  const credentials = credentialsOf(config, log);
  const metrics = new Metrics();
  let hindrance: string | undefined = 'the API server has not been reached yet';
  await using server =
    config.httpAddress &&
    (await startProbeServer({
      address: config.httpAddress,
      readiness: () => (signal.aborted ? 'this replica is ending' : hindrance),
      metrics,
    }));
  if (server !== undefined) {
    log.info({ host: server.host, port: server.port }, 'probes and metrics are served');
  }
  metrics.gauge('resident_memory_bytes', 'Memory of this process.', () => [{ value: process.memoryUsage.rss() }]);

  const cluster = await openClusterAccess({ kubeconfig: config.kubeconfig });
  const instance = config.podName ?? hostname();
  const leadership = prepareLeadership({
    ...{ access: cluster, instance, log, metrics, limits: leaseLimitsOf(config.leaseDurationSeconds) },
    ...{ namespace: config.leaseNamespace ?? cluster.namespace, name: config.leaseName },
  });
  const access = createApiAccess({ connection: leadership.connection, metrics });
  const client = createObjectClient(access);
  const started = await Promise.race([startUp({ access, client, config }), aborted(signal)]);
  if (started === undefined) {
    return 'Stopped';
  }
  hindrance = undefined;
  log.info({ server: cluster.server.href, ...started, lease: config.leaseName }, 'the cluster is reached; waiting for the lease');
  if (!(await leadership.lease.acquire(signal))) {
    await leadership.end();
    return 'Stopped';
  }

  const events = new EventRecorder({ client, instance, clock: systemClock, log, metrics });
  const parts = {
    ...{ access, client, events, ...started, namespaces: config.namespaces, operatorNamespace: cluster.namespace },
    engine: leadingEngine(typescriptEngine, () => leadership.lease.isHeld()),
    ...{ credentials, metricsNamespaces: config.metricsNamespaces, clock: systemClock, log, metrics },
  };
  const jobOptions = clusterControllerOptions(parts);
  const savepoints = new SavepointController(clusterSavepointOptions(parts, jobOptions));
  const acting = Promise.all([new Controller(jobOptions).run(signal), savepoints.run(signal)]);
  const outcome = await Promise.race<ClusterOperatorOutcome>([
    acting.then(() => 'Stopped'),
    aborted(leadership.lease.lost).then(() => 'LeaseLost'),
    aborted(signal)
      .then(() => delay(finishWithinMs, undefined, { ref: false }))
      .then(() => 'CutOff'),
  ]);
  if (outcome === 'Stopped') {
    await Promise.race([events.stop(), delay(eventsWithinMs, undefined, { ref: false })]);
    await leadership.end();
  } else if (outcome === 'CutOff') {
    log.warn({ finishWithinMs }, 'what had begun did not end in time; the next replica leads when the lease expires');
  }
  return outcome;
}

/** Throws `RootKeyUnusable`. */
function credentialsOf({ rootKeyDirectory, keyPeriodSeconds }: KubernetesConfig, log: Log): JobCredentials | undefined {
  if (rootKeyDirectory === undefined) {
    log.warn({}, 'without --root-key-dir jobs have no keys: whoever reaches their ports may stop them');
    return undefined;
  }
  const nowMs = () => systemClock.nowMs();
  return new JobCredentials({ roots: openRootKeys(rootKeyDirectory, { log, nowMs }), nowMs, periodMs: keyPeriodSeconds * 1000 });
}

/** What has to be so before anything can work, said at once rather than by the first FlinkJob. */
async function startUp({
  access,
  client,
  config,
}: {
  readonly access: ApiAccess;
  readonly client: ObjectClient;
  readonly config: KubernetesConfig;
}): Promise<{ readonly clusterId: string }> {
  try {
    await access.paths.pathOf({ apiVersion, kind }, {});
    return { clusterId: config.clusterId ?? (await readClusterId(client)) };
  } catch (cause) {
    if (!(cause instanceof ApiError)) {
      throw cause;
    }
    throw new JobError(`the cluster cannot be worked with: ${cause.message}`, {
      ...{ domain: 'external', retry: 'backoff', code: 'ClusterUnusable', cause },
      remedy: 'Start it again when that is mended; in a cluster the kubelet does.',
    });
  }
}

/** That namespace is made with a cluster and cannot be removed: its uid is what tells one cluster from another. */
async function readClusterId(client: ObjectClient): Promise<string> {
  const remedy =
    'Let the operator get the namespace kube-system (the chart has a role for that), or name an id with --cluster-id.';
  try {
    const found = await client.get({ apiVersion: 'v1', kind: 'Namespace', name: 'kube-system' });
    if (found?.metadata.uid !== undefined) {
      return found.metadata.uid;
    }
  } catch (cause) {
    if (cause instanceof ApiError && cause.status === 403) {
      throw new JobError(`the id of this cluster cannot be read: ${cause.message}`, {
        ...{ domain: 'user', retry: 'never', code: 'ClusterIdUnknown', remedy, cause },
      });
    }
    throw cause;
  }
  throw new JobError('the id of this cluster cannot be read: there is no namespace kube-system', {
    ...{ domain: 'user', retry: 'never', code: 'ClusterIdUnknown', remedy },
  });
}

async function aborted(signal: AbortSignal): Promise<undefined> {
  if (!signal.aborted) {
    await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
  }
  return undefined;
}
