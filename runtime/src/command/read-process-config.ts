import { readFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import type { z } from 'zod';
import { JobError } from '../core/job-error.ts';

/** Reads `--config FILE` and checks it; all that is wrong is said at once. */
export async function readProcessConfig<Schema extends z.ZodType>(
  schema: Schema,
  argv: readonly string[],
): Promise<z.output<Schema>> {
  const path = configPath(argv);
  let content: unknown;
  try {
    content = JSON.parse(await readFile(path, 'utf8'));
  } catch (error) {
    throw unusable(`cannot read the configuration ${path}: ${error instanceof Error ? error.message : error}`, error);
  }
  const parsed = schema.safeParse(content, { reportInput: true });
  if (!parsed.success) {
    const problems = parsed.error.issues.map((issue) => `${placeOf(issue.path)}: ${describeIssue(issue)}`);
    throw unusable(`the configuration ${path} is not valid: ${problems.join('; ')}`, parsed.error);
  }
  return parsed.data;
}

function placeOf(path: readonly PropertyKey[]): string {
  return path.length === 0 ? 'the file' : path.map(String).join('.');
}

/** Of a value in a message; more of it says no more. */
const gotLengthMax = 80;

function describeIssue(issue: z.core.$ZodIssue): string {
  if (issue.code === 'unrecognized_keys') {
    return `unknown field ${issue.keys.map((key) => `'${key}'`).join(', ')}`;
  }
  const got = issue.input === undefined ? 'nothing' : JSON.stringify(issue.input);
  return `${issue.message}; got ${got.length > gotLengthMax ? `${got.slice(0, gotLengthMax)}…` : got}`;
}

/** Other options of the command are its own. */
function configPath(argv: readonly string[]): string {
  const { values } = parseArgs({ args: [...argv], options: { config: { type: 'string' } }, strict: false });
  if (typeof values.config !== 'string') {
    throw unusable('--config FILE is missing', undefined);
  }
  return values.config;
}

function unusable(message: string, cause: unknown): JobError {
  return new JobError(message, {
    ...{ domain: 'user', retry: 'never', code: 'ConfigurationInvalid', cause },
    remedy: 'Name a readable JSON file with --config, and correct the fields that are named.',
  });
}
