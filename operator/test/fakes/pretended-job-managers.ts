import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { CheckpointSummary } from '@flinkjob/runtime/rest';
import { labels } from '../../src/api/labels.ts';
import type { JobClient } from '../../src/engine/engine.ts';
import { type ConfigMap, type Deployment, kinds, type Pod } from '../../src/platform/kubernetes/kubernetes-objects.ts';
import type { FakeApiServer } from './api-server.ts';
import { documentWith } from './flink-job-builders.ts';

/** What the JobManagers in the pods of a pretended cluster answer: each as the one in its pod would, from the configuration that the pod has. */
export class PretendedJobManagers {
  readonly #server: Pick<FakeApiServer, 'list'>;
  /** By uid of the pod, the operation that asked for it. */
  readonly #stopped = new Map<string, string>();
  readonly #canceled = new Set<string>();
  readonly #listening = new Map<string, Server>();
  #checkpoints = 0;

  constructor(server: Pick<FakeApiServer, 'list'>) {
    this.#server = server;
  }

  at(address: string): JobClient {
    const host = address.slice(0, address.lastIndexOf(':'));
    const pod = this.#server.list<Pod>(kinds.pod).find(({ status }) => status?.podIP === host);
    const workload = this.#server
      .list<Deployment>(kinds.deployment)
      .find(({ metadata }) => pod?.metadata.ownerReferences?.some(({ uid }) => uid === metadata.uid) === true);
    const config = this.#server
      .list<ConfigMap>(kinds.configMap)
      .find(({ metadata }) => metadata.name === workload?.metadata.name);
    const podUid = pod?.metadata.uid ?? '';
    const done = async () => undefined;
    return {
      readStatus: async () => {
        const { attempt, revision } = JSON.parse(config?.data['config.json'] ?? 'null');
        const operationId = this.#stopped.get(podUid);
        const closed =
          operationId === undefined ? undefined : { checkpointId: 7, reason: 'StoppedWithSavepoint' as const, operationId };
        const runs = this.#hasTaskManagers(pod) ? 'Running' : 'WaitingForTaskManagers';
        const state = this.#canceled.has(podUid) ? 'Canceled' : closed === undefined ? runs : 'Stopped';
        const lastCheckpoint = state === 'WaitingForTaskManagers' ? undefined : this.#nextCheckpoint();
        return documentWith({ attempt, revision, podUid, state, closed, lastCheckpoint });
      },
      savepoint: done,
      releaseSavepoint: done,
      stop: async ({ operationId }) => {
        this.#stopped.set(podUid, operationId);
      },
      cancel: async () => {
        this.#canceled.add(podUid);
      },
    };
  }

  /** None of its attempt waits for a node. */
  #hasTaskManagers(jobManager: Pod | undefined): boolean {
    const placeOf = ({ metadata: { namespace, labels: found } }: Pod) =>
      [namespace, found?.[labels.flinkJob], found?.[labels.attempt]].join('/');
    return this.#server
      .list<Pod>(kinds.pod)
      .filter((pod) => jobManager !== undefined && placeOf(pod) === placeOf(jobManager))
      .every(({ status }) => status?.conditions?.some(({ reason }) => reason === 'Unschedulable') !== true);
  }

  /** One for every look at it: what runs completes checkpoints. */
  #nextCheckpoint(): CheckpointSummary {
    this.#checkpoints += 1;
    const id = this.#checkpoints;
    return { id, kind: 'Checkpoint', path: `chk-${id}-e1`, triggeredAtMs: id, completedAtMs: id, sizeBytes: 1 };
  }

  /** A port that is free on this machine; pods have loopback addresses of their own. */
  async freePort(): Promise<number> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    await new Promise((resolve) => server.close(resolve));
    return port;
  }

  /** Answers over HTTP at the address of every JobManager pod that has one by now. */
  listen(pods: readonly Pod[], port: number): void {
    for (const host of pods.map(({ status }) => status?.podIP).filter((address) => address !== undefined)) {
      if (!this.#listening.has(host)) {
        const server = createServer((request, response) => {
          let text = '';
          request.on('data', (part) => {
            text += part;
          });
          request.on('end', () => {
            this.#answer(`${host}:${port}`, { method: request.method, body: text }).then(
              (body) => response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body)),
              () => response.writeHead(503).end(),
            );
          });
        });
        this.#listening.set(host, server.listen(port, host));
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const server of this.#listening.values()) {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    }
  }

  async #answer(
    address: string,
    { method, body }: { readonly method: string | undefined; readonly body: string },
  ): Promise<unknown> {
    const client = this.at(address);
    if (method === 'GET') {
      return client.readStatus();
    }
    const { operationId, deadlineSeconds } = JSON.parse(body) as { operationId: string; deadlineSeconds: number };
    await (method === 'PATCH' ? client.cancel(operationId) : client.stop({ operationId, deadlineSeconds }));
    return {};
  }
}
