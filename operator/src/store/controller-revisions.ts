import type { FlinkJobKey } from '../api/flink-job.ts';
import { apiVersion, group, kind } from '../api/labels.ts';
import type { Revision } from '../flink-job/revision.ts';
import { ApiError } from '../kubernetes/api-error.ts';
import type { KubernetesObject, ObjectClient } from '../kubernetes/object-client.ts';
import type { NumberedRevision } from './flink-job-store.ts';

interface ControllerRevision extends KubernetesObject {
  /** Kubernetes lets nobody change it once it is there. */
  readonly data: Revision;
  readonly revision: number;
}

const controllerRevisions = { apiVersion: 'apps/v1', kind: 'ControllerRevision' };

/** Selects the revisions of one FlinkJob. */
const flinkJobLabel = `${group}/flink-job`;

/**
 * Revisions as ControllerRevisions: immutable for the API server, and owned by the FlinkJob, so that they go with it. What was read once need not be read again; it cannot
 * have changed.
 */
export class ControllerRevisions {
  readonly #client: ObjectClient;
  /** By uid of the FlinkJob, then by name. */
  readonly #read = new Map<string, Map<string, Revision>>();
  /** What was kept when all others were last deleted, by uid: nothing to do until that or the revisions change. */
  readonly #kept = new Map<string, string>();

  constructor(client: ObjectClient) {
    this.#client = client;
  }

  async put(key: FlinkJobKey, uid: string, { revision, number }: NumberedRevision): Promise<void> {
    if ((await this.get(key, uid, revision.name)) !== undefined) {
      return;
    }
    this.#kept.delete(uid);
    const { namespace, name } = key;
    const owner = { apiVersion, kind, name, uid, controller: true, blockOwnerDeletion: false };
    try {
      await this.#client.create<ControllerRevision>({
        ...controllerRevisions,
        metadata: {
          namespace,
          name: nameOf(key, uid, revision.name),
          labels: { [flinkJobLabel]: name },
          ownerReferences: [owner],
        },
        data: revision,
        // The rollout that brought it first. Which revision is current, and which was stable, is in the FlinkJob's status.
        revision: number,
      });
    } catch (error) {
      if (!(error instanceof ApiError && error.reason === 'AlreadyExists')) {
        throw error;
      }
    }
  }

  async get(key: FlinkJobKey, uid: string, name: string): Promise<Revision | undefined> {
    const known = this.#read.get(uid)?.get(name);
    if (known !== undefined) {
      return known;
    }
    const reference = { ...controllerRevisions, namespace: key.namespace, name: nameOf(key, uid, name) };
    const found = await this.#client.get<ControllerRevision>(reference);
    if (found === undefined || !belongsTo(found, uid) || found.metadata.deletionTimestamp !== undefined) {
      return undefined;
    }
    const revisions = this.#read.get(uid) ?? new Map<string, Revision>();
    this.#read.set(uid, revisions.set(name, found.data));
    return found.data;
  }

  async prune(key: FlinkJobKey, uid: string, keep: readonly string[]): Promise<void> {
    const kept = [...keep].sort().join();
    if (this.#kept.get(uid) === kept) {
      return;
    }
    const { namespace } = key;
    const superfluous = (await this.#all(key, uid)).filter(({ data }) => !keep.includes(data.name));
    for (const { metadata, data } of superfluous) {
      this.#read.get(uid)?.delete(data.name);
      await this.#client.delete(
        { ...controllerRevisions, namespace, name: metadata.name },
        metadata.uid === undefined ? {} : { uid: metadata.uid },
      );
    }
    this.#kept.set(uid, kept);
  }

  /** Those of the newest rollouts first. */
  async list(key: FlinkJobKey, uid: string): Promise<readonly NumberedRevision[]> {
    const found = (await this.#all(key, uid)).filter(({ metadata }) => metadata.deletionTimestamp === undefined);
    return found.map(({ revision, data }) => ({ number: revision, revision: data })).sort((a, b) => b.number - a.number);
  }

  async #all({ namespace, name }: FlinkJobKey, uid: string): Promise<readonly ControllerRevision[]> {
    const labelSelector = `${flinkJobLabel}=${name}`;
    const all = await this.#client.list<ControllerRevision>(controllerRevisions, { namespace, labelSelector });
    return all.filter((found) => belongsTo(found, uid));
  }

  /** The FlinkJob is gone. */
  forget(uid: string): void {
    this.#read.delete(uid);
    this.#kept.delete(uid);
  }
}

function belongsTo({ metadata }: KubernetesObject, uid: string): boolean {
  return metadata.ownerReferences?.some((owner) => owner.uid === uid) === true;
}

/** A FlinkJob that was deleted and applied again must not meet the revisions of its predecessor, which go a moment later. */
function nameOf(key: FlinkJobKey, uid: string, name: string): string {
  return `${key.name}-${name}-${uid.slice(0, 8)}`;
}
