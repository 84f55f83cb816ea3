import { ApiError } from '../../kubernetes/api-error.ts';
import { CommandFailure } from '../command.ts';

/** What a person can do about a request that the API server refused or did not answer. Other errors stay as they are. */
export function explainApiError(error: unknown): unknown {
  if (!(error instanceof ApiError)) {
    return error;
  }
  const said = error.said ?? error.message;
  switch (error.reason) {
    case 'Unauthorized':
      return new CommandFailure(
        `the cluster does not accept who you are: ${said}`,
        'Log in again, or choose another context: --context.',
      );
    case 'Forbidden':
      return new CommandFailure(
        `the cluster does not let you: ${said}`,
        'Whoever administers the namespace can grant it; the chart of the operator adds FlinkJobs to the roles view and edit.',
      );
    case 'NoAnswer':
    case 'Timeout':
      return new CommandFailure(
        `the cluster does not answer: ${error.message}`,
        'Is this the right cluster (kubectl config current-context), and is it up? Choose another with --context.',
      );
    case 'NoSuchKind':
      return new CommandFailure(
        `the cluster has no FlinkJobs: ${error.message}`,
        'Install the operator (charts/flinkjob-operator), or choose another cluster with --context.',
      );
    case 'Invalid':
      return new CommandFailure(`the cluster refuses this: ${said}`, 'Nothing was changed. Correct the value and try again.');
    case 'Conflict':
      return new CommandFailure(
        `somebody else was quicker: ${said}`,
        'Nothing was changed. Look again, and repeat it if it is still right.',
      );
    default:
      return new CommandFailure(error.message);
  }
}
