import type { Problem } from './flink-job-status.ts';

/** Values that the design has and this version does not: refused by name, so that nobody looks for a typing mistake. */
const values: Readonly<Record<string, { readonly pattern: RegExp; readonly instead: string }>> = {
  'spec.engine': { pattern: /^Flink$/, instead: 'Use TypeScript.' },
  'spec.upgrade.strategy': { pattern: /^BlueGreen$/, instead: 'Use InPlace.' },
};

export function notYetAvailable(path: string, input: unknown): Problem | undefined {
  const known = values[path];
  if (known === undefined || typeof input !== 'string' || !known.pattern.test(input)) {
    return undefined;
  }
  return {
    code: 'NotYetAvailable',
    message: `${path}: ${JSON.stringify(input)} is not available in this version`,
    remedy: known.instead,
  };
}
