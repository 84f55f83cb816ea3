import { AssertionError } from '../../core/assert.ts';
import { type ErrorInfo, JobError, toErrorInfo } from '../../core/job-error.ts';
import type { OperatorDescription } from '../../core/job-graph/job-graph.ts';

/** An error with the operator in which it happened. */
export class OperatorFailure extends Error {
  override readonly name = 'OperatorFailure';
  readonly operator: OperatorDescription;

  constructor(operator: OperatorDescription, cause: unknown) {
    super(`operator ${describeOperator(operator)} failed`, { cause });
    this.operator = operator;
  }
}

function describeOperator({ id, uid, name }: OperatorDescription): string {
  return uid === undefined ? id : name === uid ? `'${uid}'` : `'${uid}' (${name})`;
}

/** As data that says where it happened. What the author's functions throw counts as the user's, a broken invariant as ours. */
export function describeTaskError(error: unknown, subtaskIndex: number): ErrorInfo {
  if (!(error instanceof OperatorFailure)) {
    return toErrorInfo(error);
  }
  const { cause, operator } = error;
  const info = toErrorInfo(cause, cause instanceof AssertionError ? 'internal' : 'user');
  const isUserCode = !(cause instanceof JobError) && !(cause instanceof AssertionError);
  return {
    ...info,
    message: `operator ${describeOperator(operator)}, subtask ${subtaskIndex}: ${info.message}`,
    ...(isUserCode ? { remedy: 'The function of this operator threw; the stack says where.' } : {}),
  };
}
