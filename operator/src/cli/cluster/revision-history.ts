import { apiVersion, group, kind } from '../../api/labels.ts';
import type { Revision } from '../../flink-job/revision.ts';
import type { KubernetesObject } from '../../kubernetes/object-client.ts';
import { CommandFailure } from '../command.ts';
import type { Cluster, FlinkJobObject } from './cluster.ts';

/** The revisions of a job that the operator keeps, as ControllerRevisions. */
interface RevisionObject extends KubernetesObject {
  readonly data: Revision;
  readonly revision: number;
}

export interface KnownRevision {
  /** Counts the revisions that are kept, oldest first; what `--to-revision` takes. */
  readonly number: number;
  readonly revision: Revision;
  readonly createdAtMs: number;
  /** The one that runs, or ran last. */
  readonly isCurrent: boolean;
}

export async function readRevisions(cluster: Cluster, flinkJob: FlinkJobObject): Promise<readonly KnownRevision[]> {
  const { name, uid } = flinkJob.metadata;
  const found = await cluster.client.list<RevisionObject>(
    { apiVersion: 'apps/v1', kind: 'ControllerRevision' },
    { namespace: cluster.namespace, labelSelector: `${group}/flink-job=${name}` },
  );
  const own = found.filter(({ metadata }) =>
    metadata.ownerReferences?.some((owner) => owner.apiVersion === apiVersion && owner.kind === kind && owner.uid === uid),
  );
  return numbered(own, flinkJob.status?.revision);
}

/** Pure. By their own numbers where they have different ones, else by age. */
function numbered(objects: readonly RevisionObject[], current: string | undefined): readonly KnownRevision[] {
  const hasNumbers = new Set(objects.map(({ revision }) => revision)).size === objects.length;
  const createdAtMs = ({ metadata }: RevisionObject) => Date.parse(metadata.creationTimestamp ?? '') || 0;
  return [...objects]
    .sort((a, b) => a.revision - b.revision || createdAtMs(a) - createdAtMs(b))
    .map((object, index) => ({
      number: hasNumbers ? object.revision : index + 1,
      revision: object.data,
      createdAtMs: createdAtMs(object),
      isCurrent: object.data.name === current,
    }));
}

/** Pure. The one that is asked for by number or name or, without a wish, the newest before the one that runs. */
export function chooseRevision(revisions: readonly KnownRevision[], wanted: string | undefined, name: string): KnownRevision {
  const list = `kubectl flinkjob history ${name} lists the revisions that are kept.`;
  if (wanted !== undefined) {
    const found = revisions.find(
      ({ number, revision }) => String(number) === wanted || (wanted.length >= 4 && revision.name.startsWith(wanted)),
    );
    if (found === undefined) {
      throw new CommandFailure(`${name} has no revision ${wanted}`, list);
    }
    return found;
  }
  const currentAt = revisions.findIndex(({ isCurrent }) => isCurrent);
  const before = (currentAt === -1 ? revisions : revisions.slice(0, currentAt)).at(-1);
  if (before === undefined) {
    throw new CommandFailure(
      `${name} has no revision before the one that runs`,
      `The operator keeps none that is older. ${list} An older file can be applied with kubectl apply.`,
    );
  }
  return before;
}
