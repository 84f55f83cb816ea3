import { keyOf, type StoredFlinkJob } from './api/flink-job.ts';
import { savepointKind } from './api/flink-savepoint.ts';
import { apiVersion, kind } from './api/labels.ts';
import type { Clock } from './clock.ts';
import type { JobCredentials } from './credentials/job-credentials.ts';
import { KubernetesDefaults } from './defaults/kubernetes-defaults.ts';
import type { Engine } from './engine/engine.ts';
import type { ControllerOptions } from './flink-job/controller.ts';
import type { TransitionEvent } from './flink-job/transition-events.ts';
import type { SavepointControllerOptions } from './flink-savepoint/controller.ts';
import { DrillResults } from './flink-savepoint/drill-results.ts';
import type { ApiAccess } from './kubernetes/api-object-client.ts';
import type { EventRecorder } from './kubernetes/event-recorder.ts';
import type { Metrics } from './kubernetes/metrics.ts';
import type { ObjectClient } from './kubernetes/object-client.ts';
import type { Log } from './log.ts';
import { KubernetesPlatform, kubernetesLimits } from './platform/kubernetes/kubernetes-platform.ts';
import { WorkloadWatch } from './platform/kubernetes/watch-workloads.ts';
import { KubernetesFlinkJobStore } from './store/kubernetes-flink-job-store.ts';
import { KubernetesFlinkSavepointStore } from './store/kubernetes-flink-savepoint-store.ts';

interface ClusterControllerParts {
  /** For what acts: nothing is written through it by a process that does not lead. */
  readonly access: ApiAccess;
  readonly client: ObjectClient;
  readonly engine: Engine;
  readonly events: EventRecorder;
  readonly clusterId: string;
  /** Of this process: the policy of a job's pods lets it ask their JobManager. */
  readonly operatorNamespace: string;
  /** The only ones that are looked after; all of them when absent. */
  readonly namespaces?: readonly string[] | undefined;
  /** From whose pods the metrics of jobs may be read. */
  readonly metricsNamespaces?: readonly string[] | undefined;
  readonly credentials?: JobCredentials | undefined;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
}

/** What the controller of a cluster is made of; apart from `Controller` so that a part of it can be replaced. */
export function clusterControllerOptions(
  parts: ClusterControllerParts,
): ControllerOptions & { readonly platform: KubernetesPlatform } {
  const { access, client, engine, events, clusterId, operatorNamespace, namespaces, clock, log, metrics } = parts;
  const { credentials, metricsNamespaces = [] } = parts;
  const shared = { access, namespaces, clock, log, metrics };
  return {
    store: new KubernetesFlinkJobStore(shared),
    platform: new KubernetesPlatform({
      ...{ client, engine, clusterId, operatorNamespace, metricsNamespaces, credentials, clock, log },
      workloads: new WorkloadWatch(shared),
    }),
    defaults: new KubernetesDefaults(shared),
    drills: new DrillResults(),
    ...{ engine, credentials, clock, log, metrics, limits: kubernetesLimits },
    record: (flinkJob, event) => events.record(objectEventOf(flinkJob, event)),
  };
}

/** The same for the controller of savepoints, which shares store and platform with that of the jobs. */
export function clusterSavepointOptions(
  parts: ClusterControllerParts,
  { store: flinkJobs, platform: tasks, drills }: ReturnType<typeof clusterControllerOptions>,
): SavepointControllerOptions {
  const { access, engine, events, namespaces, credentials, clock, log, metrics } = parts;
  return {
    store: new KubernetesFlinkSavepointStore({ access, namespaces, clock, log, metrics }),
    ...{ flinkJobs, tasks, drills, engine, credentials, clock, log, metrics },
    record: ({ metadata: { namespace, name, uid } }, event) =>
      events.record({ ...event, regarding: { apiVersion, kind: savepointKind, namespace, name, uid } }),
  };
}

function objectEventOf(flinkJob: StoredFlinkJob, event: TransitionEvent): Parameters<EventRecorder['record']>[0] {
  return { ...event, regarding: { apiVersion, kind, ...keyOf(flinkJob), uid: flinkJob.metadata.uid } };
}
