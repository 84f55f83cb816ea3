import { inspect } from 'node:util';
import type { Operation } from './program.ts';

/** What was seen was not what the model has; the seed is in the message. */
export class StateProgramFailure extends Error {
  override readonly name = 'StateProgramFailure';

  constructor(difference: {
    readonly seed: number;
    readonly where: string;
    readonly contestant: string;
    readonly what: Operation | string;
    readonly found: unknown;
    readonly expected: unknown;
  }) {
    const { seed, where, contestant, what, found, expected } = difference;
    super(
      `seed ${seed}, ${where}: ${contestant} differs from the model in ${typeof what === 'string' ? what : show(what)}\n` +
        `  found     ${show(found)}\n  expected  ${show(expected)}\n` +
        `replay: npm run state-programs -- --seeds 1 --first-seed ${seed} --print`,
    );
  }
}

function show(value: unknown): string {
  return inspect(value, { depth: 8, breakLength: 120 });
}
