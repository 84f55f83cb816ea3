import { JobError } from '../core/job-error.ts';

/** A connector was configured with something that can never work. Thrown while the graph is built, so that nothing starts. */
export function invalidOption(options: {
  readonly connector: string;
  readonly option: string;
  readonly problem: string;
  readonly remedy: string;
}): JobError {
  return new JobError(`${options.connector}: option '${options.option}' ${options.problem}`, {
    domain: 'user',
    retry: 'never',
    code: 'InvalidOption',
    remedy: options.remedy,
  });
}

/** Text that must be there; most often it comes from an argument that was not given. */
export function requireText(connector: string, option: string, value: unknown): string {
  if (typeof value === 'string' && value !== '') {
    return value;
  }
  throw invalidOption({
    connector,
    option,
    problem: value === undefined || value === '' ? 'is not set' : `must be text, not ${describe(value)}`,
    remedy: 'If it comes from args: is the argument missing?',
  });
}

/** A number within limits; NaN most often comes from an argument that was not given or is no number. */
export function requireNumber(
  connector: string,
  option: string,
  value: unknown,
  limits: { readonly min: number; readonly max: number; readonly integer: boolean },
): number {
  if (typeof value === 'number' && value >= limits.min && value <= limits.max && (!limits.integer || Number.isInteger(value))) {
    return value;
  }
  const kind = limits.integer ? 'a whole number' : 'a number';
  throw invalidOption({
    connector,
    option,
    problem: `must be ${kind} from ${limits.min} to ${limits.max}, not ${describe(value)}`,
    remedy: 'If it comes from args: is the argument missing, or not a number?',
  });
}

/** Misspelt options would otherwise be ignored silently. */
export function refuseUnknownOptions(connector: string, given: object, known: readonly string[]): void {
  for (const option of Object.keys(given)) {
    if (!known.includes(option)) {
      throw invalidOption({ connector, option, problem: 'is not known', remedy: `Known options: ${known.join(', ')}.` });
    }
  }
}

function describe(value: unknown): string {
  return typeof value === 'string' ? `'${value}'` : typeof value === 'object' && value !== null ? 'an object' : String(value);
}
