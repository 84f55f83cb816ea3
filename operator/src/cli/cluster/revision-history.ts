import { apiVersion, group, kind } from '../../api/labels.ts';
import { parseFlinkJobSpec } from '../../api/parse-flink-job.ts';
import { isBuiltFrom } from '../../defaults/choose-defaults.ts';
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
  /** The rollout that brought it first; what `--to-revision` takes. */
  readonly number: number;
  readonly revision: Revision;
  readonly createdAtMs: number;
  /** What it is to the job now, in words. */
  readonly roles: readonly Role[];
}

type Role = 'running' | 'stable' | 'rolled back' | 'in the spec';

export async function readRevisions(cluster: Cluster, flinkJob: FlinkJobObject): Promise<readonly KnownRevision[]> {
  const { name, uid } = flinkJob.metadata;
  const found = await cluster.client.list<RevisionObject>(
    { apiVersion: 'apps/v1', kind: 'ControllerRevision' },
    { namespace: cluster.namespace, labelSelector: `${group}/flink-job=${name}` },
  );
  const own = found.filter(({ metadata }) =>
    metadata.ownerReferences?.some((owner) => owner.apiVersion === apiVersion && owner.kind === kind && owner.uid === uid),
  );
  return known(own, flinkJob);
}

/** Pure. Oldest first. */
function known(objects: readonly RevisionObject[], { spec, status, metadata }: FlinkJobObject): readonly KnownRevision[] {
  const parsed = parseFlinkJobSpec(spec);
  const named: readonly (readonly [Role, string | undefined])[] = [
    ['running', status?.ended === undefined ? status?.revision : undefined],
    ['stable', status?.stable?.revision],
    ['rolled back', status?.rolledBack?.revision],
  ];
  return objects
    .map((object) => ({
      number: object.revision,
      revision: object.data,
      createdAtMs: Date.parse(object.metadata.creationTimestamp ?? '') || 0,
      roles: [
        ...named.flatMap(([role, name]) => (name === object.data.name ? [role] : [])),
        ...(parsed.ok && isBuiltFrom(object.data, { spec, metadata }, parsed.value) ? (['in the spec'] as const) : []),
      ],
    }))
    .sort((a, b) => a.number - b.number || a.createdAtMs - b.createdAtMs);
}

/**
 * Pure. The one that is asked for by number or name. Without a wish: the last that was stable, unless that is the one in the spec; then the newest
 * before it that was not rolled back.
 */
export function chooseRevision(revisions: readonly KnownRevision[], wanted: string | undefined, name: string): KnownRevision {
  const list = `kubectl flinkjob history ${name} lists the revisions that are kept.`;
  if (wanted !== undefined) {
    const found = revisions.findLast(
      ({ number, revision }) => String(number) === wanted || (wanted.length >= 4 && revision.name.startsWith(wanted)),
    );
    if (found === undefined) {
      throw new CommandFailure(`${name} has no revision ${wanted}`, list);
    }
    return found;
  }
  const has = (role: Role) => (each: KnownRevision) => each.roles.includes(role);
  const inSpecAt = revisions.findIndex(has('in the spec'));
  const others = revisions.filter((each) => !has('in the spec')(each) && !has('rolled back')(each));
  const earlier = inSpecAt === -1 ? others : others.filter((each) => revisions.indexOf(each) < inSpecAt);
  const chosen = others.find(has('stable')) ?? earlier.at(-1);
  if (chosen === undefined) {
    throw new CommandFailure(
      `${name} has no revision before the one in its spec`,
      `The operator keeps none that is older. ${list} An older file can be applied with kubectl apply.`,
    );
  }
  return chosen;
}
