import type { Command, CommandOutput } from '../command.ts';
import type { ParsedCommandLine } from '../command-line.ts';
import { type Cluster, clusterOptions, openCluster } from './cluster.ts';
import { explainApiError } from './explain-api-error.ts';

/** A command against a cluster: with the options that all of them have, and errors of the API in words. */
export function clusterCommand(
  description: Command['description'],
  run: (cluster: Cluster, parsed: ParsedCommandLine, output: CommandOutput) => Promise<number>,
): Command {
  return {
    description: { ...description, options: { ...description.options, ...clusterOptions } },
    async run(parsed, output) {
      try {
        return await run(await openCluster(parsed), parsed, output);
      } catch (error) {
        throw explainApiError(error);
      }
    },
  };
}
