import type { StateImplementation } from '../../src/core/job-graph/executable-job.ts';
import type { StateTtl } from '../../src/core/job-graph/job-graph.ts';
import type { KeyedStateBackend, KeyedStateBackendFactory, MapStateHandle } from '../../src/state-backend/state-backend.ts';

export interface PlantedBug {
  readonly name: string;
  readonly plant: (createBackend: KeyedStateBackendFactory) => KeyedStateBackendFactory;
}

/** Mistakes that a backend could make; the programs must find each of them. */
export const plantedBugs: readonly PlantedBug[] = [
  {
    name: 'what has ended is read a millisecond longer',
    plant: withTtl((ttl) => ({ ...ttl, ttlMs: ttl.ttlMs + 1 })),
  },
  {
    name: 'every read renews',
    plant: withTtl((ttl) => ({ ...ttl, renewedBy: 'ReadAndWrite' })),
  },
  {
    name: 'no read renews',
    plant: withTtl((ttl) => ({ ...ttl, renewedBy: 'Write' })),
  },
  {
    name: 'a map gives its entries in another order',
    plant: changed((backend) => ({
      map: (name: string) => {
        const handle = backend.map(name);
        const reversed: MapStateHandle<unknown, unknown> = {
          ...handle,
          entries: () => [...handle.entries()].reverse().values(),
        };
        return reversed;
      },
    })),
  },
  {
    name: 'a snapshot is of the time when it is written',
    plant: changed((backend) => ({
      snapshot: (format) => ({ write: (target) => backend.snapshot(format).write(target), discard: () => undefined }),
    })),
  },
  {
    name: 'a restore takes one part only',
    plant: (create) => (options, restored) => create(options, restored.slice(0, 1)),
  },
  {
    name: 'a change of the key forgets the namespace of before',
    plant: (create) => async (options, restored) => {
      const backend = await create(options, restored);
      let first: { readonly namespace: unknown } | undefined;
      return override(backend, {
        setCurrentNamespace: (namespace) => {
          first ??= { namespace };
          backend.setCurrentNamespace(namespace);
        },
        setCurrentKey: (key) => {
          backend.setCurrentKey(key);
          if (first !== undefined) {
            backend.setCurrentNamespace(first.namespace);
          }
        },
      });
    },
  },
  {
    name: 'deleting a timer deletes none',
    plant: changed(() => ({ deleteTimer: () => undefined })),
  },
  {
    name: 'a firing timer is still there while it fires',
    plant: changed((backend) => ({
      fireTimers: (domain, upToMs, countMax, fire) =>
        backend.fireTimers(domain, upToMs, countMax, (timer) => {
          backend.registerTimer(domain, timer.timestampMs);
          fire(timer);
          backend.deleteTimer(domain, timer.timestampMs);
        }),
    })),
  },
  {
    name: 'setting a list adds to it',
    plant: changed((backend) => ({
      list: (name: string) => {
        const handle = backend.list(name);
        const add = (elements: readonly unknown[]): void => {
          for (const element of elements) {
            handle.add(element);
          }
        };
        return { ...handle, set: add };
      },
    })),
  },
];

function withTtl(change: (ttl: StateTtl) => StateTtl): PlantedBug['plant'] {
  return (create) => (options, restored) => {
    const states = options.states.map((state): StateImplementation => {
      const { declaration } = state;
      const { ttl } = declaration;
      return ttl === undefined ? state : { ...state, declaration: { ...declaration, ttl: change(ttl) } };
    });
    return create({ ...options, states }, restored);
  };
}

function changed(overridesOf: (backend: KeyedStateBackend) => Partial<KeyedStateBackend>): PlantedBug['plant'] {
  return (create) => async (options, restored) => {
    const backend = await create(options, restored);
    return override(backend, overridesOf(backend));
  };
}

function override(backend: KeyedStateBackend, overrides: Partial<KeyedStateBackend>): KeyedStateBackend {
  return new Proxy(backend, {
    get(target, name) {
      const value: unknown = Reflect.get(name in overrides ? overrides : target, name);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}
