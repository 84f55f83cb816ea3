import { savepointKind } from '../../../src/api/flink-savepoint.ts';
import type { FlinkSavepointStatus } from '../../../src/api/flink-savepoint-status.ts';
import { apiVersion } from '../../../src/api/labels.ts';
import type { KubernetesObject } from '../../../src/kubernetes/object-client.ts';
import { Refusal } from '../../fakes/api-objects.ts';
import type { SimulatedApiServer } from './simulated-api-server.ts';
import type { SimulationWorld } from './simulation-world.ts';

export interface FlinkSavepointObject extends KubernetesObject {
  readonly spec: {
    readonly flinkJobName: string;
    readonly deletionPolicy?: 'Delete' | 'Retain';
    readonly ttlSeconds?: number;
    readonly drill?: 'None' | 'Once';
    readonly import?: { readonly path: string };
  };
  readonly status?: FlinkSavepointStatus;
}

export const flinkSavepointKind = { apiVersion, kind: savepointKind };

/** What people do with FlinkSavepoints: ask for them, import, prove, let them expire, delete them at any moment, and lose their status. */
export class SimulatedSavepointUser {
  readonly #world: SimulationWorld;
  readonly #server: SimulatedApiServer;
  readonly #namespace: string;
  /** Uids of those that a person has deleted. */
  readonly deleted = new Set<string>();
  #count = 0;

  constructor(world: SimulationWorld, server: SimulatedApiServer, namespace: string) {
    this.#world = world;
    this.#server = server;
    this.#namespace = namespace;
  }

  act(flinkJobName: string): void {
    const { random } = this.#world;
    const all = this.#server.list<FlinkSavepointObject>(flinkSavepointKind);
    const choice = random.next();
    if (all.length === 0 || choice < 0.5) {
      this.#ask(flinkJobName);
      return;
    }
    const victim = random.pick(all);
    if (choice < 0.8) {
      this.#delete(victim);
    } else if (choice < 0.9) {
      const spec = random.pick([{ deletionPolicy: 'Retain' }, { deletionPolicy: 'Delete' }, { ttlSeconds: 60 }]);
      this.#world.trace(`user changes savepoint ${victim.metadata.name} ${JSON.stringify(spec)}`);
      this.#patch(victim, { spec });
    } else if (this.#world.fault(1, `user deletes the status of savepoint ${victim.metadata.name}`)) {
      this.#patch(victim, { status: null }, 'status');
    }
  }

  #ask(jobName: string): void {
    const { random } = this.#world;
    this.#count += 1;
    const flinkJobName = random.chance(0.1) ? 'nobody' : jobName;
    const foreign = random.chance(0.2) ? { import: { path: 's3://elsewhere/jobs/other/savepoints/000007-e1' } } : {};
    const spec: FlinkSavepointObject['spec'] & { readonly startDeadlineSeconds: number } = {
      ...{ flinkJobName, ...foreign, drill: random.pick(['None', 'None', 'Once'] as const) },
      ...{
        deletionPolicy: random.pick(['Delete', 'Delete', 'Retain'] as const),
        startDeadlineSeconds: random.pick([10, 60, 120]),
      },
      ...(random.chance(0.25) ? { ttlSeconds: 60 } : {}),
    };
    const name = `asked-${this.#count}`;
    this.#world.trace(`user asks for savepoint ${name} ${JSON.stringify(spec)}`);
    this.#server.by('user', (requests) =>
      requests.create({ ...flinkSavepointKind, metadata: { namespace: this.#namespace, name }, spec } as FlinkSavepointObject),
    );
  }

  #delete({ metadata }: FlinkSavepointObject): void {
    this.#world.trace(`user deletes savepoint ${metadata.name}`);
    this.deleted.add(metadata.uid ?? '');
    try {
      this.#server.by('user', (requests) => requests.remove({ ...flinkSavepointKind, ...metadata }));
    } catch (error) {
      if (!(error instanceof Refusal)) {
        throw error;
      }
    }
  }

  #patch({ metadata }: FlinkSavepointObject, patch: object, subresource?: 'status'): void {
    this.#server.by('user', (requests) => requests.patch({ ...flinkSavepointKind, ...metadata }, patch, subresource));
  }
}
