import type { CommandDescription, ParsedCommandLine } from './command-line.ts';

/** Where a command writes to; tests give their own. */
export interface CommandOutput {
  /** A line of the result. */
  readonly print: (line: string) => void;
  /** A line about the work: progress, warnings, errors. */
  readonly report: (line: string) => void;
}

export interface Command {
  readonly description: CommandDescription;
  /** Takes the arguments as they were typed, except for a lone --help; instead of `run`. */
  readonly raw?: (args: readonly string[]) => Promise<number>;
  /** Gives the exit code. */
  readonly run: (parsed: ParsedCommandLine, output: CommandOutput) => Promise<number>;
}

/** A failure that a person can do something about. Exit code 1. */
export class CommandFailure extends Error {
  override readonly name = 'CommandFailure';
  readonly remedy: string | undefined;

  constructor(message: string, remedy?: string) {
    super(message);
    this.remedy = remedy;
  }
}

export const exitCodes = {
  ok: 0,
  /** It was tried and failed. */
  failed: 1,
  /** The command line or a file is wrong; nothing was tried. */
  unusable: 2,
} as const;
