import { stringify } from 'yaml';
import { exitCodes } from '../command.ts';
import { paint, wantsColour } from '../live-view/style.ts';
import { type Cluster, getFlinkJob, storedFlinkJob } from './cluster.ts';
import { clusterCommand } from './cluster-command.ts';
import { askJobManager } from './job-manager-proxy.ts';
import { eventsOf, podsOf } from './job-objects.ts';
import { type StatusFacts, statusTree } from './status-tree.ts';

export const status = clusterCommand(
  {
    name: 'status',
    summary: 'Show one job from its resource down to its pods: rollout, attempt, processes, checkpoints, conditions, events',
    details: [
      "Sizes and counts of checkpoints are the JobManager's own words. They are asked for by way of the API server, which takes the right to get pods/proxy; without it they are left out.",
      'Exit code 1 when the job is not what its spec asks for (condition Ready).',
    ],
    positionals: [{ name: 'NAME', required: true, meaning: 'the job' }],
    options: {
      output: { type: 'string', short: 'o', value: 'FORMAT', choices: ['json', 'yaml'], meaning: 'the same facts for programs' },
    },
    examples: [{ line: 'flinkjob status word-count', meaning: 'what runs where, and what happened' }],
  },
  async (cluster, parsed, output) => {
    const facts = await statusFacts(cluster, parsed.positionals[0] ?? '');
    const format = parsed.text('output');
    if (format === undefined) {
      const colour = wantsColour(process.env, process.stdout.isTTY === true);
      statusTree(facts)
        .map((line) => paint(line, colour))
        .forEach(output.print);
    } else {
      const { flinkJob, pods, events, job } = facts;
      const data = { flinkJob, pods, events, jobManager: job.ok ? job.value : { notAsked: job.why } };
      output.print(format === 'json' ? JSON.stringify(data, null, 2) : stringify(data).trimEnd());
    }
    const ready = facts.flinkJob.status?.conditions.find(({ type }) => type === 'Ready')?.status;
    return ready === 'True' ? exitCodes.ok : exitCodes.failed;
  },
);

export async function statusFacts(cluster: Cluster, name: string): Promise<StatusFacts> {
  const found = await getFlinkJob(cluster, name);
  const flinkJob = storedFlinkJob(found);
  const pods = await podsOf(cluster, found);
  const [events, job] = await Promise.all([
    eventsOf(cluster, found, pods),
    askJobManager(cluster, pods, flinkJob.status?.attempt?.token),
  ]);
  return { flinkJob, pods, events, job, nowMs: Date.now() };
}
