import type { Condition } from '../api/conditions.ts';
import type { DefaultsStanding } from '../defaults/choose-defaults.ts';

/** More of what changed than that is not told. */
const changesMax = 10;

/** How the job stands to the defaults of its namespace; undefined where there are none. */
export function defaultsVerdict(
  standing: DefaultsStanding | undefined,
): Pick<Condition, 'status' | 'reason' | 'message'> | undefined {
  switch (standing?.state) {
    case undefined:
      return undefined;
    case 'TakenIn':
      return {
        status: 'True',
        reason: 'TakenIn',
        message: 'The defaults of the namespace are in the revision that the spec asks for.',
      };
    case 'Changed': {
      const { changes } = standing;
      const more = changes.length > changesMax ? `, and ${changes.length - changesMax} more` : '';
      return {
        status: 'False',
        reason: 'Changed',
        message: `The defaults of the namespace have changed since: ${changes.slice(0, changesMax).join(', ')}${more}. The next change of the spec takes them in; another spec.restartNonce does so at once.`,
      };
    }
    case 'Unusable': {
      const { message, remedy } = standing.problem;
      return { status: 'False', reason: 'Unusable', message: remedy === undefined ? message : `${message}. ${remedy}` };
    }
  }
}
