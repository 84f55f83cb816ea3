import { accessSync, constants, existsSync, mkdirSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { JobError } from '../../core/job-error.ts';
import type { Sink } from '../../core/job-graph/sink.ts';
import { invalidOption, refuseUnknownOptions, requireText } from '../invalid-option.ts';
import { pendingDirectory } from './file-names.ts';
import { FileSinkWriter } from './file-sink-writer.ts';

export interface FileSinkOptions<T> {
  /** Directory for the files; made if it is missing. All TaskManagers must see the same. */
  readonly path: string | undefined;
  /** One line per record, without the line's end. Default: text as it is, everything else as JSON. */
  readonly format?: (record: T) => string;
}

/**
 * Lines in files, exactly once: a file shows up in the directory, complete, after the checkpoint that it belongs to, and never
 * changes again. Read the files called `part-…`; what is below `.pending` is the sink's own.
 */
export function fileSink<T>(options: FileSinkOptions<T>): Sink<T> {
  refuseUnknownOptions('fileSink', options, ['path', 'format']);
  const directory = resolve(requireText('fileSink', 'path', options.path));
  const { format = formatLine } = options;
  if (typeof format !== 'function') {
    throw invalidOption({
      connector: 'fileSink',
      option: 'format',
      problem: 'must be a function',
      remedy: 'Leave it out for JSON.',
    });
  }
  return {
    name: 'fileSink',
    guarantee: 'ExactlyOnce',
    createWriter: (context) => {
      prepareDirectory(directory, pendingDirectory(context.lineageId, context.uid));
      return new FileSinkWriter({ directory, context, format });
    },
  };
}

function formatLine(record: unknown): string {
  return typeof record === 'string' ? record : JSON.stringify(record);
}

function prepareDirectory(directory: string, pending: string): void {
  try {
    makeDirectory(join(directory, pending));
    accessSync(directory, constants.W_OK);
    accessSync(join(directory, pending), constants.W_OK);
  } catch (error) {
    throw new JobError(`fileSink: cannot write to ${directory}: ${error instanceof Error ? error.message : error}`, {
      domain: 'user',
      retry: 'backoff',
      code: 'SinkDirectoryUnwritable',
      remedy: 'Make the directory writable for the user that runs the job, or choose another path.',
      cause: error,
    });
  }
}

/**
 * Node's own recursive mkdir never returns below some virtual file systems, where a directory that is there takes no other. Subtasks on
 * several threads may make the same directories at once.
 */
function makeDirectory(path: string): void {
  const parent = dirname(path);
  if (parent !== path && !existsSync(parent)) {
    makeDirectory(parent);
  }
  try {
    mkdirSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') {
      throw error;
    }
  }
}
