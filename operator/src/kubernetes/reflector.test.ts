import assert from 'node:assert/strict';
import { test } from 'node:test';
import { accessTo } from '../../test/fakes/api-access.ts';
import { FakeApiServer, type FakeApiServerOptions } from '../../test/fakes/api-server.ts';
import { eventually } from '../../test/fakes/eventually.ts';
import { Random } from '../../test/fakes/random.ts';
import { systemClock } from '../clock.ts';
import { silentLog } from '../log.ts';
import { Metrics } from './metrics.ts';
import type { ObjectDelta } from './object-cache.ts';
import type { KubernetesObject } from './object-client.ts';
import { Reflector } from './reflector.ts';

// Every way in which a watch was seen to go deaf, over real connections to a server that misbehaves: what changes meanwhile must arrive.

interface ConfigMap extends KubernetesObject {
  readonly data?: Readonly<Record<string, string>>;
}

const kind = { apiVersion: 'v1', kind: 'ConfigMap' };
const inactivityMs = 1_500;

interface Mirror {
  readonly server: FakeApiServer;
  readonly reflector: Reflector<ConfigMap>;
  readonly metrics: Metrics;
  /** `Added a 1`: type, name, and `data.value`. */
  readonly seen: string[];
}

async function withMirror(
  body: (mirror: Mirror) => Promise<void>,
  {
    onDelta = () => undefined,
    labelSelector,
    ...options
  }: FakeApiServerOptions & { readonly onDelta?: (delta: ObjectDelta<ConfigMap>) => void; readonly labelSelector?: string } = {},
): Promise<void> {
  await using server = await FakeApiServer.start({ bookmarkIntervalMs: 100, ...options });
  const abort = new AbortController();
  const metrics = new Metrics();
  const seen: string[] = [];
  const reflector = new Reflector<ConfigMap>({
    access: accessTo(server),
    labelSelector,
    kind,
    clock: systemClock,
    log: silentLog,
    metrics,
    onDelta(delta) {
      onDelta(delta);
      seen.push(`${delta.type} ${delta.object.metadata.name} ${delta.object.data?.['value']}`);
    },
    limits: { inactivityMs, backOff: { initialMs: 20, maxMs: 200 }, pageSize: 3 },
  });
  for (const name of ['changed', 'gone', 'replaced', 'still']) {
    server.create(configMap(name, '1'));
  }
  const running = reflector.run(abort.signal);
  try {
    await reflector.synced();
    await eventually('a watch is open', () => server.openWatches === 1);
    await body({ server, reflector, metrics, seen });
  } finally {
    abort.abort();
    await running;
  }
}

function configMap(name: string, value: string): ConfigMap {
  return { ...kind, metadata: { namespace: 'default', name }, data: { value } };
}

function named(name: string) {
  return { ...kind, namespace: 'default', name };
}

/** One of each sort of change, the fourth object stays as it is. */
function changeEverything(server: FakeApiServer): void {
  server.patch(named('changed'), { data: { value: '2' } });
  server.remove(named('gone'));
  server.remove(named('replaced'));
  server.create(configMap('replaced', '2'));
  server.create(configMap('new', '1'));
}

async function mirrorsTheServer({ server, reflector }: Mirror): Promise<void> {
  const states = (objects: readonly ConfigMap[]) =>
    JSON.stringify(objects.map(({ metadata, data }) => [metadata.uid, metadata.resourceVersion, data]).sort());
  await eventually('the mirror is what the server has', () => states(reflector.list()) === states(server.list<ConfigMap>(kind)));
}

const whatHappened = ['Added new 1', 'Added replaced 2', 'Deleted gone 1', 'Deleted replaced 1', 'Modified changed 2'];

test('what exists is listed in pages, what happens is watched, both as raw JSON', () =>
  withMirror(async (mirror) => {
    assert.deepEqual(mirror.seen, ['Added changed 1', 'Added gone 1', 'Added replaced 1', 'Added still 1']);
    changeEverything(mirror.server);
    await mirrorsTheServer(mirror);
    assert.deepEqual(mirror.seen.slice(4).sort(), whatHappened);
    assert.deepEqual(
      mirror.reflector.list().map(({ metadata }) => typeof metadata.creationTimestamp),
      ['string', 'string', 'string', 'string'],
    );
    assert.equal(mirror.server.requests.filter(({ query }) => query['limit'] === '3').length, 2);
  }));

const failures: readonly {
  readonly name: string;
  readonly cause: (server: FakeApiServer) => void;
  readonly options?: FakeApiServerOptions;
}[] = [
  { name: 'a reset connection', cause: (server) => server.resetWatches() },
  { name: 'a graceful end', cause: (server) => server.endWatches() },
  { name: 'an ERROR event other than 410', cause: (server) => server.sendErrorToWatches(500, 'InternalError') },
  { name: 'a line that is no JSON', cause: (server) => server.writeToWatches('{"type":"ADDED","object":{"apiVer') },
  { name: 'a line that is no event', cause: (server) => server.writeToWatches('{"type":"PERHAPS"}') },
  { name: 'a half-open connection', cause: (server) => server.silenceWatches() },
  {
    name: 'refusals of the next watches with 429 and 503',
    cause(server) {
      server.interfere({ type: 'Refuse', status: 429, reason: 'TooManyRequests', retryAfterSeconds: 1 }, { watch: true });
      server.interfere({ type: 'Refuse', status: 503, reason: 'ServiceUnavailable' }, { watch: true, times: 3 });
      server.resetWatches();
    },
  },
  {
    name: 'a version that the server has forgotten, as an ERROR event',
    cause(server) {
      server.interfere({ type: 'Refuse', status: 503, reason: 'ServiceUnavailable' }, { watch: true });
      server.resetWatches();
      changeEverything(server);
      server.compact();
    },
    options: { expiredAs: 'ErrorEvent' },
  },
  {
    name: 'a version that the server has forgotten, as HTTP status 410',
    cause(server) {
      server.interfere({ type: 'Refuse', status: 503, reason: 'ServiceUnavailable' }, { watch: true });
      server.resetWatches();
      changeEverything(server);
      server.compact();
    },
    options: { expiredAs: 'HttpStatus' },
  },
  {
    name: 'a list that fails when everything has to be listed again',
    cause(server) {
      server.interfere({ type: 'Refuse', status: 429, reason: 'TooManyRequests' }, { watch: false, path: /configmaps/ });
      server.interfere({ type: 'Reset' }, { watch: false, path: /configmaps/, times: 2 });
      server.sendErrorToWatches(410, 'Expired');
    },
  },
];

for (const { name, cause, options = {} } of failures) {
  test(`nothing is missed over ${name}`, () =>
    withMirror(async (mirror) => {
      cause(mirror.server);
      if (mirror.server.find(named('new')) === undefined) {
        changeEverything(mirror.server);
      }
      await mirrorsTheServer(mirror);
      assert.deepEqual(mirror.seen.slice(4).sort(), whatHappened);
      assert.ok(mirror.seen.indexOf('Deleted replaced 1') < mirror.seen.indexOf('Added replaced 2'));
    }, options));
}

test('a receiver that throws loses nothing, holds up no other object, and ends no process', async () => {
  let broken = true;
  await withMirror(
    async (mirror) => {
      changeEverything(mirror.server);
      await mirrorsTheServer(mirror);
      mirror.server.patch(named('changed'), { data: { value: '3' } });
      await mirrorsTheServer(mirror);
      assert.ok(!mirror.seen.some((line) => line.startsWith('Modified')));
      assert.ok(mirror.seen.includes('Added new 1'));
      broken = false;
      await eventually('the change is delivered', () => mirror.seen.includes('Modified changed 3'));
      assert.match(mirror.metrics.text(), /watch_receiver_failures_total\{kind="ConfigMap"\} [1-9]/);
    },
    {
      onDelta(delta) {
        if (broken && delta.type === 'Modified') {
          throw new Error('a bug of the receiver');
        }
      },
    },
  );
});

test('what loses its label is gone, what gets it is new', () =>
  withMirror(
    async ({ server, seen }) => {
      assert.deepEqual(seen, []);
      server.patch(named('still'), { metadata: { labels: { ours: 'yes' } } });
      server.patch(named('still'), { data: { value: '2' } });
      server.patch(named('gone'), { data: { value: '2' } });
      server.patch(named('still'), { metadata: { labels: { ours: 'no' } } });
      await eventually('it is gone', () => seen.length === 3);
      assert.deepEqual(seen, ['Added still 1', 'Modified still 2', 'Deleted still 2']);
    },
    { labelSelector: 'ours=yes' },
  ));

test('a caller can wait until the mirror shows its own write', () =>
  withMirror(async ({ server, reflector }) => {
    server.silenceWatches();
    const { metadata } = server.patch<ConfigMap>(named('changed'), { data: { value: 'mine' } });
    assert.equal(reflector.get(named('changed'))?.data?.['value'], '1');
    await reflector.atLeast(metadata.resourceVersion ?? '', { timeoutMs: 60_000 });
    assert.equal(reflector.get(named('changed'))?.data?.['value'], 'mine');
    await assert.rejects(reflector.atLeast('999999', { timeoutMs: 50 }), /has not come to version 999999/);
  }));

test('a quiet kind keeps one watch: bookmarks are life signs, and carry it over forgotten history', () =>
  withMirror(async (mirror) => {
    const watches = () => mirror.server.requests.filter(({ query }) => query['watch'] === 'true').length;
    // Another kind moves on, history of ours is forgotten, the bookmark has told us.
    mirror.server.create({ apiVersion: 'v1', kind: 'Service', metadata: { namespace: 'default', name: 'other' } });
    await mirror.reflector.atLeast(mirror.server.resourceVersion, { timeoutMs: 60_000 });
    mirror.server.compact();
    mirror.server.endWatches();
    await eventually('the next watch is open', () => watches() >= 2 && mirror.server.openWatches === 1);
    assert.match(mirror.metrics.text(), /watch_lists_total\{kind="ConfigMap"\} 1\n/);
  }));

test('an API server that is away, comes back and has forgotten is caught up with', () =>
  withMirror(async (mirror) => {
    await mirror.server.down();
    changeEverything(mirror.server);
    mirror.server.compact();
    await mirror.server.up();
    await mirrorsTheServer(mirror);
    assert.deepEqual(mirror.seen.slice(4).sort(), whatHappened);
  }));

test('a server that ends every watch at once is not asked without a pause', () =>
  withMirror(async ({ server }) => {
    const before = server.requests.length;
    const until = performance.now() + 500;
    await eventually('half a second of ends is over', () => {
      server.endWatches();
      return performance.now() > until;
    });
    assert.ok(server.requests.length - before < 60, `${server.requests.length - before} requests`);
  }));

test('connections do not pile up, however often a watch is taken up again', () =>
  withMirror(async ({ server, metrics }) => {
    const ways = [() => server.resetWatches(), () => server.endWatches(), () => server.sendErrorToWatches(500, 'InternalError')];
    for (let count = 0; count < 30; count += 1) {
      ways[count % ways.length]?.();
      await eventually('the next watch is open', () => server.openWatches === 1);
    }
    assert.match(metrics.text(), /watch_failures_total\{/);
    // Both ends of each are in this process. One carries the watch, few are kept for what comes next.
    const sockets = () => process.getActiveResourcesInfo().filter((name) => name === 'TCPSocketWrap').length;
    await eventually('few are left', () => sockets() <= 8);
  }));

test('under all failures in any order 100 objects arrive at their end states', () =>
  withMirror(async (mirror) => {
    const { server } = mirror;
    const random = new Random(20_261);
    const exists = new Set<string>();
    for (let step = 0; step < 1_500; step += 1) {
      const name = `object-${Math.floor(random.next() * 100)}`;
      if (!exists.has(name)) {
        server.create(configMap(name, String(step)));
        exists.add(name);
      } else if (random.chance(0.3)) {
        server.remove(named(name));
        exists.delete(name);
      } else {
        server.patch(named(name), { data: { value: String(step) } });
      }
      if (random.chance(0.02)) {
        const breakages = [
          () => server.resetWatches(),
          () => server.endWatches(),
          () => server.compact(),
          () => server.writeToWatches('{'),
          () => server.sendErrorToWatches(410, 'Expired'),
        ];
        breakages[Math.floor(random.next() * breakages.length)]?.();
      }
      if (step % 10 === 0) {
        await new Promise((resolve) => setImmediate(resolve));
      }
    }
    await mirrorsTheServer(mirror);
    // What was seen, object by object, ends where the server is, and never has two births without a death between them.
    const alive = new Map<string, string>();
    for (const line of mirror.seen) {
      const [type, name = '', value = ''] = line.split(' ');
      assert.equal(alive.has(name), type !== 'Added', line);
      if (type === 'Deleted') {
        alive.delete(name);
      } else {
        alive.set(name, value);
      }
    }
    assert.deepEqual(
      [...alive].sort(),
      server
        .list<ConfigMap>(kind)
        .map(({ metadata, data }) => [metadata.name, data?.['value']])
        .sort(),
    );
  }));

test('a mirror is fed while the server is heard, and not before the first list or after a silence', () =>
  withMirror(async ({ server, reflector }) => {
    await eventually('it is fed', () => reflector.isFed());
    await server.down();
    await eventually('nobody feeds it', () => !reflector.isFed());
    await server.up();
    await eventually('it is fed again', () => reflector.isFed());
  }));
