import { parseArgs } from 'node:util';
import { JobError } from '../core/job-error.ts';
import { type KeyGroupRange, maxParallelismMax } from '../core/key-groups/key-group.ts';
import type { TypeDescriptor } from '../core/types/type.ts';
import { fromJson } from '../state-reader/value-json.ts';

const stateUsage =
  'Use: state ls SNAPSHOT [-o json] | state get SNAPSHOT UID STATE [KEY] [-o json] | state scan SNAPSHOT UID [STATE] [--limit N] [--key-group N[-N]] [-o json] | ' +
  'state export SNAPSHOT FILE --to jsonl [--uid UID] [--state STATE]. SNAPSHOT: a directory or URL of a checkpoint or savepoint, or of a lineage, whose latest it is then.';

const options = {
  output: { type: 'string', short: 'o' },
  limit: { type: 'string' },
  'key-group': { type: 'string' },
  to: { type: 'string' },
  uid: { type: 'string' },
  state: { type: 'string' },
  'local-directory': { type: 'string' },
} as const;

type OptionName = keyof typeof options;

export interface StateArguments {
  readonly positionals: readonly string[];
  readonly values: { readonly [Name in OptionName]?: string | undefined };
}

/** Which options an action takes, and how many words. */
export interface ActionShape {
  readonly name: string;
  readonly options: readonly OptionName[];
  readonly words: { readonly min: number; readonly max: number };
}

export function parseStateArguments(argv: readonly string[], shape: ActionShape): StateArguments {
  const { positionals, values } = parsed(argv);
  const stray = (Object.keys(values) as OptionName[]).find((name) => !shape.options.includes(name));
  if (stray !== undefined) {
    throw badArguments(`state ${shape.name} takes no --${stray}`);
  }
  const { min, max } = shape.words;
  if (positionals.length < min || positionals.length > max) {
    const wanted = min === max ? String(min) : `${min} or ${max}`;
    throw badArguments(`state ${shape.name} takes ${wanted} argument${wanted === '1' ? '' : 's'}, not ${positionals.length}`);
  }
  if (values.output !== undefined && values.output !== 'json') {
    throw badArguments(`-o ${values.output} is no form of output`);
  }
  return { positionals, values };
}

function parsed(argv: readonly string[]): StateArguments {
  try {
    return parseArgs({ args: [...argv], options, allowPositionals: true });
  } catch (error) {
    throw badArguments(error instanceof Error ? error.message : String(error), error);
  }
}

export function parseLimit(text: string | undefined, defaultLimit: number): number {
  const limit = text === undefined ? defaultLimit : Number(text);
  if (!Number.isSafeInteger(limit) || limit < 1) {
    throw badArguments(`--limit ${text} is no number of rows`);
  }
  return limit;
}

/** `7` or `0-31`. */
export function parseKeyGroups(text: string | undefined): KeyGroupRange | undefined {
  if (text === undefined) {
    return undefined;
  }
  const [, first, last] = /^(\d+)(?:-(\d+))?$/u.exec(text) ?? [];
  const range = { first: Number(first), last: Number(last ?? first) };
  if (!(range.first <= range.last && range.last < maxParallelismMax)) {
    throw badArguments(`--key-group ${text} is neither a key group nor a range of them, such as 0-31`);
  }
  return range;
}

/** JSON of the declared type. Where that is a string its text is enough: whoever types a name need not quote it twice. */
export function parseKey(text: string, type: TypeDescriptor): unknown {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    if (type.type === 'string') {
      return text;
    }
    throw badArguments(`the key ${text} is not JSON: ${error instanceof Error ? error.message : String(error)}`, error);
  }
  return type.type === 'string' && typeof json !== 'string' ? text : fromJson(type, json, 'the key');
}

export function badArguments(message: string, cause?: unknown): JobError {
  return new JobError(message, { domain: 'user', retry: 'never', code: 'BadArguments', remedy: stateUsage, cause });
}
