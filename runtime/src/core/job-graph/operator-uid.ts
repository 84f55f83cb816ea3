import { invalidJob } from './invalid-job.ts';

/** Starts with a letter or digit, so that it is a file name everywhere; has no `>` or `#`, which graph ids are made with. */
const namePattern = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/;

/** A uid names an operator's state in every checkpoint and becomes part of file names. */
export function checkUid(uid: unknown, operator: string): string {
  if (typeof uid !== 'string' || uid === '') {
    throw invalidJob(
      'UidMissing',
      `${operator} has no uid`,
      "Give it one that stays the same over the job's life, such as { uid: 'lines' }: state is found again by its uid.",
    );
  }
  const problem = nameProblem(uid);
  if (problem !== undefined) {
    throw invalidJob('UidInvalid', `the uid ${JSON.stringify(uid)} of ${operator} ${problem}`, nameRemedy);
  }
  return uid;
}

/** The same rules hold for the names of declared states. */
export function checkStateName(name: string): void {
  const problem = nameProblem(name);
  if (problem !== undefined) {
    throw invalidJob('StateNameInvalid', `the state name ${JSON.stringify(name)} ${problem}`, nameRemedy);
  }
}

/** And for the tags of side outputs. */
export function checkOutputTag(tag: string, operator: string): void {
  const problem = nameProblem(tag);
  if (problem !== undefined) {
    throw invalidJob('OutputTagInvalid', `the side output ${JSON.stringify(tag)} of ${operator} ${problem}`, nameRemedy);
  }
}

const nameRemedy = 'Use letters, digits, ".", "_" and "-", a letter or digit first, at most 128 characters.';

function nameProblem(name: string): string | undefined {
  if (namePattern.test(name)) {
    return undefined;
  }
  if (name.length > 128) {
    return `has ${name.length} characters`;
  }
  const illegal = /[^A-Za-z0-9._-]/u.exec(name)?.[0];
  return illegal === undefined ? 'does not start with a letter or digit' : `contains ${JSON.stringify(illegal)}`;
}
