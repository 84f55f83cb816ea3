/**
 * The watch on FlinkJobs and the controller behind it, on a real kube-apiserver that is killed for 20 s under load and forgets, over connections that break, fall silent and are
 * refused. Several writers create, change and delete 500 FlinkJobs meanwhile; what counts is the end state of each: the mirror is what a fresh list says, and the controller has
 * looked at the last generation. Nothing is looked at by the clock here, so what no event tells is missed.
 */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import { type ApiServer, startApiServer } from '../../../hack/kind/api-server.ts';
import type { FlinkJobStatus } from '../../src/api/flink-job-status.ts';
import { apiVersion, kind } from '../../src/api/labels.ts';
import { systemClock } from '../../src/clock.ts';
import { Controller } from '../../src/flink-job/controller.ts';
import { connectToApi } from '../../src/kubernetes/api-connection.ts';
import { ApiError } from '../../src/kubernetes/api-error.ts';
import { type ApiAccess, createApiAccess, createObjectClient } from '../../src/kubernetes/api-object-client.ts';
import { openClusterAccess } from '../../src/kubernetes/cluster-access.ts';
import { Metrics } from '../../src/kubernetes/metrics.ts';
import type { KubernetesObject, ObjectClient } from '../../src/kubernetes/object-client.ts';
import { Reflector } from '../../src/kubernetes/reflector.ts';
import { silentLog } from '../../src/log.ts';
import type { Platform } from '../../src/platform/platform.ts';
import { KubernetesFlinkJobStore } from '../../src/store/kubernetes-flink-job-store.ts';
import { eventually } from '../fakes/eventually.ts';
import { Random } from '../fakes/random.ts';
import { stubEngine } from '../fakes/stub-engine.ts';
import { TcpProxy } from '../fakes/tcp-proxy.ts';

interface FlinkJob extends KubernetesObject {
  readonly spec: { readonly job: { readonly parallelism: number } };
  readonly status?: FlinkJobStatus;
}

const crd = fileURLToPath(new URL('../../../crds/flinkjobs.flinkjob.dev.yaml', import.meta.url));
const namespace = 'default';
const flinkJobCount = 500;
const writerCount = 5;
const outageMs = 20_000;
/** After the last fault: requests that hang are given up after seconds, and what failed is tried again after a minute at the most. */
const settleLimitMs = 180_000;
/** Never, as far as this test is concerned: a poll would hide an event that was missed. */
const neverMs = 24 * 3_600_000;

let server: ApiServer;
let proxy: TcpProxy;
/** Of the writers and the judge, past the proxy. */
let direct: ObjectClient;
/** Of what is judged. */
let access: ApiAccess;
let metrics: Metrics;

before(async () => {
  server = await startApiServer();
  proxy = await TcpProxy.start(Number(new URL(server.url).port));
  direct = createObjectClient(await accessBy(server.kubeconfigFile));
  const through = join(dirname(server.kubeconfigFile), 'through-proxy');
  const text = readFileSync(server.kubeconfigFile, 'utf8').replace(server.url, `https://127.0.0.1:${proxy.port}`);
  writeFileSync(through, text, { mode: 0o600 });
  metrics = new Metrics();
  access = await accessBy(through, { metrics, attemptTimeoutMs: 3_000 });
  await direct.create(parse(readFileSync(crd, 'utf8')));
  await eventually('FlinkJobs are served', () =>
    direct.list({ apiVersion, kind }, {}).then(
      () => true,
      // Not established yet; the limit says so if that stays.
      () => false,
    ),
  );
});

after(async () => {
  await proxy?.[Symbol.asyncDispose]();
  await server?.stop();
});

test('over every outage of connections and API server, no end state of 500 FlinkJobs is missed', async (context) => {
  const abort = new AbortController();
  const shared = { access, clock: systemClock, log: silentLog, metrics };
  const watchLimits = { inactivityMs: 5_000, pageSize: 100, backOff: { initialMs: 100, maxMs: 2_000 } };
  const alive = new Map<string, FlinkJob>();
  const mirror = new Reflector<FlinkJob>({
    ...{ ...shared, metrics: new Metrics(), kind: { apiVersion, kind }, limits: watchLimits },
    onDelta: ({ type, object }) => {
      const { name } = object.metadata;
      assert.equal(alive.has(name), type !== 'Added', `${type} ${name}`);
      if (type === 'Deleted') {
        alive.delete(name);
      } else {
        alive.set(name, object);
      }
    },
  });
  const controller = new Controller({
    ...{ ...shared, platform: emptyPlatform, engine: stubEngine, limits: { idlePollMs: neverMs, busyPollMs: neverMs } },
    store: new KubernetesFlinkJobStore({ ...shared, watchLimits }),
  });
  const running = [mirror.run(abort.signal), controller.run(abort.signal)];
  context.after(async () => {
    abort.abort();
    await Promise.all(running);
  });
  await mirror.synced();
  const writers = Array.from({ length: writerCount }, (_, index) => new Writer(index));
  const everybody = (rounds: number) => Promise.all(writers.map((writer) => writer.write(rounds)));

  await Promise.all(writers.map((writer) => writer.createAll()));
  await connectionsFail(everybody);

  // Dead for 20 s, in the midst of writes, and without memory afterwards.
  const written = everybody(40);
  await server.kill();
  await server.compact();
  await sleep(outageMs);
  await server.restart();
  await written;

  // What changes while nobody looks is forgotten before anybody looks again: 410.
  proxy.refuse();
  await everybody(20);
  await server.kill();
  await server.compact();
  await server.restart();
  proxy.accept();
  await everybody(20);

  await eventually(
    'mirror and controller have come to the end states',
    async () => isAsListed(alive, await list()),
    settleLimitMs,
  );
  const listed = await list();
  assert.ok(listed.length > flinkJobCount / 2 && listed.length < flinkJobCount, `${listed.length} FlinkJobs are left`);
  assert.ok(listed.some(({ metadata }) => (metadata.generation ?? 0) > 3));
  // The faults were there: a version was forgotten, and connections were lost in more than one way.
  assert.match(metrics.text(), /watch_failures_total\{kind="FlinkJob",reason="(Expired|Gone)"\} [1-9]/);
  assert.match(metrics.text(), /watch_failures_total\{kind="FlinkJob",reason="Silent"\} [1-9]/);
  assert.match(metrics.text(), /watch_failures_total\{kind="FlinkJob",reason="Broken"\} [1-9]/);
});

async function connectionsFail(everybody: (rounds: number) => Promise<unknown>): Promise<void> {
  for (const fault of [() => proxy.reset(), () => proxy.silence(), () => proxy.reset()]) {
    // Those before have failed, and the next ones come after a pause.
    await eventually('there is a connection that can fail', () => proxy.connectionCount > 0);
    const written = everybody(10);
    assert.ok(fault() > 0, 'there is no connection that could fail');
    await written;
  }
  // Only a silence that nothing interrupts is noticed as one.
  proxy.silence();
  await everybody(10);
  await eventually('the silence is noticed', () => /reason="Silent"\} [1-9]/.test(metrics.text()));
}

/** Creates, changes and deletes on behalf of a person who insists. Each has FlinkJobs of its own, and changes those of all. */
class Writer {
  readonly #own: readonly string[];
  readonly #random: Random;

  constructor(index: number) {
    this.#random = new Random(20_261 + index);
    this.#own = Array.from({ length: flinkJobCount / writerCount }, (_, position) => `job-${index}-${position}`);
  }

  async createAll(): Promise<void> {
    for (const name of this.#own) {
      await this.#apply(name, 1);
    }
  }

  async write(rounds: number): Promise<void> {
    for (let round = 0; round < rounds; round += 1) {
      const own = this.#pick(this.#own);
      if (this.#random.chance(0.3)) {
        await insist(() => direct.delete({ apiVersion, kind, namespace, name: own }));
      } else {
        await this.#apply(own, 1 + Math.floor(this.#random.next() * 100));
      }
      const other = await this.#anybodys();
      if (other !== undefined) {
        await this.#apply(other, 1 + Math.floor(this.#random.next() * 100));
      }
    }
  }

  /** One that is there: it is changed, not made. */
  async #anybodys(): Promise<string | undefined> {
    const name = `job-${Math.floor(this.#random.next() * writerCount)}-${Math.floor(this.#random.next() * this.#own.length)}`;
    let found: FlinkJob | undefined;
    await insist(async () => {
      found = await direct.get<FlinkJob>({ apiVersion, kind, namespace, name });
    });
    return found === undefined || found.metadata.deletionTimestamp !== undefined ? undefined : name;
  }

  #pick(names: readonly string[]): string {
    return names[Math.floor(this.#random.next() * names.length)] as string;
  }

  async #apply(name: string, parallelism: number): Promise<void> {
    const spec = {
      image: 'example/job:1',
      job: { module: '/app/job.js', parallelism, desiredState: 'Suspended' },
      state: { checkpointStorage: 's3://bucket/jobs' },
    };
    await insist(() => direct.apply<FlinkJob>({ apiVersion, kind, metadata: { namespace, name }, spec }));
  }
}

/** Again while there is no answer, as people do it. */
function insist(act: () => Promise<unknown>): Promise<void> {
  return eventually(
    'the API server has done it',
    () =>
      act().then(
        () => true,
        (error: unknown) =>
          error instanceof ApiError && (error.status === 0 || error.status >= 500 || error.reason === 'Conflict')
            ? false
            : Promise.reject(error),
      ),
    // It may have begun when the API server was killed.
    settleLimitMs,
  );
}

function list(): Promise<readonly FlinkJob[]> {
  return direct.list<FlinkJob>({ apiVersion, kind }, {});
}

/** Every FlinkJob is in the mirror as it is, none is being deleted any more, and the controller has said so of its last generation. */
function isAsListed(mirrored: ReadonlyMap<string, FlinkJob>, listed: readonly FlinkJob[]): boolean {
  return (
    mirrored.size === listed.length &&
    listed.every(({ metadata, status }) => {
      const seen = mirrored.get(metadata.name)?.metadata;
      return (
        seen?.uid === metadata.uid &&
        seen?.resourceVersion === metadata.resourceVersion &&
        metadata.deletionTimestamp === undefined &&
        status?.observedGeneration === metadata.generation
      );
    })
  );
}

/** Nothing runs, and nothing is asked for: all FlinkJobs are suspended. */
const emptyPlatform: Platform = {
  observe: async () => ({ jobManagers: [], taskManagers: [], preFlight: undefined }),
  runPreFlight: refused,
  runPurge: refused,
  ensureJobManager: refused,
  ensureTaskManagers: refused,
  terminate: refused,
  remove: async () => undefined,
  watch: () => undefined,
};

async function refused(): Promise<void> {
  throw new Error('a suspended FlinkJob needs no process');
}

async function accessBy(
  kubeconfig: string,
  options: { readonly metrics?: Metrics; readonly attemptTimeoutMs?: number } = {},
): Promise<ApiAccess> {
  return createApiAccess({ connection: connectToApi(await openClusterAccess({ kubeconfig })), ...options });
}
