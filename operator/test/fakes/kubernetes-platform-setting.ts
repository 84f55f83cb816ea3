import { systemClock } from '../../src/clock.ts';
import type { JobCredentials } from '../../src/credentials/job-credentials.ts';
import type { Engine } from '../../src/engine/engine.ts';
import { typescriptEngine } from '../../src/engine/typescript/typescript-engine.ts';
import { connectToApi } from '../../src/kubernetes/api-connection.ts';
import { createApiAccess, createObjectClient } from '../../src/kubernetes/api-object-client.ts';
import { Metrics } from '../../src/kubernetes/metrics.ts';
import { silentLog } from '../../src/log.ts';
import { KubernetesPlatform } from '../../src/platform/kubernetes/kubernetes-platform.ts';
import { WorkloadWatch } from '../../src/platform/kubernetes/watch-workloads.ts';
import { FakeApiServer } from './api-server.ts';
import { PretendedCluster } from './pretended-cluster.ts';

export interface KubernetesSetting {
  readonly server: FakeApiServer;
  readonly cluster: PretendedCluster;
  readonly platform: KubernetesPlatform;
  /** Another one in the same cluster, which knows of no credentials. */
  readonly older: KubernetesPlatform;
  /** One that begins anew, with what the first one was given. */
  another(): KubernetesPlatform;
}

/** The platform with the real client, over HTTP on loopback, and a cluster that is only pretended. */
export async function withKubernetesPlatform(
  body: (setting: KubernetesSetting) => Promise<void>,
  options: { readonly engine?: Engine; readonly nowMs?: () => number; readonly credentials?: JobCredentials } = {},
): Promise<void> {
  await using server = await FakeApiServer.start();
  const connection = connectToApi({
    server: new URL(server.url),
    namespace: 'default',
    credentials: async () => ({ headers: {}, connection: {} }),
  });
  const access = createApiAccess({ connection });
  const shared = {
    client: createObjectClient(access),
    engine: options.engine ?? typescriptEngine,
    clusterId: 'cluster',
    operatorNamespace: 'flinkjob-system',
    clock: options.nowMs === undefined ? systemClock : { ...systemClock, nowMs: options.nowMs },
    log: silentLog,
  };
  const workloads = () => new WorkloadWatch({ access, clock: systemClock, log: silentLog, metrics: new Metrics() });
  const another = () => new KubernetesPlatform({ ...shared, workloads: workloads(), credentials: options.credentials });
  const cluster = new PretendedCluster(server);
  await body({
    server,
    cluster,
    platform: another(),
    older: new KubernetesPlatform({ ...shared, workloads: workloads() }),
    another,
  });
}
