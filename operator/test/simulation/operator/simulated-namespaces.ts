import type { KubernetesObject } from '../../../src/kubernetes/object-client.ts';
import { builtInKinds, type FakeKind } from '../../fakes/api-kinds.ts';
import { type Change, holdPrefix, Refusal } from '../../fakes/api-objects.ts';
import type { SimulatedApiServer } from './simulated-api-server.ts';
import type { SimulationWorld } from './simulation-world.ts';

export const namespaceHold = `${holdPrefix}namespace`;

/** Leases of a job's namespace are nobody's; all else that may lie there goes with it. */
const sweptKinds = builtInKinds.filter(({ namespaced, kind }) => namespaced && kind !== 'Lease');

/** The controller of namespaces: deletes what is in one that goes, in no order that anybody may count on, again and again until nothing is left. */
export class SimulatedNamespaces {
  readonly #world: SimulationWorld;
  readonly #server: SimulatedApiServer;

  constructor(world: SimulationWorld, server: SimulatedApiServer) {
    this.#world = world;
    this.#server = server;
  }

  /** To be told of every change of a namespace. */
  changed({ object, previous, type }: Change): void {
    const { deletionTimestamp, name } = object.metadata;
    if (type !== 'DELETED' && deletionTimestamp !== undefined && previous?.metadata.deletionTimestamp === undefined) {
      this.#world.trace(`namespace ${name} goes`);
      this.#sweepLater(name);
    }
  }

  #sweepLater(name: string): void {
    const slow = this.#world.fault(0.1, 'the controller of namespaces is slow');
    this.#world.time.schedule(this.#world.random.between(50, slow ? 8_000 : 1_500), () => this.#sweep(name));
  }

  #sweep(name: string): void {
    const { random } = this.#world;
    let left = 0;
    for (const kind of shuffled(sweptKinds, () => random.next())) {
      const objects = this.#server.list<KubernetesObject>(kind);
      const inside = objects.filter(({ metadata }) => metadata.namespace === name);
      left += inside.length;
      // Not all at once: what is deleted first, and what much later, differs from time to time.
      for (const object of inside.filter(({ metadata }) => metadata.deletionTimestamp === undefined && random.chance(0.6))) {
        this.#delete(kind, name, object.metadata.name);
      }
    }
    if (left > 0) {
      this.#sweepLater(name);
      return;
    }
    const namespace = { apiVersion: 'v1', kind: 'Namespace', name };
    this.#server.by('cluster', (requests) => requests.patch(namespace, { metadata: { finalizers: [] } }));
    this.#world.trace(`namespace ${name} is gone`);
  }

  #delete(kind: FakeKind, namespace: string, name: string): void {
    try {
      this.#server.by('cluster', (requests) => requests.remove({ ...kind, namespace, name }));
    } catch (error) {
      if (!(error instanceof Refusal)) {
        throw error;
      }
    }
  }
}

function shuffled<T>(items: readonly T[], next: () => number): readonly T[] {
  return items
    .map((item) => ({ item, at: next() }))
    .sort((a, b) => a.at - b.at)
    .map(({ item }) => item);
}
