#!/usr/bin/env node
import { type Command, CommandFailure, type CommandOutput, exitCodes } from './command.ts';
import { CommandLineError, commandHelp, overviewHelp, parseCommandLine } from './command-line.ts';
import { commands } from './commands/commands.ts';
import { nearest } from './nearest.ts';

const output: CommandOutput = {
  print: (line) => process.stdout.write(`${line}\n`),
  report: (line) => process.stderr.write(`${line}\n`),
};

/** Runs one command line; gives the exit code. Every failure says what, where and what to do. */
export async function main(args: readonly string[]): Promise<number> {
  try {
    return await dispatch(args);
  } catch (error) {
    return explain(error);
  }
}

async function dispatch(args: readonly string[]): Promise<number> {
  const [name, ...rest] = args;
  if (name === undefined || name === '--help' || name === '-h' || (name === 'help' && rest.length === 0)) {
    output.print(overviewHelp(commands.map(({ description }) => description)).trimEnd());
    return exitCodes.ok;
  }
  if (name === 'help') {
    return dispatch([rest[0] ?? '', '--help']);
  }
  const command = find(name === '--version' || name === '-v' ? 'version' : name);
  if (command.raw !== undefined && !(rest.length === 1 && (rest[0] === '--help' || rest[0] === '-h'))) {
    return command.raw(rest);
  }
  const parsed = parseCommandLine(command.description, rest);
  if (parsed.help) {
    output.print(commandHelp(command.description).trimEnd());
    return exitCodes.ok;
  }
  return command.run(parsed, output);
}

function find(name: string): Command {
  const command = commands.find(({ description }) => description.name === name);
  if (command === undefined) {
    const near = nearest(
      name,
      commands.map(({ description }) => description.name),
    );
    throw new CommandLineError(
      `flinkjob: unknown command ${name}`,
      near ? `Did you mean flinkjob ${near}?` : 'flinkjob help lists the commands.',
    );
  }
  return command;
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
  process.exitCode = await main(process.argv.slice(2));
  // A signal handler or a watcher that is left must not keep a finished command.
  process.exit();
}
