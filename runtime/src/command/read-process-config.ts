import { readFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import type { z } from 'zod';
import { JobError } from '../core/job-error.ts';

/** Reads `--config FILE`, puts in what `--set path=text` says, and checks it; all that is wrong is said at once. */
export async function readProcessConfig<Schema extends z.ZodType>(
  schema: Schema,
  argv: readonly string[],
): Promise<z.output<Schema>> {
  const { path, settings } = optionsOf(argv);
  let content: unknown;
  try {
    content = JSON.parse(await readFile(path, 'utf8'));
  } catch (error) {
    throw unusable(`cannot read the configuration ${path}: ${error instanceof Error ? error.message : error}`, error);
  }
  for (const setting of settings) {
    content = withSetting(content, setting);
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
function optionsOf(argv: readonly string[]): { readonly path: string; readonly settings: readonly string[] } {
  const { values } = parseArgs({
    args: [...argv],
    options: { config: { type: 'string' }, set: { type: 'string', multiple: true } },
    strict: false,
  });
  if (typeof values.config !== 'string') {
    throw unusable('--config FILE is missing', undefined);
  }
  return { path: values.config, settings: (values.set ?? []).map(String) };
}

/** `rpc.host=10.0.0.7`. What one file cannot say to several processes: only text, and the schema judges what comes of it. */
function withSetting(content: unknown, setting: string): unknown {
  const [, path = '', text = ''] = /^([A-Za-z.]+)=(.*)$/s.exec(setting) ?? [];
  if (path === '') {
    throw unusable(`--set ${setting}: expected path=text, such as rpc.host=10.0.0.7`, undefined);
  }
  // A variable that Kubernetes does not know stays as it is written; it would be taken for a name and fail much later.
  if (text === '' || /^\$\(.*\)$/.test(text)) {
    throw unusable(`--set ${setting}: the text is ${text === '' ? 'empty' : 'a variable that was not replaced'}`, undefined);
  }
  return withText(content, path.split('.'), text);
}

function withText(content: unknown, [name, ...rest]: readonly string[], text: string): unknown {
  if (name === undefined) {
    return text;
  }
  const object = typeof content === 'object' && content !== null ? (content as Readonly<Record<string, unknown>>) : {};
  return { ...object, [name]: withText(object[name], rest, text) };
}

function unusable(message: string, cause: unknown): JobError {
  return new JobError(message, {
    ...{ domain: 'user', retry: 'never', code: 'ConfigurationInvalid', cause },
    remedy: 'Name a readable JSON file with --config, and correct the fields that are named.',
  });
}
