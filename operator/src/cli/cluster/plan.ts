import { findCondition } from '../../api/conditions.ts';
import { apiVersion, kind } from '../../api/labels.ts';
import { asksForPurge } from '../../api/parse-flink-job.ts';
import { exitCodes } from '../command.ts';
import { readFlinkJobYaml } from '../flink-job-file.ts';
import { type Cluster, type FlinkJobObject, fieldManager } from './cluster.ts';
import { clusterCommand } from './cluster-command.ts';
import { replaceSpec, startsFrom } from './rollback.ts';
import { changeLines, type SpecChange, specChanges, strongestMeaning } from './spec-changes.ts';

export const plan = clusterCommand(
  {
    name: 'plan',
    summary: 'Say what applying a file would do to a job in the cluster, and from what it would start, without touching anything',
    details: [
      'The file is checked here, and then by the API server with all rules of the definition and of admission (a dry run). The difference to what is there is shown field by field, with what each change means.',
      'What only a pod of the job can find out is not checked: whether the image can be pulled, the module builds its graph, the storage can be written, the state fits. That is the pre-flight, which the operator runs before it touches a running job.',
    ],
    positionals: [{ name: 'FILE', required: true, meaning: 'a FlinkJob in YAML' }],
    options: {
      output: { type: 'string', short: 'o', value: 'FORMAT', choices: ['json'], meaning: 'for programs' },
    },
    examples: [{ line: 'flinkjob plan word-count.yaml', meaning: 'look before you kubectl apply' }],
  },
  async (cluster, parsed, output) => {
    const namespace = parsed.text('namespace');
    const read = await readFlinkJobYaml(parsed.positionals[0] ?? '', { namespace, defaultNamespace: cluster.namespace });
    if (!read.ok) {
      read.problem.forEach(output.report);
      return exitCodes.unusable;
    }
    const { metadata } = read.manifest;
    // As it is written: defaults are the API server's business, as with kubectl apply.
    const { spec } = asJson<FlinkJobObject>(read.source.value as object);
    const place = { ...cluster, namespace: metadata.namespace };
    const before = await cluster.client.get<FlinkJobObject>({
      ...{ apiVersion, kind, namespace: metadata.namespace, name: metadata.name },
    });
    const after =
      before === undefined
        ? await createDryRun(place, { apiVersion, kind, metadata: asJson(metadata), spec })
        : await replaceSpec(place, before, { spec, dryRun: true });
    const changes = before === undefined ? [] : specChanges(before.spec, after.spec);
    if (parsed.text('output') === 'json') {
      output.print(JSON.stringify({ exists: before !== undefined, action: actionOf(before, changes), changes }, null, 2));
    } else {
      planLines({ before, after, changes }).forEach(output.print);
    }
    return exitCodes.ok;
  },
);

/** Without `undefined`, which JSON does not know. */
function asJson<T>(value: object): T {
  return JSON.parse(JSON.stringify(value)) as T;
}

async function createDryRun(cluster: Cluster, object: FlinkJobObject): Promise<FlinkJobObject> {
  const path = await cluster.access.paths.pathOf({ apiVersion, kind }, { namespace: cluster.namespace });
  const { body } = await cluster.access.requests.send(
    { method: 'POST', path, body: object, query: { fieldManager, dryRun: 'All' } },
    { repeatable: true },
  );
  return body as FlinkJobObject;
}

interface PlanFacts {
  /** Undefined when there is no job of that name yet. */
  readonly before: FlinkJobObject | undefined;
  /** As the API server would store it. */
  readonly after: FlinkJobObject;
  readonly changes: readonly SpecChange[];
}

type Action = 'Create' | 'None' | 'Ignore' | 'Lifecycle' | 'Scale' | 'Restart' | 'Restore';

function actionOf(before: FlinkJobObject | undefined, changes: readonly SpecChange[]): Action {
  // A field that this version does not know may mean anything; the strongest is the safe guess.
  const isUnknown = changes.some(({ meaning }) => meaning === undefined);
  return before === undefined ? 'Create' : isUnknown ? 'Restart' : (strongestMeaning(changes) ?? 'None');
}

/** Pure. */
function planLines({ before, after, changes }: PlanFacts): readonly string[] {
  const { namespace, name } = after.metadata;
  const action = actionOf(before, changes);
  const defaults = findCondition(before?.status?.conditions, 'DefaultsTakenIn');
  return [
    `FlinkJob ${namespace}/${name}: ${heading(action)}`,
    ...changeLines(changes),
    '',
    ...consequences(action, { before, after }).map((line) => `- ${line}`),
    ...(startsAnew(action, after) && defaults?.status === 'False' ? [`- ${defaults.message}`] : []),
    ...(action === 'None' || action === 'Ignore'
      ? []
      : [
          '- Not checked from here, but by the pre-flight pod before anything is touched: that the image can be pulled, the module builds its graph, the storage can be written, the state fits.',
        ]),
    ...(asksForPurge(after.spec)
      ? ['- checkpoints.onDelete is Purge: deleting the FlinkJob deletes its checkpoints and savepoints.']
      : []),
  ];
}

/** Then what the namespace says for all its jobs by now is taken in, too. */
function startsAnew(action: Action, { spec }: FlinkJobObject): boolean {
  const { desiredState } = (spec['job'] ?? {}) as { readonly desiredState?: string };
  return action !== 'None' && action !== 'Ignore' && desiredState !== 'Suspended';
}

function heading(action: Action): string {
  switch (action) {
    case 'Create':
      return 'would be created.';
    case 'None':
      return 'is as the file says; nothing would change.';
    case 'Ignore':
      return 'would be changed, and nothing that runs is touched:';
    default:
      return 'would be changed:';
  }
}

function consequences(action: Action, { before, after }: Pick<PlanFacts, 'before' | 'after'>): readonly string[] {
  const job = (after.spec['job'] ?? {}) as { readonly desiredState?: string };
  const isSuspended = job.desiredState === 'Suspended';
  switch (action) {
    case 'None':
    case 'Ignore':
      return [];
    case 'Create':
      return isSuspended
        ? ['It would not start: spec.job.desiredState is Suspended.']
        : [
            'It would start from the head of the lineage of that namespace and name in checkpoint storage, if there is one, else from nothing: the storage knows, the cluster does not.',
          ];
    default:
      break;
  }
  if (isSuspended) {
    return [
      before?.status?.ended === undefined && before?.status?.attempt !== undefined
        ? 'The job would be stopped with a savepoint, and stay so: spec.job.desiredState is Suspended.'
        : 'Nothing would start: spec.job.desiredState is Suspended.',
    ];
  }
  if (action === 'Restore') {
    const { from, path } = (after.spec['restore'] ?? {}) as { readonly from?: string; readonly path?: string };
    return [
      from === 'None'
        ? 'It would start with EMPTY state, once: spec.restore.from is None.'
        : `It would start from ${path ?? 'the newest state'}, once; newer state is set aside.`,
    ];
  }
  return [
    `It would start ${startsFrom({ spec: after.spec, ...(before?.status === undefined ? {} : { status: before.status }) })}.`,
  ];
}
