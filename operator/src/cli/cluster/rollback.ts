import type { FlinkJobSpec } from '../../api/flink-job-spec.ts';
import { annotations, apiVersion, kind } from '../../api/labels.ts';
import { type CommandOutput, exitCodes } from '../command.ts';
import { formatAge } from '../format.ts';
import { type Cluster, type FlinkJobObject, fieldManager, getFlinkJob } from './cluster.ts';
import { clusterCommand } from './cluster-command.ts';
import { chooseRevision, type KnownRevision, readRevisions } from './revision-history.ts';
import { changeLines, specChanges } from './spec-changes.ts';
import { isReady, waitFor, waitOptions } from './wait.ts';

export const rollback = clusterCommand(
  {
    name: 'rollback',
    summary: 'Write the spec of an older revision into the job again, as kubectl rollout undo does',
    details: [
      'State goes forward: the older revision starts from the newest state, not from that of its own time, and pre-flight proves that it can read it before the job is touched.',
      'spec.job.desiredState, upgrade, restore, savepoints, recovery and the like stay as they are: they say what should happen to the job, not what it is made of.',
      'What the namespace said for all its jobs when that revision was built (ConfigMap flinkjob-defaults) comes back with it.',
      'To go back in state too, point spec.restore at a savepoint or checkpoint.',
    ],
    positionals: [{ name: 'NAME', required: true, meaning: 'the job' }],
    options: {
      'to-revision': {
        type: 'string',
        value: 'N',
        default: 'the last stable one, or the one before',
        meaning: 'number or name of the revision',
      },
      'dry-run': { type: 'boolean', meaning: 'show the difference, have the cluster check it, change nothing' },
      ...waitOptions,
    },
    examples: [
      { line: 'flinkjob rollback word-count --dry-run', meaning: 'what would change' },
      { line: 'flinkjob rollback word-count --to-revision 2 --wait', meaning: 'return when it runs' },
    ],
  },
  async (cluster, parsed, output) => {
    const name = parsed.positionals[0] ?? '';
    const found = await getFlinkJob(cluster, name);
    const chosen = chooseRevision(await readRevisions(cluster, found), parsed.text('to-revision'), name);
    const spec = rolledBack(found.spec, chosen.revision.spec);
    const changes = specChanges(found.spec, spec);
    if (changes.length === 0) {
      output.report(`${name} has the spec of revision ${chosen.number} (${chosen.revision.name}) already; nothing was changed.`);
      return exitCodes.ok;
    }
    const dryRun = parsed.flag('dry-run');
    report(output, { found, chosen, lines: changeLines(changes) });
    // With the defaults of then, which are in that spec, and none that its namespace has got since.
    const mark = { [annotations.revision]: chosen.revision.name };
    const marked = { ...found, metadata: { ...found.metadata, annotations: { ...found.metadata.annotations, ...mark } } };
    await replaceSpec(cluster, marked, { spec, dryRun });
    output.print(`flinkjob.flinkjob.dev/${name} rolled back${dryRun ? ' (dry run)' : ''}`);
    if (parsed.flag('wait') && !dryRun) {
      await waitFor(cluster, { name, parsed, output, isDone: isReady });
    }
    return exitCodes.ok;
  },
);

/** Fields that say what should happen to a job, and when. `restartNonce` would restart it once more. */
const notOfARevision: readonly string[] = [
  ...['upgrade', 'restore', 'savepoints', 'recovery', 'restartNonce', 'ttlSecondsAfterFinished', 'revisionHistoryLimit'],
];

/** Pure. What a revision is made of is the old one's; what should happen to the job stays as it is wished for now. */
function rolledBack(present: FlinkJobObject['spec'], old: FlinkJobSpec): FlinkJobObject['spec'] {
  const kept = Object.fromEntries(notOfARevision.flatMap((name) => (name in present ? [[name, present[name]]] : [])));
  const rest = Object.fromEntries(Object.entries(old).filter(([name]) => !notOfARevision.includes(name)));
  const { desiredState } = (present['job'] ?? {}) as { readonly desiredState?: unknown };
  // Without `undefined`, which the API does not know.
  return JSON.parse(JSON.stringify({ ...rest, ...kept, job: { ...old.job, desiredState } }));
}

function report(
  output: CommandOutput,
  { found, chosen, lines }: { readonly found: FlinkJobObject; readonly chosen: KnownRevision; readonly lines: readonly string[] },
): void {
  const { revision, number, createdAtMs } = chosen;
  output.report(`To revision ${number} (${revision.name}), ${formatAge(Date.now() - createdAtMs)} old:`);
  lines.forEach(output.report);
  output.report(`It starts ${startsFrom(found)}.`);
  const target = found.status?.rollbackTarget;
  if (target?.revision === revision.name && target.check === 'Unreadable') {
    output.report(`A pre-flight has found that it cannot read that state: ${target.problem?.message ?? 'no reason is given'}.`);
  }
}

/** Pure. From which state the next start continues, as far as the resource says. */
export function startsFrom({ spec, status }: Pick<FlinkJobObject, 'spec' | 'status'>): string {
  const mode = (spec['upgrade'] as { readonly mode?: string } | undefined)?.mode ?? 'Savepoint';
  const last = status?.lastCheckpoint;
  const newest =
    last === undefined ? 'nothing, for no checkpoint has completed' : `${last.kind.toLowerCase()} ${last.id} (${last.path})`;
  if (mode === 'Stateless') {
    return 'with empty state, because spec.upgrade.mode is Stateless';
  }
  if (status?.ended !== undefined || status?.attempt === undefined) {
    return `from the newest state in its lineage: as far as the status knows, ${newest}`;
  }
  return mode === 'Savepoint'
    ? 'from the savepoint that the running revision is stopped with, once pre-flight has proved that the new one can read its state'
    : `from the newest completed checkpoint at that moment; the newest that its status names is ${newest}`;
}

/** The whole object, so that fields which the old spec does not have go, too. Refused as a conflict when it was changed since it was read. */
export async function replaceSpec(
  cluster: Cluster,
  found: FlinkJobObject,
  { spec, dryRun }: { readonly spec: object; readonly dryRun: boolean },
): Promise<FlinkJobObject> {
  const { namespace, name } = found.metadata;
  const path = await cluster.access.paths.pathOf({ apiVersion, kind }, { namespace, name });
  const { body } = await cluster.access.requests.send(
    {
      ...{ method: 'PUT', path, body: { ...found, apiVersion, kind, spec } },
      query: { fieldManager, dryRun: dryRun ? 'All' : undefined },
    },
    { repeatable: true },
  );
  return body as FlinkJobObject;
}
