import { exitCodes } from '../command.ts';
import { describeLines } from '../commands/describe.ts';
import { clusterCommand } from './cluster-command.ts';
import { statusFacts } from './status.ts';

export const describe = clusterCommand(
  {
    name: 'describe',
    summary: 'Explain one job: state, errors with remedies, spec, rollout, checkpoints, vertices',
    positionals: [{ name: 'NAME', required: true, meaning: 'the job' }],
    options: {},
    examples: [{ line: 'flinkjob describe word-count', meaning: 'why does it not run?' }],
  },
  async (cluster, parsed, output) => {
    const { flinkJob, job, nowMs } = await statusFacts(cluster, parsed.positionals[0] ?? '');
    describeLines({ flinkJob, job: job.ok ? job.value : undefined, nowMs }).forEach(output.print);
    if (!job.ok && flinkJob.status?.attempt !== undefined && flinkJob.status.ended === undefined) {
      output.print('');
      output.print(`The JobManager was not asked, so vertices and sizes are left out: ${job.why}.`);
    }
    return exitCodes.ok;
  },
);
