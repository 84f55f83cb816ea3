import { stringify } from 'yaml';
import type { PastRollout } from '../../api/flink-job-status.ts';
import { exitCodes } from '../command.ts';
import { formatAge } from '../format.ts';
import { tableLines } from '../table.ts';
import { getFlinkJob } from './cluster.ts';
import { clusterCommand } from './cluster-command.ts';
import { redactValue } from './redact.ts';
import { chooseRevision, type KnownRevision, readRevisions } from './revision-history.ts';
import { changeLines, specChanges } from './spec-changes.ts';

export const history = clusterCommand(
  {
    name: 'history',
    summary: 'List the revisions of a job, and what changed from one to the next',
    details: ['A revision is what one start is made of. The operator keeps those that the job can be rolled back to.'],
    positionals: [{ name: 'NAME', required: true, meaning: 'the job' }],
    options: {
      revision: { type: 'string', value: 'N', meaning: 'show the spec of this one, by its number or name' },
      output: { type: 'string', short: 'o', value: 'FORMAT', choices: ['json', 'yaml'], meaning: 'for programs' },
    },
    examples: [
      { line: 'flinkjob history word-count', meaning: 'what has run' },
      { line: 'flinkjob history word-count --revision 2', meaning: 'all of its spec' },
    ],
  },
  async (cluster, parsed, output) => {
    const name = parsed.positionals[0] ?? '';
    const flinkJob = await getFlinkJob(cluster, name);
    const revisions = await readRevisions(cluster, flinkJob);
    const wanted = parsed.text('revision');
    const chosen = wanted === undefined ? undefined : chooseRevision(revisions, wanted, name);
    const format = parsed.text('output') ?? (chosen === undefined ? undefined : 'yaml');
    if (format !== undefined) {
      const data = chosen === undefined ? revisions : chosen.revision.spec;
      output.print(format === 'json' ? JSON.stringify(data, null, 2) : stringify(redactValue(data)).trimEnd());
      return exitCodes.ok;
    }
    if (revisions.length === 0) {
      output.report(`${name} has no revision yet: no operator has looked at it, or its spec cannot be used.`);
      return exitCodes.ok;
    }
    const nowMs = Date.now();
    historyLines(revisions, nowMs).forEach(output.print);
    rolloutLines(flinkJob.status?.history ?? [], nowMs).forEach(output.print);
    return exitCodes.ok;
  },
);

/** Pure. */
function historyLines(revisions: readonly KnownRevision[], nowMs: number): readonly string[] {
  const [titles = '', ...rows] = tableLines([
    ['REVISION', 'NAME', 'AGE', 'IMAGE', ''],
    ...revisions.map(({ number, revision, createdAtMs, roles }) => [
      ...[String(number), revision.name, formatAge(nowMs - createdAtMs), revision.spec.image ?? '–'],
      roles.join(', '),
    ]),
  ]);
  return [
    titles,
    ...rows.flatMap((row, index) => {
      const before = revisions[index - 1]?.revision.spec;
      const after = revisions[index]?.revision.spec;
      return before === undefined ? [row] : [row, ...changeLines(specChanges(before, after)).map((line) => `        ${line}`)];
    }),
  ];
}

/** Pure. What has become of the last rollouts, newest first. */
function rolloutLines(history: readonly PastRollout[], nowMs: number): readonly string[] {
  return history.length === 0
    ? []
    : [
        '',
        ...tableLines([
          ['ROLLOUT', 'FOR', 'REVISION', 'OUTCOME', 'ENDED', 'WHY'],
          ...history.map(({ id, reason, revision, outcome, endedTime, problem }) => [
            ...[String(id), reason, revision ?? '–', outcome, `${formatAge(nowMs - Date.parse(endedTime))} ago`],
            problem === undefined ? '' : `${problem.code}: ${problem.message}`,
          ]),
        ]),
      ];
}
