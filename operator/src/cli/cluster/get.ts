import { stringify } from 'yaml';
import { exitCodes } from '../command.ts';
import { jobTable } from '../commands/get.ts';
import { getFlinkJob, listFlinkJobs, storedFlinkJob } from './cluster.ts';
import { clusterCommand } from './cluster-command.ts';

export const get = clusterCommand(
  {
    name: 'get',
    summary: 'List jobs, or show one',
    positionals: [{ name: 'NAME', required: false, meaning: 'of one job' }],
    options: {
      'all-namespaces': { type: 'boolean', short: 'A', meaning: 'jobs of all namespaces' },
      output: {
        type: 'string',
        short: 'o',
        value: 'FORMAT',
        choices: ['json', 'yaml', 'wide'],
        meaning: 'other than the short table',
      },
    },
    examples: [
      { line: 'flinkjob get --all-namespaces', meaning: 'all jobs of the cluster' },
      { line: 'flinkjob get word-count -o yaml', meaning: 'everything that the cluster knows of one job' },
    ],
  },
  async (cluster, parsed, output) => {
    const [name] = parsed.positionals;
    const namespace = parsed.flag('all-namespaces') ? undefined : cluster.namespace;
    const found = name === undefined ? await listFlinkJobs(cluster, namespace) : [await getFlinkJob(cluster, name)];
    const format = parsed.text('output');
    if (format === 'json' || format === 'yaml') {
      const data = name === undefined ? { apiVersion: 'v1', kind: 'List', metadata: {}, items: found } : found[0];
      output.print(format === 'json' ? JSON.stringify(data, null, 2) : stringify(data).trimEnd());
      return exitCodes.ok;
    }
    if (found.length === 0) {
      output.report(
        namespace === undefined
          ? 'There are no FlinkJobs in this cluster.'
          : `There are no FlinkJobs in namespace ${namespace}; --all-namespaces lists those of all.`,
      );
      return exitCodes.ok;
    }
    jobTable(found.map(storedFlinkJob), { nowMs: Date.now(), wide: format === 'wide' }).forEach(output.print);
    return exitCodes.ok;
  },
);
