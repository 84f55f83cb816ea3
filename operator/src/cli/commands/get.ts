import { stringify } from 'yaml';
import { keyOf, type StoredFlinkJob } from '../../api/flink-job.ts';
import { type Command, exitCodes } from '../command.ts';
import { formatAge } from '../format.ts';
import { tableLines } from '../table.ts';
import { getFlinkJob, keyFrom, openExistingStore, workDirectoryOf, workDirectoryOptions } from '../work-directory.ts';

export const get: Command = {
  description: {
    name: 'get',
    summary: 'List jobs, or show one',
    positionals: [{ name: 'NAME', required: false, meaning: 'of one job' }],
    options: {
      ...workDirectoryOptions,
      namespace: { ...workDirectoryOptions.namespace, default: 'all, or default for a NAME' },
      output: {
        type: 'string',
        short: 'o',
        value: 'FORMAT',
        choices: ['json', 'yaml', 'wide'],
        meaning: 'other than the short table',
      },
    },
    examples: [
      { line: 'flinkjob get', meaning: 'all jobs of this work directory' },
      { line: 'flinkjob get word-count -o yaml', meaning: 'everything that is known of one job' },
    ],
  },
  async run(parsed, output) {
    const store = await openExistingStore(workDirectoryOf(parsed));
    const [name] = parsed.positionals;
    const namespace = parsed.text('namespace');
    const all = name === undefined ? await store.list() : [await getFlinkJob(store, keyFrom(parsed, name))];
    const jobs = all.filter((job) => namespace === undefined || job.metadata.namespace === namespace);
    const format = parsed.text('output');
    if (format === 'json' || format === 'yaml') {
      const data = name === undefined ? { apiVersion: 'v1', kind: 'List', items: jobs } : jobs[0];
      output.print(format === 'json' ? JSON.stringify(data, null, 2) : stringify(data).trimEnd());
      return exitCodes.ok;
    }
    if (jobs.length === 0) {
      output.report(
        namespace === undefined ? 'There are no jobs in this work directory.' : `There are no jobs in namespace ${namespace}.`,
      );
      return exitCodes.ok;
    }
    for (const line of jobTable(jobs, { nowMs: Date.now(), wide: format === 'wide' })) {
      output.print(line);
    }
    return exitCodes.ok;
  },
};

/** Pure. As `kubectl get` shows it. */
export function jobTable(
  jobs: readonly StoredFlinkJob[],
  options: { readonly nowMs: number; readonly wide: boolean },
): readonly string[] {
  const rows = [...jobs]
    .sort((a, b) => (`${keyOf(a).namespace}/${keyOf(a).name}` < `${keyOf(b).namespace}/${keyOf(b).name}` ? -1 : 1))
    .map((job) => jobRow(job, options.nowMs));
  const titles = [
    'NAMESPACE',
    'NAME',
    'STATE',
    'READY',
    'PARALLELISM',
    'LAST CHECKPOINT',
    'RESTARTS',
    'REVISION',
    'AGE',
    'ATTEMPT',
    'RESTORED',
    'REST',
  ];
  const count = options.wide ? titles.length : 9;
  return tableLines([titles, ...rows].map((row) => row.slice(0, count)));
}

function jobRow(job: StoredFlinkJob, nowMs: number): readonly string[] {
  const { metadata, status } = job;
  const age = (time: string | undefined) => (time === undefined ? '–' : formatAge(nowMs - Date.parse(time)));
  return [
    metadata.namespace,
    metadata.name,
    metadata.deletionTimestamp === undefined ? (status?.state ?? 'Unknown') : 'Deleting',
    status?.conditions.find(({ type }) => type === 'Ready')?.status ?? 'Unknown',
    String(status?.parallelism ?? 0),
    status?.lastCheckpoint === undefined ? '–' : `${age(status.lastCheckpointTime)} ago`,
    String(status?.restarts ?? 0),
    status?.revision ?? '–',
    age(metadata.creationTimestamp),
    String(status?.attempt?.number ?? '–'),
    status?.restored ?? '–',
    status?.jobManagerAddress ?? '–',
  ];
}
