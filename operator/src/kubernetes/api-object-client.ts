import { type Clock, systemClock } from '../clock.ts';
import type { ApiConnection, ApiRequest } from './api-connection.ts';
import { ApiError } from './api-error.ts';
import { Metrics } from './metrics.ts';
import type { KubernetesObject, ObjectClient, ObjectKind, ObjectReference } from './object-client.ts';
import { listObjects } from './object-lists.ts';
import { RepeatedRequests } from './repeated-requests.ts';
import { ResourcePaths } from './resource-paths.ts';

/** Who the API shows as the owner of the fields that we apply. */
export const fieldManager = 'flinkjob-operator';

/** The ways to the API that all parts of one process share: connection, repetition, what discovery has found. */
export interface ApiAccess {
  readonly connection: ApiConnection;
  readonly requests: RepeatedRequests;
  readonly paths: ResourcePaths;
}

export interface ApiAccessOptions {
  readonly connection: ApiConnection;
  readonly clock?: Clock;
  readonly metrics?: Metrics;
  readonly attemptTimeoutMs?: number;
  readonly patienceMs?: number;
}

export function createApiAccess({
  connection,
  clock = systemClock,
  metrics = new Metrics(),
  ...limits
}: ApiAccessOptions): ApiAccess {
  const requests = new RepeatedRequests({ connection, clock, metrics, ...limits });
  const discover = async (path: string) => (await requests.send({ method: 'GET', path }, { repeatable: true })).body;
  return { connection, requests, paths: new ResourcePaths(discover) };
}

export function createObjectClient({ requests, paths }: Pick<ApiAccess, 'requests' | 'paths'>): ObjectClient {
  const send = async <T>(request: ApiRequest, { repeatable }: { readonly repeatable: boolean }): Promise<T> =>
    (await requests.send(request, { repeatable })).body as T;
  const pathOf = (object: KubernetesObject, subresource?: string) => {
    const { namespace, name } = object.metadata;
    return paths.pathOf(object, { namespace, name, subresource });
  };

  return {
    async get<T extends KubernetesObject>(reference: ObjectReference): Promise<T | undefined> {
      try {
        return await send<T>({ method: 'GET', path: await paths.pathOf(reference, reference) }, { repeatable: true });
      } catch (error) {
        if (hasReason(error, 'NotFound')) {
          return undefined;
        }
        throw error;
      }
    },

    async list<T extends KubernetesObject>(
      kind: ObjectKind,
      options: { readonly namespace?: string | undefined; readonly labelSelector?: string | undefined },
    ): Promise<readonly T[]> {
      return (await listObjects<T>({ requests, paths }, kind, options)).items;
    },

    async apply<T extends KubernetesObject>(object: T, options: { readonly subresource?: 'status' | 'scale' } = {}): Promise<T> {
      const path = await pathOf(object, options.subresource);
      // The scale of anything is an object of a kind of its own.
      const body = options.subresource === 'scale' ? { ...object, apiVersion: 'autoscaling/v1', kind: 'Scale' } : object;
      const query = { fieldManager, force: 'true' };
      return send<T>({ method: 'PATCH', path, query, body, contentType: 'application/apply-patch+yaml' }, { repeatable: true });
    },

    async create<T extends KubernetesObject>(object: T): Promise<T> {
      const { apiVersion, kind, metadata } = object;
      const path = await paths.pathOf({ apiVersion, kind }, { namespace: metadata.namespace });
      // The answer may be lost after the object was made; again would say AlreadyExists of our own, or make a second one.
      return send<T>({ method: 'POST', path, query: { fieldManager }, body: object }, { repeatable: false });
    },

    async tryCreate<T extends KubernetesObject>(object: T): Promise<T> {
      const { apiVersion, kind, metadata } = object;
      const path = await paths.pathOf({ apiVersion, kind }, { namespace: metadata.namespace });
      const query = { fieldManager, dryRun: 'All', fieldValidation: 'Strict' };
      return send<T>({ method: 'POST', path, query, body: object }, { repeatable: true });
    },

    async replace<T extends KubernetesObject>(object: T, options: { readonly subresource?: 'status' } = {}): Promise<T> {
      const path = await pathOf(object, options.subresource);
      if (object.metadata.resourceVersion === undefined) {
        throw new Error(`${object.kind} ${object.metadata.name} was not read before it is replaced: it has no resourceVersion`);
      }
      // A second time after a lost answer is a Conflict, after which everybody reads again.
      return send<T>({ method: 'PUT', path, query: { fieldManager }, body: object }, { repeatable: true });
    },

    async delete(reference, { uid, resourceVersion, gracePeriodSeconds, propagationPolicy = 'Background' } = {}): Promise<void> {
      const body = {
        ...{ apiVersion: 'v1', kind: 'DeleteOptions', propagationPolicy },
        ...(uid === undefined ? {} : { preconditions: { uid, ...(resourceVersion === undefined ? {} : { resourceVersion }) } }),
        ...(gracePeriodSeconds === undefined ? {} : { gracePeriodSeconds }),
      };
      try {
        // Without a uid, a second time could meet another object of the same name.
        await send({ method: 'DELETE', path: await paths.pathOf(reference, reference), body }, { repeatable: uid !== undefined });
      } catch (error) {
        const another = uid !== undefined && hasReason(error, 'Conflict');
        if (!another && !hasReason(error, 'NotFound')) {
          throw error;
        }
      }
    },
  };
}

function hasReason(error: unknown, reason: string): boolean {
  return error instanceof ApiError && error.reason === reason;
}
