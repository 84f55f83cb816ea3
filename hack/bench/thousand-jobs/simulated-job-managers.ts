import { createServer, type Server } from 'node:http';
import type { JobStatusDocument } from '@flinkjob/runtime/rest';

interface JobManager {
  readonly host: string;
  readonly podUid: string;
  readonly attempt: JobStatusDocument['attempt'];
  readonly revision: string;
}

/** JobManagers that run well and say so at an address of loopback each. Each completes checkpoints by the clock, and stops when it is told to. */
export class SimulatedJobManagers implements AsyncDisposable {
  readonly port: number;
  readonly #checkpointIntervalMs: number;
  readonly #servers = new Map<string, Server>();
  requestCount = 0;

  constructor(options: { readonly port: number; readonly checkpointIntervalMs: number }) {
    this.port = options.port;
    this.#checkpointIntervalMs = options.checkpointIntervalMs;
  }

  async start(jobManager: JobManager): Promise<void> {
    const startedAtMs = Date.now();
    let stoppedBy: string | undefined;
    const server = createServer((request, response) => {
      this.requestCount += 1;
      let text = '';
      request.on('data', (part) => {
        text += part;
      });
      request.on('end', () => {
        if (request.method !== 'GET') {
          stoppedBy = (JSON.parse(text) as { operationId: string }).operationId;
        }
        const body = request.method === 'GET' ? this.#documentOf(jobManager, startedAtMs, stoppedBy) : {};
        response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body));
      });
    });
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject).listen(this.port, jobManager.host, resolve);
    });
    this.#servers.set(jobManager.podUid, server);
  }

  async end(podUid: string): Promise<void> {
    const server = this.#servers.get(podUid);
    this.#servers.delete(podUid);
    server?.closeAllConnections();
    await new Promise<void>((resolve) => (server === undefined ? resolve() : server.close(() => resolve())));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#servers.keys()].map((podUid) => this.end(podUid)));
  }

  #documentOf(jobManager: JobManager, startedAtMs: number, stoppedBy: string | undefined): JobStatusDocument {
    const { attempt, podUid, revision } = jobManager;
    const id = 1 + Math.floor((Date.now() - startedAtMs) / this.#checkpointIntervalMs);
    const path = `chk-${String(id).padStart(6, '0')}-e1`;
    return {
      ...{
        format: 1,
        jobId: podUid,
        jobName: 'job',
        revision,
        attempt,
        podUid,
        state: stoppedBy === undefined ? 'Running' : 'Stopped',
      },
      ...{
        stateSinceMs: startedAtMs,
        error: undefined,
        epoch: 1,
        executionAttempt: 1,
        restarts: 0,
        parallelism: 1,
        maxParallelism: 128,
      },
      restored: { source: 'Nothing', checkpointId: undefined, path: undefined, reason: 'Empty', note: undefined },
      lastCheckpoint: {
        ...{ id, kind: 'Checkpoint', path },
        completedAtMs: startedAtMs + (id - 1) * this.#checkpointIntervalMs,
      },
      checkpointCounts: { completed: id, failed: 0, inProgress: 0 },
      taskManagers: { registered: 1, slotsTotal: 1, slotsRequired: 1 },
      ...{ vertices: [], operations: [], guarantees: [] },
      closed: stoppedBy === undefined ? undefined : { checkpointId: id, reason: 'StoppedWithSavepoint', operationId: stoppedBy },
    } as unknown as JobStatusDocument;
  }
}
