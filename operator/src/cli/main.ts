#!/usr/bin/env node
import { clusterCommands } from './cluster/cluster-commands.ts';
import { completions, noFilesDirective } from './cluster/completion.ts';
import { type Command, CommandFailure, type CommandOutput, exitCodes } from './command.ts';
import { CommandLineError, commandHelp, overviewHelp, parseCommandLine } from './command-line.ts';
import { commands } from './commands/commands.ts';
import { nearest } from './nearest.ts';

const output: CommandOutput = {
  print: (line) => process.stdout.write(`${line}\n`),
  report: (line) => process.stderr.write(`${line}\n`),
};

/** How it was called: what people type before a command, and what its commands are about unless an option says otherwise. */
type Program = 'flinkjob' | 'kubectl flinkjob';

/** Runs one command line; gives the exit code. Every failure says what, where and what to do. */
export async function main(args: readonly string[], program: Program = 'flinkjob'): Promise<number> {
  try {
    return await dispatch(args, program);
  } catch (error) {
    return explain(error);
  }
}

/** A work directory or a cluster, as the options say; else what the program is for. */
function isAboutCluster(args: readonly string[], program: Program): boolean {
  const has = (...names: readonly string[]) =>
    args.some((arg) => names.some((name) => arg === name || arg.startsWith(`${name}=`)));
  return has('--context', '--kubeconfig') || (program === 'kubectl flinkjob' && !has('--work-dir'));
}

async function dispatch(args: readonly string[], program: Program): Promise<number> {
  const [name, ...rest] = args;
  const inCluster = isAboutCluster(rest, program);
  const available = inCluster ? clusterCommands : commands;
  if (name === undefined || name === '--help' || name === '-h' || (name === 'help' && rest.length === 0)) {
    output.print(overviewHelp(available, program).trimEnd());
    return exitCodes.ok;
  }
  if (name === 'help') {
    return dispatch([rest[0] ?? '', '--help'], program);
  }
  if (name === '__complete') {
    (await completions(rest, available)).forEach(output.print);
    output.print(noFilesDirective);
    return exitCodes.ok;
  }
  const command = find(name === '--version' || name === '-v' ? 'version' : name, { available, inCluster, program });
  if (command.raw !== undefined && !(rest.length === 1 && (rest[0] === '--help' || rest[0] === '-h'))) {
    return command.raw(rest);
  }
  const parsed = parseCommandLine(command.description, rest);
  if (parsed.help) {
    output.print(commandHelp(command.description, program).trimEnd());
    return exitCodes.ok;
  }
  return command.run(parsed, output);
}

function find(
  name: string,
  context: { readonly available: readonly Command[]; readonly inCluster: boolean; readonly program: Program },
): Command {
  const { available, inCluster, program } = context;
  const named = (list: readonly Command[]) => list.find(({ description }) => description.name === name);
  const command = named(available);
  if (command !== undefined) {
    return command;
  }
  if (named(inCluster ? commands : clusterCommands) !== undefined) {
    throw new CommandLineError(
      `${program} ${name}: that command is about ${inCluster ? 'jobs of a work directory' : 'jobs in a cluster'}`,
      inCluster ? `Run flinkjob ${name}.` : `Run kubectl flinkjob ${name}, or name a cluster with --context.`,
    );
  }
  const near = nearest(
    name,
    available.map(({ description }) => description.name),
  );
  throw new CommandLineError(
    `${program}: unknown command ${name}`,
    near ? `Did you mean ${program} ${near}?` : `${program} help lists the commands.`,
  );
}

function explain(error: unknown): number {
  if (error instanceof CommandLineError) {
    output.report(error.message);
    output.report(`  ${error.remedy}`);
    return exitCodes.unusable;
  }
  const known = error instanceof Error ? error : new Error(String(error));
  const remedy =
    error instanceof CommandFailure
      ? error.remedy
      : 'remedy' in known && typeof known.remedy === 'string'
        ? known.remedy
        : undefined;
  const expected = error instanceof CommandFailure || known.name === 'JobError';
  output.report(`flinkjob: ${expected ? known.message : (known.stack ?? known.message)}`);
  if (remedy !== undefined) {
    output.report(`  ${remedy}`);
  }
  return exitCodes.failed;
}

if (import.meta.main) {
  // Whoever reads our output may stop reading (`| head`): that is no failure.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') {
      process.exit(exitCodes.ok);
    }
  });
  // Set by bin/kubectl-flinkjob: through kubectl it is another name for the same program.
  const program = process.env['FLINKJOB_INVOKED_AS'] === 'kubectl flinkjob' ? 'kubectl flinkjob' : 'flinkjob';
  process.exitCode = await main(process.argv.slice(2), program);
  // A signal handler or a watcher that is left must not keep a finished command.
  process.exit();
}
