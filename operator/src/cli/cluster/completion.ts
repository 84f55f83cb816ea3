import type { Command } from '../command.ts';
import type { CommandDescription, OptionDescription } from '../command-line.ts';
import { parseCommandLine } from '../command-line.ts';
import { listFlinkJobs, openCluster } from './cluster.ts';

/** What may stand at the end of a command line: commands, options, values of an option, names of jobs. */
export async function completions(words: readonly string[], commands: readonly Command[]): Promise<readonly string[]> {
  const [name, ...args] = words;
  const last = words.at(-1) ?? '';
  if (args.length === 0) {
    return commands.map(({ description }) => description.name).filter((each) => each.startsWith(name ?? ''));
  }
  const command = commands.find(({ description }) => description.name === name);
  if (command === undefined) {
    return [];
  }
  const { options, positionals } = command.description;
  const before = optionNamed(options, args.at(-2));
  if (before?.type === 'string') {
    return (before.choices ?? []).filter((choice) => choice.startsWith(last));
  }
  if (last.startsWith('-')) {
    return Object.keys(options)
      .map((option) => `--${option}`)
      .filter((option) => option.startsWith(last));
  }
  return positionals[0]?.name === 'NAME' && isFirstPositional(command.description, args)
    ? (await jobNames(command, args.slice(0, -1))).filter((job) => job.startsWith(last))
    : [];
}

function optionNamed(
  options: Readonly<Record<string, OptionDescription>>,
  word: string | undefined,
): OptionDescription | undefined {
  return Object.entries(options).find(
    ([name, { short }]) => word === `--${name}` || (short !== undefined && word === `-${short}`),
  )?.[1];
}

function isFirstPositional({ options }: CommandDescription, args: readonly string[]): boolean {
  const earlier = args.slice(0, -1);
  return earlier.every((word, index) => word.startsWith('-') || optionNamed(options, earlier[index - 1])?.type === 'string');
}

/** In the cluster and namespace that the words before name. Without a cluster there is nothing to offer, and a shell is no place for its errors. */
async function jobNames({ description }: Command, args: readonly string[]): Promise<readonly string[]> {
  try {
    const parsed = parseCommandLine({ ...description, positionals: [] }, args);
    const cluster = await openCluster(parsed);
    return (await listFlinkJobs(cluster, cluster.namespace)).map(({ metadata }) => metadata.name);
  } catch {
    return [];
  }
}

/** kubectl's own protocol: one completion a line, then a directive; 4 says that files are no completions here. */
export const noFilesDirective = ':4';
