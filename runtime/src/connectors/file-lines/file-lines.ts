import { readdir, realpath, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { JobError } from '../../core/job-error.ts';
import type { Source, Split } from '../../core/job-graph/source.ts';
import { t } from '../../core/types/t.ts';
import { invalidOption, refuseUnknownOptions, requireNumber, requireText } from '../invalid-option.ts';
import { FileLinesReader } from './file-lines-reader.ts';

export interface FileLinesOptions {
  /** A file, a directory (its files, without those in folders below) or several of both. */
  readonly path: string | readonly string[] | undefined;
  /** Of a directory only files whose name ends so, for example `.txt`. */
  readonly suffix?: string;
  /** Starts again after the last line, for ever. */
  readonly repeat?: boolean;
  /** Upper limit for each subtask that reads. */
  readonly linesPerSecond?: number;
}

/** `round` counts repetitions from 0; `offset` is in bytes. */
export interface FilePosition {
  readonly round: number;
  readonly offset: number;
}

/** Lines of text files; every file is a split. Files must not change while the job lives: a position is an offset in bytes. */
export function fileLines(options: FileLinesOptions): Source<string, FilePosition> {
  refuseUnknownOptions('fileLines', options, ['path', 'suffix', 'repeat', 'linesPerSecond']);
  const paths = validPaths(options.path);
  const suffix = options.suffix === undefined ? '' : requireText('fileLines', 'suffix', options.suffix);
  const repeat = options.repeat ?? false;
  const linesPerSecond =
    options.linesPerSecond === undefined
      ? undefined
      : requireNumber('fileLines', 'linesPerSecond', options.linesPerSecond, { min: 0.001, max: 1e9, integer: false });
  return {
    name: 'fileLines',
    recordType: t.string,
    positionType: t.struct({ round: t.int, offset: t.int }),
    bounded: !repeat,
    replayable: true,
    parallelismMax: undefined,
    discoverSplits: () => discoverFiles(paths, suffix),
    createReader: (context, splits) => new FileLinesReader({ context, splits, repeat, linesPerSecond }),
  };
}

function validPaths(path: FileLinesOptions['path']): readonly string[] {
  const paths = Array.isArray(path) ? path : [path];
  if (paths.length === 0) {
    throw invalidOption({ connector: 'fileLines', option: 'path', problem: 'is empty', remedy: 'Name at least one file.' });
  }
  return paths.map((each) => requireText('fileLines', 'path', each));
}

async function discoverFiles(paths: readonly string[], suffix: string): Promise<readonly Split<FilePosition>[]> {
  // A set: a file that is named and also lies in a named directory is read once.
  const files = new Set<string>();
  for (const path of paths) {
    for (const file of await filesOf(path, suffix)) {
      files.add(file);
    }
  }
  if (files.size === 0) {
    throw new JobError(`fileLines: no file in ${paths.join(', ')}${suffix === '' ? '' : ` ends in '${suffix}'`}`, {
      domain: 'user',
      retry: 'never',
      code: 'NoInputFiles',
      remedy: 'Check the path and the suffix.',
    });
  }
  return [...files].sort().map((id) => ({ id, position: { round: 0, offset: 0 } }));
}

async function filesOf(path: string, suffix: string): Promise<readonly string[]> {
  try {
    const absolute = await realpath(path);
    if (!(await stat(absolute)).isDirectory()) {
      return [absolute];
    }
    const entries = await readdir(absolute, { withFileTypes: true });
    return entries
      .filter((entry) => entry.isFile() && !entry.name.startsWith('.') && entry.name.endsWith(suffix))
      .map((entry) => join(absolute, entry.name));
  } catch (error) {
    throw new JobError(`fileLines: cannot read ${path}: ${error instanceof Error ? error.message : error}`, {
      domain: 'user',
      retry: 'never',
      code: 'InputFileUnreadable',
      remedy: 'The path must exist and be readable on every machine that runs the job.',
      cause: error,
    });
  }
}
