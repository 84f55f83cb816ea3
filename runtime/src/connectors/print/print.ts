import { JobError } from '../../core/job-error.ts';
import type { Sink } from '../../core/job-graph/sink.ts';
import { formatRecord } from './format-record.ts';
import { writeStandardOutput } from './standard-output.ts';

/**
 * Writes every record as a line to the TaskManager's standard output; with a parallelism above one each line starts with the
 * subtask's number. What was printed since the last checkpoint is printed again after a failure.
 */
export function print(): Sink<unknown> {
  return printTo(writeStandardOutput);
}

export function printTo(write: (text: string) => void): Sink<unknown> {
  return {
    name: 'print',
    guarantee: 'AtLeastOnce',
    createWriter: ({ subtaskIndex, parallelism }) => {
      const prefix = parallelism > 1 ? `${subtaskIndex + 1}> ` : '';
      return {
        write: (records) => {
          let text = '';
          for (const record of records) {
            text += `${prefix}${formatRecord(record)}\n`;
          }
          writeAll(write, text);
        },
        prepareCommit: async () => [],
        commit: async () => {},
        close: async () => {},
      };
    },
  };
}

function writeAll(write: (text: string) => void, text: string): void {
  try {
    write(text);
  } catch (error) {
    throw new JobError(`print: standard output cannot be written: ${error instanceof Error ? error.message : error}`, {
      domain: 'external',
      retry: 'backoff',
      code: 'StandardOutputUnwritable',
      remedy: 'Is whoever read it gone?',
      cause: error,
    });
  }
}
